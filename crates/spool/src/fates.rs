//! The sidecar of a segment: one line for each batch, with what the batch itself cannot say.
//!
//! ```text
//! 5f3759df 1200 16 89abcdef N 7 1763712000000 - the request timed out
//! |        |    |  |        | | |             | cause, on one line
//! |        |    |  |        | | |             offset in `unassigned` that it came from; or there >3, if its records name partition 3
//! |        |    |  |        | | when it came into the spool, milliseconds since 1970
//! |        |    |  |        | error code of the broker, 0 without one
//! |        |    |  |        N not written, M maybe written
//! |        |    |  CRC of the batch: joins the line to its batch even if the batch's offset is damaged
//! |        |    records
//! |        offset of the first record
//! CRC-32C of the rest of the line
//! ```

use std::fmt::Write;

use milena_sequence::Fate;
use milena_wire::{ErrorCode, PartitionId, crc};

/// Bytes of a cause that are kept; the rest of a long one helps nobody.
const CAUSE_LIMIT: usize = 200;

/// What a line says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FateLine {
    pub(crate) offset: i64,
    pub(crate) count: i32,
    pub(crate) batch_crc: u32,
    pub(crate) fate: Fate,
    pub(crate) code: ErrorCode,
    pub(crate) when_ms: i64,
    pub(crate) origin: Option<i64>,
    /// In `unassigned`: the partition that the records name.
    pub(crate) named: Option<PartitionId>,
    pub(crate) cause: String,
}

impl FateLine {
    pub(crate) fn encode(&self) -> String {
        let fate = match self.fate {
            Fate::NotWritten => 'N',
            Fate::MaybeWritten => 'M',
        };
        let way = match (self.origin, self.named) {
            (Some(offset), _) => offset.to_string(),
            (None, Some(partition)) => format!(">{partition}"),
            (None, None) => "-".to_owned(),
        };
        let cause = one_line(&self.cause);
        let Self { offset, count, batch_crc, code, when_ms, .. } = self;
        let rest = format!("{offset} {count} {batch_crc:08x} {fate} {} {when_ms} {way} {cause}", code.0);
        format!("{:08x} {rest}\n", crc::crc32c(rest.as_bytes()))
    }

    fn decode(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let (sum, rest) = line.split_once(' ')?;
        // As written, so that a flipped case of a hexadecimal digit is damage too.
        if sum != format!("{:08x}", crc::crc32c(rest.as_bytes())) {
            return None;
        }
        let mut words = rest.splitn(8, ' ');
        let mut word = || words.next();
        let offset = word()?.parse().ok()?;
        let count = word()?.parse().ok()?;
        let batch_crc = u32::from_str_radix(word()?, 16).ok()?;
        let fate = match word()? {
            "N" => Fate::NotWritten,
            "M" => Fate::MaybeWritten,
            _ => return None,
        };
        let code = ErrorCode(word()?.parse().ok()?);
        let when_ms = word()?.parse().ok()?;
        let way = word()?;
        let (origin, named) = match (way, way.strip_prefix('>')) {
            ("-", _) => (None, None),
            (_, Some(partition)) => (None, Some(PartitionId(partition.parse().ok()?))),
            (offset, None) => (Some(offset.parse().ok()?), None),
        };
        Some(Self { offset, count, batch_crc, fate, code, when_ms, origin, named, cause: word()?.to_owned() })
    }
}

/// What a sidecar holds.
#[derive(Debug, Default)]
pub(crate) struct FateLines {
    pub(crate) lines: Vec<FateLine>,
    /// Positions of lines that are damaged.
    pub(crate) damaged: Vec<u64>,
    /// Whether the file ends within a line.
    pub(crate) torn: bool,
}

/// Reads a sidecar. A damaged line costs that line.
pub(crate) fn decode(bytes: &[u8]) -> FateLines {
    let mut found = FateLines::default();
    let mut at = 0;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        match line.strip_suffix(b"\n").map(FateLine::decode) {
            Some(Some(line)) => found.lines.push(line),
            Some(None) => found.damaged.push(at),
            None => found.torn = true,
        }
        at += line.len() as u64;
    }
    found
}

fn one_line(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.len() >= CAUSE_LIMIT {
            break;
        }
        let shown = if c.is_control() { ' ' } else { c };
        let _always_fits = out.write_char(shown);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cause: &str) -> FateLine {
        FateLine {
            offset: 12,
            count: 3,
            batch_crc: 0xdead_beef,
            fate: Fate::MaybeWritten,
            code: ErrorCode(7),
            when_ms: 1_763_712_000_000,
            origin: Some(4),
            named: None,
            cause: cause.to_owned(),
        }
    }

    #[test]
    fn lines_come_back_and_a_cause_stays_on_its_line() {
        for cause in ["", "timed out", "a  b c"] {
            let found = decode(line(cause).encode().as_bytes());
            assert_eq!(found.lines, [line(cause)]);
        }
        let named = FateLine { origin: None, named: Some(PartitionId(3)), ..line("c") };
        assert_eq!(decode(named.encode().as_bytes()).lines, [named]);
        let found = decode(line("a\nb\0").encode().as_bytes());
        assert_eq!(found.lines[0].cause, "a b ");
        assert!(line(&"ü".repeat(999)).encode().len() < 300);
    }

    #[test]
    fn a_flipped_bit_costs_its_own_line() {
        let text = [line("one").encode(), line("two").encode(), line("three").encode()].concat();
        let len = line("one").encode().len();
        for at in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[at / 8] ^= 1 << (at % 8);
            let found = decode(&bytes);
            let hit = match at / 8 {
                at if at < len => 0,
                at if at < 2 * len => 1,
                _ => 2,
            };
            let newline = text.as_bytes()[at / 8] == b'\n';
            for (i, cause) in ["one", "two", "three"].iter().enumerate() {
                let kept = found.lines.iter().any(|line| line.cause == *cause);
                // A newline that is lost joins two lines.
                assert_eq!(kept, i != hit && !(newline && i == hit + 1), "bit {at}, {cause}");
            }
            assert!(!found.damaged.is_empty() || found.torn);
        }
    }
}
