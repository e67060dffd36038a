//! gzip: one member per batch when writing, any number when reading.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use flate2::{Compress, Compression as Level, FlushCompress, Status};

use super::{Codec, CodecError, CodecFault, Compression};

/// The largest window that deflate has: 32 KiB.
const WINDOW_BITS: u8 = 15;
/// Deflate cannot expand more than this when it is read.
const MAX_RATIO: usize = 1032;

/// A deflate state, kept because its tables (a quarter of a MiB) cost more to make than a small batch to compress.
pub(super) struct Encoder {
    level: u32,
    state: Compress,
}

impl Encoder {
    pub(super) fn new(level: Option<i32>) -> Self {
        let level = level_number(level);
        Self { level, state: Compress::new_gzip(Level::new(level), WINDOW_BITS) }
    }

    pub(super) fn has_level(&self, level: Option<i32>) -> bool {
        self.level == level_number(level)
    }

    pub(super) fn compress(&mut self, input: &[impl AsRef<[u8]>], out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.state.reset();
        for chunk in input {
            let mut rest = chunk.as_ref();
            while !rest.is_empty() {
                let read = self.step(rest, out, FlushCompress::None)?.0;
                rest = &rest[read..];
            }
        }
        while self.step(&[], out, FlushCompress::Finish)?.1 != Status::StreamEnd {}
        Ok(())
    }

    fn step(&mut self, input: &[u8], out: &mut Vec<u8>, flush: FlushCompress) -> Result<(usize, Status), CodecError> {
        if out.capacity() - out.len() < 64 {
            out.reserve(4096.max(out.len() / 2));
        }
        let before = self.state.total_in();
        let status = self
            .state
            .compress_vec(input, out, flush)
            .map_err(|error| CodecError { codec: Codec::Gzip, fault: CodecFault::Encoder(error.to_string()) })?;
        let read = usize::try_from(self.state.total_in() - before).unwrap_or(input.len());
        Ok((read, status))
    }
}

fn level_number(level: Option<i32>) -> u32 {
    u32::try_from(level.unwrap_or(Compression::GZIP_DEFAULT_LEVEL)).unwrap_or(6)
}

pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let corrupt = |what: String| CodecError { codec: Codec::Gzip, fault: CodecFault::Corrupt(what) };
    if input.is_empty() {
        return Err(corrupt("it is empty".to_owned()));
    }
    // A member's last bytes say how much it holds, modulo 2^32. A hint, and believed no further than deflate can expand.
    let hint = input.last_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    let mut out = Vec::with_capacity(hint.min(input.len().saturating_mul(MAX_RATIO)).min(limit));
    let mut members = MultiGzDecoder::new(input);
    members.by_ref().take(limit as u64).read_to_end(&mut out).map_err(|error| corrupt(error.to_string()))?;
    // Only at the end are the last member's checksum and length compared.
    match members.read(&mut [0]) {
        Ok(0) => Ok(out),
        Ok(_) => Err(CodecError { codec: Codec::Gzip, fault: CodecFault::TooLarge { limit } }),
        Err(error) => Err(corrupt(error.to_string())),
    }
}
