use bytes::Bytes;

use crate::Work;

/// What every record carries where headers are asked for.
pub const HEADERS: [(&str, &[u8]); 3] =
    [("trace-id", b"4bf92f3577b34da6a3ce929d0e0e4736"), ("content-type", b"application/json"), ("origin", b"eu-1")];

/// Values: windows of one text of words from a fixed seed, the same for every client in every language. They differ from each
/// other, and compress about as well as log lines do.
#[derive(Debug)]
pub struct Payload {
    text: Bytes,
    size: usize,
    /// Where a window may begin.
    starts: usize,
}

impl Payload {
    /// With so many the text fits a core's own cache, and reading it costs little.
    const FEW: usize = 64 * 1024;
    /// With so many even a large batch hardly repeats itself, which a codec would gain from.
    const MANY: usize = 4 * 1024 * 1024;

    /// Values of the size that `work` says.
    pub fn new(work: &Work) -> Self {
        let mut next = Dice(0x9E37_79B9_7F4A_7C15);
        // 512 words of 3 to 10 letters; the numbers between them are hard to compress.
        let words: Vec<Vec<u8>> =
            (0..512).map(|_| (0..3 + next.below(8)).map(|_| b'a' + next.below(26) as u8).collect()).collect();
        let starts = if work.codec == "none" { Self::FEW } else { Self::MANY };
        let length = starts + work.size;
        let mut text = Vec::with_capacity(length + 32);
        while text.len() < length {
            if next.below(4) == 0 {
                text.extend_from_slice(next.below(1_000_000).to_string().as_bytes());
            } else {
                text.extend_from_slice(&words[next.below(512) as usize]);
            }
            text.push(b' ');
        }
        text.truncate(length);
        Self { text: text.into(), size: work.size, starts }
    }

    #[inline]
    fn start(&self, record: u64) -> usize {
        // An odd step visits every start before it repeats one.
        (record.wrapping_mul(40_503) % self.starts as u64) as usize
    }

    /// The value of a record.
    #[inline]
    pub fn of(&self, record: u64) -> &[u8] {
        let start = self.start(record);
        &self.text[start..start + self.size]
    }

    /// The same, shared and not copied.
    #[inline]
    pub fn shared(&self, record: u64) -> Bytes {
        let start = self.start(record);
        self.text.slice(start..start + self.size)
    }

    /// The key of a record: 8 bytes, one of very many.
    #[inline]
    pub fn key(record: u64) -> [u8; 8] {
        record.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()
    }
}

/// Knuth's generator, which every language can repeat.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
