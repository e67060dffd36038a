use std::fmt;

use super::Codec;

/// Why bytes could not be compressed or decompressed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CodecError {
    /// The codec at work.
    pub codec: Codec,
    /// What went wrong.
    pub fault: CodecFault,
}

/// What went wrong in a codec.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CodecFault {
    /// The bytes are not what this codec writes, or not what Kafka reads of it.
    Corrupt(String),
    /// The encoder failed.
    Encoder(String),
    /// Decompressed, the bytes are more than `limit`.
    TooLarge {
        /// The caller's limit.
        limit: usize,
    },
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            CodecFault::Corrupt(what) => write!(f, "{} data is malformed: {what}", self.codec),
            CodecFault::Encoder(what) => write!(f, "{} encoder failed: {what}", self.codec),
            CodecFault::TooLarge { limit } => {
                write!(f, "{} data is larger than {limit} bytes decompressed", self.codec)
            }
        }
    }
}

impl std::error::Error for CodecError {}
