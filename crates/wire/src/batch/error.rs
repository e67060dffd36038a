use std::fmt;

use crate::codec::CodecError;

/// Why bytes are not a record batch that can be read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BatchError {
    /// The batch's length field is smaller than a header.
    Length(i32),
    /// Not format v2. Versions 0 and 1 ended with Kafka 0.11.
    Magic(i8),
    /// The checksum does not match: the bytes were damaged, or never were a batch.
    Crc {
        /// What the header says.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// The attributes name a codec that Kafka does not have.
    UnknownCodec(u8),
    /// The payload cannot be decompressed, or not within the limit.
    Codec(CodecError),
    /// The header's record count is negative, or more than the payload could hold.
    Count(i32),
    /// The bytes end before the batch does.
    Truncated {
        /// Bytes the batch needs.
        needed: usize,
        /// Bytes there are.
        have: usize,
    },
    /// A record is malformed.
    Record {
        /// Its place in the batch, from 0.
        index: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Bytes are left after the last record that the header counts.
    Trailing(usize),
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "batch length {length} is impossible"),
            Self::Magic(magic) => write!(f, "batch format {magic} is not supported (only 2 is)"),
            Self::Crc { stored, computed } => {
                write!(f, "batch is corrupt: its CRC is {stored:08x}, its bytes give {computed:08x}")
            }
            Self::UnknownCodec(bits) => write!(f, "batch names codec {bits}, which does not exist"),
            Self::Codec(_) => f.write_str("batch cannot be decompressed"),
            Self::Count(count) => write!(f, "record count {count} is impossible"),
            Self::Truncated { needed, have } => write!(f, "batch needs {needed} bytes, only {have} are there"),
            Self::Record { index, what } => write!(f, "record {index} is malformed: {what}"),
            Self::Trailing(bytes) => write!(f, "{bytes} bytes are left after the last record"),
        }
    }
}

impl std::error::Error for BatchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Codec(error) => Some(error),
            _ => None,
        }
    }
}

impl From<CodecError> for BatchError {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}
