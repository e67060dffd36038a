//! Values of each type that a property can have.

use std::time::Duration;

/// What is wrong with a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

impl Wrong {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// `true` or `false` as Java has it, `t`, `f`, `1` or `0` as librdkafka takes it too; upper or lower case.
pub(super) fn boolean(value: &str) -> Result<bool, Wrong> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Ok(true),
        "false" | "f" | "0" => Ok(false),
        _ => Err(Wrong::new("is neither true nor false")),
    }
}

/// A whole number from `least` to `most`.
pub(super) fn whole(value: &str, least: i64, most: i64) -> Result<i64, Wrong> {
    match value.parse::<i64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        Ok(_) => Err(Wrong::new(format!("is not in {least} to {most}"))),
        // Too large even for 64 bits, or no number at all.
        Err(_) if !value.is_empty() && value.trim_start_matches(['-', '+']).bytes().all(|b| b.is_ascii_digit()) => {
            Err(Wrong::new(format!("is not in {least} to {most}")))
        }
        Err(_) => Err(Wrong::new("is not a whole number")),
    }
}

/// A whole number of bytes or things from `least` to `most`.
pub(super) fn size(value: &str, least: u32, most: u32) -> Result<usize, Wrong> {
    let size = whole(value, i64::from(least), i64::from(most))?;
    usize::try_from(size).map_err(|_| Wrong::new("does not fit this machine's memory"))
}

/// Whole milliseconds from `least` up to what Kafka's 32 bits hold.
pub(super) fn millis_from(value: &str, least: u32) -> Result<Duration, Wrong> {
    match whole(value, i64::from(least), i64::from(i32::MAX)) {
        Ok(millis) => Ok(Duration::from_millis(millis.unsigned_abs())),
        Err(wrong) if value.parse::<i64>().is_ok_and(|millis| millis > i64::from(i32::MAX)) => {
            Err(wrong.hint("Kafka's milliseconds have 32 bits: at most 2147483647, which is 24 days"))
        }
        Err(wrong) if value.ends_with(|last: char| last.is_ascii_alphabetic()) => {
            Err(wrong.hint("the value is in milliseconds and has no unit, for example 30000"))
        }
        Err(wrong) => Err(wrong),
    }
}

/// Whole milliseconds, zero included.
pub(super) fn millis(value: &str) -> Result<Duration, Wrong> {
    millis_from(value, 0)
}

/// Milliseconds with a fraction, as librdkafka takes them for its linger.
pub(super) fn millis_with_fraction(value: &str) -> Result<Duration, Wrong> {
    if !value.contains('.') {
        return millis(value);
    }
    match value.parse::<f64>() {
        Ok(millis) if (0.0..=f64::from(i32::MAX)).contains(&millis) => Ok(Duration::from_secs_f64(millis / 1000.0)),
        Ok(_) => Err(Wrong::new(format!("is not in 0 to {}", i32::MAX))),
        Err(_) => Err(Wrong::new("is not a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_those_of_java_and_librdkafka() {
        for yes in ["true", "TRUE", "t", "1"] {
            assert_eq!(boolean(yes), Ok(true));
        }
        for no in ["false", "False", "f", "0"] {
            assert_eq!(boolean(no), Ok(false));
        }
        for neither in ["", "yes", "2", "on"] {
            assert!(boolean(neither).is_err(), "{neither}");
        }
    }

    #[test]
    fn milliseconds_fit_32_bits() {
        assert_eq!(millis("0"), Ok(Duration::ZERO));
        assert_eq!(millis("2147483647"), Ok(Duration::from_millis(2_147_483_647)));
        assert!(millis("2147483648").unwrap_err().hint.unwrap().contains("24 days"));
        assert_eq!(millis("99999999999999999999999").unwrap_err().what, "is not in 0 to 2147483647");
        assert_eq!(millis("-1").unwrap_err().what, "is not in 0 to 2147483647");
        assert!(millis("30s").unwrap_err().hint.unwrap().contains("no unit"));
        for no_number in ["", "1.5", "abc", "1_000", "-", "0x10"] {
            assert!(millis(no_number).unwrap_err().what.starts_with("is not"), "{no_number}");
        }
    }

    #[test]
    fn a_linger_may_have_a_fraction() {
        assert_eq!(millis_with_fraction("0.5"), Ok(Duration::from_micros(500)));
        assert_eq!(millis_with_fraction("5"), Ok(Duration::from_millis(5)));
        for wrong in ["-0.5", "2147483647.5", "nan.", "1.2.3", "."] {
            assert!(millis_with_fraction(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_bounds() {
        assert_eq!(size("1", 1, 5), Ok(1));
        assert!(size("0", 1, 5).is_err());
        assert!(size("6", 1, 5).is_err());
        assert!(size("-9999999999999999999999", 1, 5).is_err());
    }
}
