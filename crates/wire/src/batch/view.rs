use super::header::{CRC_START, LENGTH_END, MAGIC_AT};
use super::{BATCH_HEADER_LEN, BatchError, BatchHeader, RecordTimes, Records};
use crate::codec::{self, Codec};
use crate::crc;

/// The least bytes of a record: length, attributes, timestamp, offset, null key, null value, no headers.
const RECORD_MIN_LEN: usize = 7;

/// One whole batch, where it lies.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    bytes: &'a [u8],
    header: BatchHeader,
}

impl<'a> BatchView<'a> {
    /// The batch at the front of `bytes`, and what follows it.
    ///
    /// Checks the format version and that the batch is there whole; the CRC and the records are not looked at.
    ///
    /// # Errors
    ///
    /// [`BatchError::Magic`], [`BatchError::Length`], [`BatchError::Count`], or [`BatchError::Truncated`], which a reader of a log
    /// that ends in half a batch may take for the end.
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BatchError> {
        let header = BatchHeader::decode(bytes)?;
        let (bytes, rest) = bytes
            .split_at_checked(header.total_len())
            .ok_or_else(|| BatchError::Truncated { needed: header.total_len(), have: bytes.len() })?;
        Ok((Self { bytes, header }, rest))
    }

    /// The fields in front of the records.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch, header included.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The records as they lie in the batch, compressed as the attributes say.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[BATCH_HEADER_LEN..]
    }

    /// Compares the CRC with the bytes it covers.
    ///
    /// # Errors
    ///
    /// [`BatchError::Crc`] if they differ.
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let computed = crc::crc32c(&self.bytes[CRC_START..]);
        if computed == self.header.crc { Ok(()) } else { Err(BatchError::Crc { stored: self.header.crc, computed }) }
    }

    /// The records, decompressed if need be: at most `limit` bytes of them, so that a small batch cannot fill the memory.
    ///
    /// # Errors
    ///
    /// [`BatchError::UnknownCodec`], [`BatchError::Codec`], or [`BatchError::Count`] if the payload is too small for the records that
    /// the header counts. What is wrong with a single record, its iterator says.
    pub fn records(&self, limit: usize) -> Result<Records<'a>, BatchError> {
        let times = RecordTimes {
            base: self.header.base_timestamp,
            max: self.header.max_timestamp,
            timestamp_type: self.header.attributes.timestamp_type(),
        };
        let count =
            usize::try_from(self.header.record_count).map_err(|_| BatchError::Count(self.header.record_count))?;
        let records = match self.header.attributes.codec()? {
            Codec::None => Records::over(self.payload(), count, times),
            // Log compaction can leave a batch without records, and then without a compressed stream.
            _ if self.payload().is_empty() => Records::over(self.payload(), count, times),
            codec => Records::over(codec::decompress(codec, self.payload(), limit)?, count, times),
        };
        if count > records.payload().len() / RECORD_MIN_LEN {
            return Err(BatchError::Count(self.header.record_count));
        }
        Ok(records)
    }

    /// Format version of the batch or message set at the front of `bytes`, if they are long enough to tell.
    #[must_use]
    pub fn peek_magic(bytes: &[u8]) -> Option<i8> {
        bytes.get(MAGIC_AT).map(|magic| magic.cast_signed())
    }

    /// Bytes of the batch at the front of `bytes`, if they are long enough to tell and the length is not absurd.
    #[must_use]
    pub fn peek_len(bytes: &[u8]) -> Option<usize> {
        let length = i32::from_be_bytes(*bytes.get(8..LENGTH_END)?.first_chunk()?);
        usize::try_from(length).ok().map(|length| LENGTH_END + length)
    }
}
