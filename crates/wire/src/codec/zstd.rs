//! Zstandard: one frame per batch when writing, any number when reading.

use bytes::Bytes;
use structured_zstd::decoding::errors::FrameDecoderError;
use structured_zstd::decoding::{
    ContentChecksum, FrameDecoder, FrameMagic, find_frame_compressed_size, frame_decompressed_bound, frame_magic,
};
use structured_zstd::encoding::{CompressionContext, CompressionLevel};

use super::{Codec, CodecError, CodecFault, Compression};

/// Largest frame that holds nothing: its header, one empty block, a checksum.
const EMPTY_FRAME_MAX: usize = 18 + 3 + 4;

pub(super) struct Encoder {
    level: i32,
    context: CompressionContext,
}

impl Encoder {
    pub(super) fn new(level: Option<i32>) -> Self {
        let level = level.unwrap_or(Compression::ZSTD_DEFAULT_LEVEL);
        Self { level, context: CompressionContext::new(CompressionLevel::from_level(level)) }
    }

    pub(super) fn has_level(&self, level: Option<i32>) -> bool {
        self.level == level.unwrap_or(Compression::ZSTD_DEFAULT_LEVEL)
    }

    pub(super) fn compress(&mut self, input: &[Bytes], out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.context.abandon_frame();
        let len: usize = input.iter().map(Bytes::len).sum();
        // The size in the frame's header lets a reader allocate once, and keeps the window no larger than the batch.
        self.context.set_pledged_content_size(len as u64).map_err(failed)?;
        for chunk in input {
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let taken = self.context.write(out, rest).map_err(failed)?;
                rest = &rest[taken..];
            }
        }
        self.context.finish_frame(out).map_err(failed)
    }
}

pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    if input.is_empty() {
        return Err(corrupt("it is empty"));
    }
    // Walks the frames' block headers, so that the result is allocated once and a claim larger than the limit costs nothing.
    let mut bound = 0_u64;
    let mut rest = input;
    while !rest.is_empty() {
        let (frame, after) = split_frame(rest)?;
        bound = bound.saturating_add(frame_decompressed_bound(frame).map_err(|error| corrupt(&format!("{error:?}")))?);
        rest = after;
    }
    let mut out = vec![0; usize::try_from(bound).unwrap_or(usize::MAX).min(limit)];
    let mut decoder = FrameDecoder::new();
    decoder.set_content_checksum(ContentChecksum::Verify);
    let mut len = 0;
    rest = input;
    while !rest.is_empty() {
        let (frame, after) = split_frame(rest)?;
        len += decode_frame(&mut decoder, frame, &mut out[len..], limit)?;
        rest = after;
    }
    out.truncate(len);
    Ok(out)
}

fn decode_frame(decoder: &mut FrameDecoder, frame: &[u8], out: &mut [u8], limit: usize) -> Result<usize, CodecError> {
    let declares_nothing = frame_decompressed_bound(frame).is_ok_and(|bound| bound == 0);
    if declares_nothing {
        // A frame that says it is empty is decoded into a window of the decoder's own; a large one would fill it for nothing.
        let skippable = matches!(frame_magic(frame), Some(FrameMagic::Skippable(_)));
        return if skippable || frame.len() <= EMPTY_FRAME_MAX {
            Ok(0)
        } else {
            Err(corrupt("a frame is not as empty as it says"))
        };
    }
    decoder.decode_all(frame, out).map_err(|error| match error {
        FrameDecoderError::TargetTooSmall => CodecError { codec: Codec::Zstd, fault: CodecFault::TooLarge { limit } },
        error => corrupt(&error.to_string()),
    })
}

fn split_frame(input: &[u8]) -> Result<(&[u8], &[u8]), CodecError> {
    let len = find_frame_compressed_size(input).map_err(|error| corrupt(&format!("{error:?}")))?;
    input.split_at_checked(len).ok_or_else(|| corrupt("a frame is longer than the data"))
}

fn corrupt(what: &str) -> CodecError {
    CodecError { codec: Codec::Zstd, fault: CodecFault::Corrupt(what.to_owned()) }
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn failed(error: structured_zstd::io::Error) -> CodecError {
    CodecError { codec: Codec::Zstd, fault: CodecFault::Encoder(error.to_string()) }
}
