//! Snappy as xerial's `SnappyOutputStream` frames it, which is what Kafka's Java client writes; not the Snappy framing format.
//!
//! ```text
//! 82 "SNAPPY" 00 | version 1 | compatible with 1 | length, raw block | length, raw block | ..
//! ```
//!
//! All numbers are big-endian and 4 bytes. What does not begin like this is one raw block, as some other clients write it.

use super::{Codec, CodecError, CodecFault, blocks};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const VERSION: u32 = 1;
const HEADER_LEN: usize = 16;
/// What xerial's stream compresses at a time. Readers take any size.
const BLOCK: usize = 32 * 1024;
/// A copy of 64 bytes takes 3; nothing in the format expands more.
const MAX_RATIO: usize = 22;

pub(super) struct Encoder {
    raw: snap::raw::Encoder,
    gathered: Vec<u8>,
    block: Vec<u8>,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self {
            raw: snap::raw::Encoder::new(),
            gathered: Vec::new(),
            block: vec![0; snap::raw::max_compress_len(BLOCK)],
        }
    }

    pub(super) fn compress(&mut self, input: &[impl AsRef<[u8]>], out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&VERSION.to_be_bytes());
        blocks::for_each(input, BLOCK, &mut self.gathered, |block| {
            let len = self.raw.compress(block, &mut self.block).map_err(failed)?;
            out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(&self.block[..len]);
            Ok(())
        })
    }
}

pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    let Some(mut rest) = after_header(input)? else {
        raw_block(input, &mut out, limit)?;
        return Ok(out);
    };
    while !rest.is_empty() {
        // Streams joined end to end are one stream to Java's reader, and so they are here.
        if let Some(after) = after_header(rest)? {
            rest = after;
            continue;
        }
        let (len, after) = rest.split_first_chunk::<4>().ok_or_else(|| corrupt("it ends inside a block's length"))?;
        let len = u32::from_be_bytes(*len) as usize;
        let (block, after) = after.split_at_checked(len).ok_or_else(|| corrupt("a block is longer than the data"))?;
        raw_block(block, &mut out, limit)?;
        rest = after;
    }
    Ok(out)
}

/// What follows a stream header; `None` if `input` does not begin with one.
fn after_header(input: &[u8]) -> Result<Option<&[u8]>, CodecError> {
    let Some((header, rest)) = input.split_first_chunk::<HEADER_LEN>() else { return Ok(None) };
    if header[..MAGIC.len()] != MAGIC {
        return Ok(None);
    }
    let [.., a, b, c, d] = *header;
    if u32::from_be_bytes([a, b, c, d]) > VERSION {
        return Err(corrupt("its stream version is too new"));
    }
    Ok(Some(rest))
}

fn raw_block(block: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), CodecError> {
    let len = snap::raw::decompress_len(block).map_err(malformed)?;
    if len > limit - out.len() {
        return Err(CodecError { codec: Codec::Snappy, fault: CodecFault::TooLarge { limit } });
    }
    if len > block.len().saturating_mul(MAX_RATIO) {
        return Err(corrupt("a block claims more than it can hold"));
    }
    let start = out.len();
    out.resize(start + len, 0);
    snap::raw::Decoder::new().decompress(block, &mut out[start..]).map_err(malformed)?;
    Ok(())
}

fn corrupt(what: &str) -> CodecError {
    CodecError { codec: Codec::Snappy, fault: CodecFault::Corrupt(what.to_owned()) }
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn malformed(error: snap::Error) -> CodecError {
    corrupt(&error.to_string())
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn failed(error: snap::Error) -> CodecError {
    CodecError { codec: Codec::Snappy, fault: CodecFault::Encoder(error.to_string()) }
}
