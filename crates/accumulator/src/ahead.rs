//! Memory that will be written soon, brought to the processor that will write it.
//!
//! The I/O thread read a chunk last, so that its cache lines are in another processor's cache, or in none near by. A store that finds its line
//! elsewhere is not waited for, until the next record takes its partition's lock, which waits for all stores in front of it. So lines are asked
//! for some records before they are written to, which nothing waits for at all.

use std::ops::Range;

use crate::tail::LARGE;

/// How far in front of what is written lines are asked for: the time that a processor takes for a few small records is enough.
pub(crate) const AHEAD: usize = 512;

/// Of nearly every processor; where it is longer a line is asked for twice.
const CACHE_LINE: usize = 64;

/// Asks for what the first records will be written to, of which the first takes `total` bytes.
///
/// For large records all of it is written to, line after line: so they come many at a time. A program that sends large records does not have
/// so many of them in the time of a cache miss that it could ask for those of the next.
pub(crate) fn begin(room: &mut [u8], total: usize) {
    if total >= LARGE {
        room.chunks_mut(CACHE_LINE).for_each(|line| line[0] = 0);
    } else {
        ask_for(&room[..room.len().min(AHEAD)]);
    }
}

/// Asks for as much more as the record took, `total` bytes, that was just written in front of `room`.
#[inline(always)]
pub(crate) fn go_on(room: &[u8], total: usize) {
    if total < LARGE {
        ask_for(&room[next(room.len(), total)]);
    }
}

/// What comes behind that which was asked for before the record was written.
#[inline(always)]
fn next(room: usize, total: usize) -> Range<usize> {
    (AHEAD - total).min(room)..AHEAD.min(room)
}

const _: () = assert!(LARGE <= AHEAD);

#[inline(always)]
fn ask_for(bytes: &[u8]) {
    let mut at = 0;
    while at < bytes.len() {
        branches::prefetch_write_data::<_, 0>(bytes[at..].as_ptr());
        at += CACHE_LINE;
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use super::*;

    #[test]
    fn each_byte_of_a_chunk_is_asked_for_once() {
        for chunk in [256, 600, 16 << 10] {
            let (mut written, mut asked) = (0, AHEAD.min(chunk));
            for total in [50, 1, 500, 90, 511, 7].into_iter().cycle() {
                if total > chunk - written {
                    break;
                }
                written += total;
                let ahead = next(chunk - written, total);
                assert_eq!(written + ahead.start, asked, "{written} of {chunk}");
                asked = written + ahead.end;
            }
            assert_eq!(asked, chunk);
        }
    }
}
