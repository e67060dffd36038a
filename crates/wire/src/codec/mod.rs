//! The compression codecs of record batches, all in Rust.
//!
//! [`compress`] takes the records as the chunks they were written into; [`decompress`] never gives more than a limit.

mod blocks;
mod error;
mod gzip;
mod level;
mod lz4;
mod snappy;
#[cfg(test)]
mod tests;
mod zstd;

use std::cell::Cell;
use std::ops::Deref;

pub use error::{CodecError, CodecFault};
pub use level::{Compression, LevelError};

/// How a batch's records are compressed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Snappy blocks in the framing of xerial's Java library.
    Snappy,
    /// LZ4 frame of independent blocks.
    Lz4,
    /// Zstandard (RFC 8878). Needs Kafka 2.1 or newer.
    Zstd,
}

impl Codec {
    /// Every codec, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Its number in a batch's attributes.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec with this number, if there is one.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Kafka's name for it, as in `compression.type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no codec's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownCodec(String);

impl std::fmt::Display for UnknownCodec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unknown compression {:?}: none, gzip, snappy, lz4 and zstd are known", self.0)
    }
}

impl std::error::Error for UnknownCodec {}

/// Takes Kafka's names, in lower case.
impl std::str::FromStr for Codec {
    type Err = UnknownCodec;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|codec| codec.name() == name).ok_or_else(|| UnknownCodec(name.to_owned()))
    }
}

/// Encoders with their tables, to be kept and used again: a small batch costs less to compress than the tables to make.
///
/// What it writes does not depend on what it wrote before. It keeps the encoder of each codec it was used for, at the last level:
/// up to 0.3 MiB for gzip, 0.2 MiB for lz4 and snappy, and for zstd what the level and the largest batch asked for.
#[derive(Default)]
pub struct Compressor {
    gzip: Option<gzip::Encoder>,
    snappy: Option<snappy::Encoder>,
    lz4: Option<Box<lz4::Encoder>>,
    zstd: Option<Box<zstd::Encoder>>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

impl Compressor {
    /// No encoders yet: each is made when it is first needed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the records in `input` to `out`, compressed as one stream, chunks taken in order.
    ///
    /// # Errors
    ///
    /// [`CodecFault::Encoder`] if the codec fails, which none is known to do on any input. `out` then ends in bytes of no use.
    pub fn compress(
        &mut self,
        compression: Compression,
        input: &[impl AsRef<[u8]>],
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let level = compression.level();
        match compression.codec() {
            Codec::None => {
                input.iter().for_each(|chunk| out.extend_from_slice(chunk.as_ref()));
                Ok(())
            }
            Codec::Gzip => {
                self.gzip.take_if(|encoder| !encoder.has_level(level));
                self.gzip.get_or_insert_with(|| gzip::Encoder::new(level)).compress(input, out)
            }
            Codec::Snappy => self.snappy.get_or_insert_with(snappy::Encoder::new).compress(input, out),
            Codec::Lz4 => self.lz4.get_or_insert_with(|| Box::new(lz4::Encoder::new())).compress(input, out),
            Codec::Zstd => {
                self.zstd.take_if(|encoder| !encoder.has_level(level));
                self.zstd.get_or_insert_with(|| Box::new(zstd::Encoder::new(level))).compress(input, out)
            }
        }
    }
}

/// What a thread keeps for [`compress`].
#[derive(Default)]
struct Kept {
    compressor: Compressor,
    out: Vec<u8>,
}

/// No more than this is kept of the buffer: few batches are larger, and those take so long to compress that one more buffer is nothing to it.
const KEPT_BYTES: usize = 1 << 20;

thread_local! {
    static KEPT: Cell<Option<Box<Kept>>> = const { Cell::new(None) };
}

/// Compressed bytes, in the buffer that the thread keeps for [`compress`] and has back once this is dropped.
pub struct Compressed(Option<Box<Kept>>);

impl Deref for Compressed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |kept| &kept.out)
    }
}

impl Drop for Compressed {
    fn drop(&mut self) {
        let Some(mut kept) = self.0.take() else { return };
        kept.out.clear();
        if kept.out.capacity() > KEPT_BYTES {
            kept.out = Vec::new();
        }
        // A thread that ends keeps nothing.
        let _ = KEPT.try_with(|place| place.set(Some(kept)));
    }
}

impl std::fmt::Debug for Compressed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Compressed({})", self.len())
    }
}

/// Compresses the records in `input` as one stream, its chunks taken in order.
///
/// Every thread keeps one [`Compressor`] for this function, and the buffer that the result is in, up to 1 MiB of it: how long it will be is not known
/// before.
///
/// # Errors
///
/// [`CodecFault::Encoder`] if the codec fails, which none is known to do on any input.
pub fn compress(compression: Compression, input: &[impl AsRef<[u8]>]) -> Result<Compressed, CodecError> {
    // Taken out while it works: if it fails, or panics, it is dropped instead of being used again.
    let mut kept = KEPT.take().unwrap_or_default();
    kept.compressor.compress(compression, input, &mut kept.out)?;
    Ok(Compressed(Some(kept)))
}

/// Decompresses `input` into at most `limit` bytes.
///
/// Allocates no more than twice `limit` and a codec's tables, whatever `input` claims.
///
/// # Errors
///
/// [`CodecFault::Corrupt`] if `input` is not what the codec writes, [`CodecFault::TooLarge`] if it holds more than `limit` bytes.
pub fn decompress(codec: Codec, input: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    match codec {
        Codec::None if input.len() > limit => Err(CodecError { codec, fault: CodecFault::TooLarge { limit } }),
        Codec::None => Ok(input.to_vec()),
        Codec::Gzip => gzip::decompress(input, limit),
        Codec::Snappy => snappy::decompress(input, limit),
        Codec::Lz4 => lz4::decompress(input, limit),
        Codec::Zstd => zstd::decompress(input, limit),
    }
}
