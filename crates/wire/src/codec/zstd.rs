//! Zstandard: one frame per batch when writing, any number when reading.

use structured_zstd::decoding::errors::{
    DecodeBlockContentError, DecodeBufferError, DecompressBlockError, ExecuteSequencesError, FrameDecoderError,
};
use structured_zstd::decoding::{
    ContentChecksum, FrameDecoder, FrameMagic, find_frame_compressed_size, frame_decompressed_bound, frame_magic,
};
use structured_zstd::encoding::{CompressionContext, CompressionLevel};

use super::{Codec, CodecError, CodecFault, Compression};

/// Largest frame that holds nothing: its header, one empty block, a checksum.
const EMPTY_FRAME_MAX: usize = 18 + 3 + 4;
/// A block of 128 KiB takes 4 bytes, if one byte repeats.
const MAX_RATIO: u64 = 32 * 1024;

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

    pub(super) fn compress(&mut self, input: &[impl AsRef<[u8]>], out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.context.abandon_frame();
        let len: usize = input.iter().map(|chunk| chunk.as_ref().len()).sum();
        // The size in the frame's header lets a reader allocate once, and keeps the window no larger than the batch.
        self.context.set_pledged_content_size(len as u64).map_err(failed)?;
        for chunk in input {
            let mut rest = chunk.as_ref();
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
    // The frames' block headers bound what they hold, so that the result is allocated once and never beyond the limit.
    let mut bound = 0_u64;
    let mut rest = input;
    while !rest.is_empty() {
        let (frame, after) = split_frame(rest)?;
        bound = bound.saturating_add(bound_of(frame)?);
        rest = after;
    }
    let bound = usize::try_from(bound).unwrap_or(usize::MAX);
    let mut out = vec![0; bound.min(limit)];
    let mut decoder = FrameDecoder::new();
    decoder.set_content_checksum(ContentChecksum::Verify);
    let mut len = 0;
    rest = input;
    while !rest.is_empty() {
        let (frame, after) = split_frame(rest)?;
        rest = after;
        if bound_of(frame)? == 0 {
            check_empty(frame)?;
            continue;
        }
        len += decoder.decode_all(frame, &mut out[len..]).map_err(|error| {
            // With room for the whole bound, only a malformed frame runs out of it.
            if bound > limit && is_out_of_room(&error) {
                CodecError { codec: Codec::Zstd, fault: CodecFault::TooLarge { limit } }
            } else {
                corrupt(&error.to_string())
            }
        })?;
    }
    out.truncate(len);
    Ok(out)
}

/// Accepts a frame that says it is empty, without decoding it: the decoder would do so in a window as large as the frame likes.
fn check_empty(frame: &[u8]) -> Result<(), CodecError> {
    let skippable = matches!(frame_magic(frame), Some(FrameMagic::Skippable(_)));
    if skippable || frame.len() <= EMPTY_FRAME_MAX {
        Ok(())
    } else {
        Err(corrupt("a frame is not as empty as it says"))
    }
}

fn is_out_of_room(error: &FrameDecoderError) -> bool {
    use DecodeBlockContentError::DecompressBlockError as Block;
    use DecompressBlockError::ExecuteSequencesError as Sequences;
    use ExecuteSequencesError as E;
    matches!(
        error,
        FrameDecoderError::TargetTooSmall
            | FrameDecoderError::FailedToReadBlockBody(Block(Sequences(
                E::OutputBufferOverflow { .. } | E::DecodebufferError(DecodeBufferError::OutputBufferOverflow { .. })
            )))
    )
}

/// What `frame` holds at most, as far as its header can be believed.
fn bound_of(frame: &[u8]) -> Result<u64, CodecError> {
    let bound = frame_decompressed_bound(frame).map_err(|error| corrupt(&format!("{error:?}")))?;
    if bound > (frame.len() as u64).saturating_mul(MAX_RATIO) {
        return Err(corrupt("a frame claims more than it can hold"));
    }
    Ok(bound)
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
