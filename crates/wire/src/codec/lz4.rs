//! LZ4 frames, framed here because Kafka's Java reader takes less than the format allows: independent blocks only, of 64 KiB to 4 MiB.
//!
//! ```text
//! 04 22 4d 18 | FLG 60 | BD 40 | HC 82 | size, block | size, block | .. | 00 00 00 00
//! ```
//!
//! Block sizes are little-endian; their highest bit says that the block is stored as it is.

use lz4_flex::block::{
    CompressTable, DecompressError, compress_into_with_table, decompress_into, get_maximum_output_size,
};
use twox_hash::XxHash32;

use super::{Codec, CodecError, CodecFault, blocks};

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// Version 1, independent blocks, nothing optional; blocks up to 64 KiB; and the checksum of these two bytes.
const DESCRIPTOR: [u8; 3] = [0x60, 0x40, 0x82];
const BLOCK: usize = 64 * 1024;
const STORED: u32 = 1 << 31;

const FLG_VERSION: u8 = 0b1100_0000;
const FLG_VERSION_1: u8 = 0b0100_0000;
const FLG_INDEPENDENT: u8 = 0b0010_0000;
const FLG_BLOCK_CHECKSUM: u8 = 0b0001_0000;
const FLG_CONTENT_SIZE: u8 = 0b0000_1000;
const FLG_CONTENT_CHECKSUM: u8 = 0b0000_0100;
/// Reserved, and the dictionary id, which Kafka's reader treats as reserved.
const FLG_RESERVED: u8 = 0b0000_0011;
const BD_RESERVED: u8 = 0b1000_1111;

pub(super) struct Encoder {
    /// For blocks below 64 KiB, which need half the table.
    small: CompressTable,
    large: CompressTable,
    gathered: Vec<u8>,
    block: Vec<u8>,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self {
            small: CompressTable::small(),
            large: CompressTable::large(),
            gathered: Vec::new(),
            block: vec![0; get_maximum_output_size(BLOCK)],
        }
    }

    pub(super) fn compress(&mut self, input: &[impl AsRef<[u8]>], out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&DESCRIPTOR);
        blocks::for_each(input, BLOCK, &mut self.gathered, |block| {
            let table = if block.len() < usize::from(u16::MAX) { &mut self.small } else { &mut self.large };
            let len = compress_into_with_table(block, &mut self.block, table)
                .map_err(|error| CodecError { codec: Codec::Lz4, fault: CodecFault::Encoder(error.to_string()) })?;
            let (flag, data) = if len < block.len() { (0, &self.block[..len]) } else { (STORED, block) };
            // At most 64 KiB.
            let size = u32::try_from(data.len()).unwrap_or(0);
            out.extend_from_slice(&(size | flag).to_le_bytes());
            out.extend_from_slice(data);
            Ok(())
        })?;
        out.extend_from_slice(&0_u32.to_le_bytes());
        Ok(())
    }
}

pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let (header, mut rest) = FrameHeader::read(input)?;
    let mut out = Vec::new();
    loop {
        let (size, after) = rest.split_first_chunk::<4>().ok_or_else(|| corrupt("it ends without an end mark"))?;
        let size = u32::from_le_bytes(*size);
        rest = after;
        if size == 0 {
            break;
        }
        let len = (size & !STORED) as usize;
        if len > header.block_max {
            return Err(corrupt("a block is larger than its frame allows"));
        }
        let (block, after) = rest.split_at_checked(len).ok_or_else(|| corrupt("a block is longer than the data"))?;
        rest = after;
        if header.block_checksums {
            let (sum, after) =
                rest.split_first_chunk::<4>().ok_or_else(|| corrupt("it ends inside a block's checksum"))?;
            if XxHash32::oneshot(0, block) != u32::from_le_bytes(*sum) {
                return Err(corrupt("a block's checksum does not match"));
            }
            rest = after;
        }
        if size & STORED == 0 {
            packed_block(block, header.block_max, &mut out, limit)?;
        } else if len > limit - out.len() {
            return Err(too_large(limit));
        } else {
            out.extend_from_slice(block);
        }
    }
    // Java's reader takes the content's checksum without looking at it, and stops reading here.
    if header.content_checksum && rest.len() < 4 {
        return Err(corrupt("it ends inside its checksum"));
    }
    Ok(out)
}

/// What a frame's header says, as far as its reader needs it.
struct FrameHeader {
    block_max: usize,
    block_checksums: bool,
    content_checksum: bool,
}

impl FrameHeader {
    fn read(input: &[u8]) -> Result<(Self, &[u8]), CodecError> {
        let Some(&[m0, m1, m2, m3, flg, bd]) = input.first_chunk::<6>() else {
            return Err(corrupt("it ends inside its header"));
        };
        if [m0, m1, m2, m3] != MAGIC {
            return Err(corrupt("it does not begin like an LZ4 frame"));
        }
        if flg & FLG_VERSION != FLG_VERSION_1 || flg & FLG_RESERVED != 0 || bd & BD_RESERVED != 0 {
            return Err(corrupt("its header has unknown bits"));
        }
        if flg & FLG_INDEPENDENT == 0 {
            return Err(corrupt("its blocks depend on each other, which Kafka does not read"));
        }
        let block_max = match bd >> 4 {
            4 => 64 << 10,
            5 => 256 << 10,
            6 => 1 << 20,
            7 => 4 << 20,
            _ => return Err(corrupt("its block size is unknown")),
        };
        let descriptor_end = if flg & FLG_CONTENT_SIZE == 0 { 6 } else { 14 };
        let ended = || corrupt("it ends inside its header");
        let (descriptor, rest) = input.split_at_checked(descriptor_end).ok_or_else(ended)?;
        let (&checksum, rest) = rest.split_first().ok_or_else(ended)?;
        if XxHash32::oneshot(0, &descriptor[MAGIC.len()..]).to_be_bytes()[2] != checksum {
            return Err(corrupt("its header's checksum does not match"));
        }
        let header = Self {
            block_max,
            block_checksums: flg & FLG_BLOCK_CHECKSUM != 0,
            content_checksum: flg & FLG_CONTENT_CHECKSUM != 0,
        };
        Ok((header, rest))
    }
}

fn packed_block(block: &[u8], block_max: usize, out: &mut Vec<u8>, limit: usize) -> Result<(), CodecError> {
    // Every byte of a block adds at most 255 to what it says, so that a small block cannot ask for a large buffer.
    let room = block_max.min(block.len() * 255);
    let allowed = room.min(limit - out.len());
    let start = out.len();
    out.resize(start + allowed, 0);
    match decompress_into(block, &mut out[start..]) {
        Ok(len) => {
            out.truncate(start + len);
            Ok(())
        }
        Err(DecompressError::OutputTooSmall { .. }) if allowed < room => Err(too_large(limit)),
        Err(error) => Err(corrupt(&error.to_string())),
    }
}

fn corrupt(what: &str) -> CodecError {
    CodecError { codec: Codec::Lz4, fault: CodecFault::Corrupt(what.to_owned()) }
}

fn too_large(limit: usize) -> CodecError {
    CodecError { codec: Codec::Lz4, fault: CodecFault::TooLarge { limit } }
}
