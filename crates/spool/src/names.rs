//! Topics as folder names.

use crate::SpoolError;

/// Longest name that Kafka accepts for a topic.
const LONGEST: usize = 249;

/// Accepts what Kafka accepts as a topic's name, which is safe as a folder's name: no separator, no way up.
pub(crate) fn check(topic: &str) -> Result<(), SpoolError> {
    let why = if topic.is_empty() {
        "it has no name"
    } else if topic == "." || topic == ".." {
        "Kafka allows no topic of that name"
    } else if topic.len() > LONGEST {
        "it is longer than the 249 bytes that Kafka allows"
    } else if !topic.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        "Kafka allows only letters, digits, '.', '_' and '-' in a topic's name"
    } else {
        return Ok(());
    };
    Err(SpoolError::TopicName { topic: topic.to_owned(), why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kafka_refuses_is_refused_and_nothing_else() {
        for good in ["a", "A.b_c-9", "...", ".lock", &"x".repeat(249)] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "../x", "a\\b", "a b", "ü", "a\0", "a:b", &"x".repeat(250)] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
