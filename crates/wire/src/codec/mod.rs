//! The compression codecs of record batches, all in Rust.
//!
//! [`compress`] takes the records as the chunks they were written into; [`decompress`] never gives more than a limit.

mod error;
mod level;

pub use error::{CodecError, CodecFault};
pub use level::{Compression, LevelError};

use bytes::Bytes;

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

/// Compresses the records in `input` as one stream, its chunks taken in order.
///
/// `capacity` is how many bytes the result will probably have; a good guess saves copies, a bad one harms nothing.
///
/// # Errors
///
/// [`CodecFault::Encoder`] if the codec fails, which none is known to do on any input.
pub fn compress(compression: Compression, input: &[Bytes], capacity: usize) -> Result<Vec<u8>, CodecError> {
    let _ = (compression, input, capacity);
    todo!()
}

/// Decompresses `input` into at most `limit` bytes.
///
/// # Errors
///
/// [`CodecFault::Corrupt`] if `input` is not what the codec writes, [`CodecFault::TooLarge`] if it holds more than `limit` bytes.
pub fn decompress(codec: Codec, input: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let _ = (codec, input, limit);
    todo!()
}
