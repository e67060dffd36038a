//! How far the replay of a folder is: a small file, replaced in one step before each send.
//!
//! It holds all that a restarted replay needs to send the same batch under the same identity again, so that the broker can drop it:
//! the sequence is written out rather than computed from the offset, since a damaged batch leaves a gap in the offsets and the broker
//! allows none in the sequences.

use milena_sequence::{Identity, Stamp};
use milena_wire::{ProducerEpoch, ProducerId, Sequence, crc};

/// How far a folder's replay is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// Everything in front of this offset of the spool is done with.
    pub next: i64,
    /// The replay's own identity in this folder, once it has one, and the sequence of the next batch under it.
    pub own: Option<Stamp>,
    /// What the batch at `next` may have been sent as.
    pub trying: Option<Trying>,
    /// The number of partitions that the batch at `next` is being spread over; only in `unassigned`.
    pub partitions: Option<i32>,
    /// Where the batch before ended in the stream that it was sent in before it came here, if it is certain that it never will be on the log as
    /// that: what was sent behind it in that stream cannot be there either.
    pub behind: Option<Stamp>,
}

/// What a batch was sent as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trying {
    /// Its identity and first sequence.
    pub stamp: Stamp,
    /// Whether that is the replay's own identity, rather than the one it was sent with before it came into the spool.
    pub own: bool,
    /// When it was first sent like that, milliseconds since 1970.
    pub since_ms: i64,
}

const HEAD: &str = "milena-replay 1";

impl Progress {
    pub(crate) fn encode(&self) -> String {
        let mut text = format!("{HEAD}\nnext {}\n", self.next);
        if let Some(stamp) = self.own {
            text.push_str(&format!("own {}\n", words(stamp)));
        }
        if let Some(Trying { stamp, own, since_ms }) = self.trying {
            let whose = if own { "own" } else { "first" };
            text.push_str(&format!("trying {} {whose} {since_ms}\n", words(stamp)));
        }
        if let Some(partitions) = self.partitions {
            text.push_str(&format!("partitions {partitions}\n"));
        }
        if let Some(stamp) = self.behind {
            text.push_str(&format!("behind {}\n", words(stamp)));
        }
        let sum = crc::crc32c(text.as_bytes());
        text.push_str(&format!("crc {sum:08x}\n"));
        text
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let body = &text[..text.rfind("crc ")?];
        if text[body.len()..] != format!("crc {:08x}\n", crc::crc32c(body.as_bytes())) {
            return None;
        }
        let mut lines = body.lines();
        if lines.next()? != HEAD {
            return None;
        }
        let mut progress = Self::default();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            match *words.as_slice() {
                ["next", offset] => progress.next = offset.parse().ok()?,
                ["own", id, epoch, sequence] => {
                    progress.own = Some(stamp(id, epoch, sequence)?);
                }
                ["trying", id, epoch, sequence, whose, since] => {
                    progress.trying = Some(Trying {
                        stamp: stamp(id, epoch, sequence)?,
                        own: whose == "own",
                        since_ms: since.parse().ok()?,
                    });
                }
                ["behind", id, epoch, sequence] => progress.behind = Some(stamp(id, epoch, sequence)?),
                ["partitions", count] => progress.partitions = Some(count.parse().ok()?),
                _ => return None,
            }
        }
        Some(progress)
    }
}

fn words(Stamp { identity: Identity { producer_id, epoch }, sequence }: Stamp) -> String {
    format!("{} {} {}", producer_id.0, epoch.0, sequence.get())
}

fn stamp(id: &str, epoch: &str, sequence: &str) -> Option<Stamp> {
    let (producer_id, epoch) = (ProducerId(id.parse().ok()?), ProducerEpoch(epoch.parse().ok()?));
    Some(Stamp { identity: Identity { producer_id, epoch }, sequence: Sequence::new(sequence.parse().ok()?)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Progress {
        let identity = Identity { producer_id: ProducerId(4000), epoch: ProducerEpoch(2) };
        let stamp = Stamp { identity, sequence: Sequence::new(17).unwrap() };
        let trying = Trying { stamp, own: false, since_ms: 99 };
        Progress { next: 123, own: Some(stamp), trying: Some(trying), partitions: Some(3), behind: Some(stamp) }
    }

    #[test]
    fn it_comes_back() {
        for progress in [Progress::default(), full()] {
            assert_eq!(Progress::decode(progress.encode().as_bytes()), Some(progress));
        }
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_seen() {
        let bytes = full().encode().into_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Progress::decode(&bytes), None, "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert_eq!(Progress::decode(&bytes[..len]), None, "{len} bytes");
        }
    }
}
