use std::fmt;

use super::Codec;

/// A codec and how hard it works.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Compression {
    codec: Codec,
    level: Option<i32>,
}

impl Compression {
    /// No compression.
    pub const NONE: Self = Self::new(Codec::None);
    /// Kafka's default level for gzip: zlib's own.
    pub const GZIP_DEFAULT_LEVEL: i32 = 6;
    /// Kafka's default level for zstd.
    pub const ZSTD_DEFAULT_LEVEL: i32 = 3;

    /// `codec` at its default level.
    #[must_use]
    pub const fn new(codec: Codec) -> Self {
        Self { codec, level: None }
    }

    /// `codec` at `level`.
    ///
    /// gzip has 1 (fastest) to 9 (smallest), and -1 for its default; zstd has -131072 (fastest) to 22 (smallest), 0 meaning its default.
    ///
    /// # Errors
    ///
    /// [`LevelError`] if the codec has no levels here, or not this one.
    pub const fn with_level(codec: Codec, level: i32) -> Result<Self, LevelError> {
        let reason = match codec {
            Codec::None => LevelReason::NotCompressing,
            Codec::Gzip if level == -1 => return Ok(Self::new(codec)),
            Codec::Gzip if level >= 1 && level <= 9 => return Ok(Self { codec, level: Some(level) }),
            Codec::Zstd if level >= ZSTD_MIN && level <= ZSTD_MAX => return Ok(Self { codec, level: Some(level) }),
            Codec::Snappy => LevelReason::FormatHasNone,
            Codec::Lz4 => LevelReason::EncoderHasNone,
            Codec::Gzip => LevelReason::OutOfRange { least: 1, most: 9 },
            Codec::Zstd => LevelReason::OutOfRange { least: ZSTD_MIN, most: ZSTD_MAX },
        };
        Err(LevelError { codec, level, reason })
    }

    /// The codec.
    #[must_use]
    pub const fn codec(self) -> Codec {
        self.codec
    }

    /// The level, unless it is the codec's default.
    #[must_use]
    pub const fn level(self) -> Option<i32> {
        self.level
    }
}

const ZSTD_MIN: i32 = -131_072;
const ZSTD_MAX: i32 = 22;

/// A level that the codec does not have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LevelError {
    codec: Codec,
    level: i32,
    reason: LevelReason,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LevelReason {
    NotCompressing,
    FormatHasNone,
    EncoderHasNone,
    OutOfRange { least: i32, most: i32 },
}

impl fmt::Display for LevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "compression level {} is not available for {}: ", self.level, self.codec)?;
        match self.reason {
            LevelReason::NotCompressing => f.write_str("nothing is compressed"),
            LevelReason::FormatHasNone => f.write_str("snappy has no levels"),
            LevelReason::EncoderHasNone => {
                f.write_str("its encoder (lz4_flex) has the fast mode only, which is Kafka's default")
            }
            LevelReason::OutOfRange { least, most } => write!(f, "it has {least} to {most}"),
        }
    }
}

impl std::error::Error for LevelError {}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Some(level) => write!(f, "{} level {level}", self.codec),
            None => write!(f, "{}", self.codec),
        }
    }
}
