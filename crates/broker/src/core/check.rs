//! What Kafka looks at in a batch before it appends it, as far as the batch alone decides.

use bytes::Bytes;
use milena_wire::{ApiVersion, BATCH_HEADER_LEN, BatchError, BatchHeader, BatchView, Codec, ErrorCode};

use super::refusal::Refusal;

/// Decompressed bytes of one batch that are looked at; a batch that is larger is refused.
const DECOMPRESSED_MAX: usize = 128 * 1024 * 1024;

/// The records of one partition in a Produce request, looked at without knowing the partition.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// One batch, or why the bytes are not exactly one.
    pub(crate) batch: Result<Batch, Refusal>,
}

/// One whole batch, and what is wrong with it.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) header: BatchHeader,
    pub(crate) bytes: Bytes,
    /// The first thing that is wrong, if anything. It counts after the checks that need to know the topic.
    pub(crate) content: Result<Content, Refusal>,
}

/// What is known of a valid batch's records.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Content {
    /// Whether some record has no key. Unknown, and false, if records were not looked at.
    pub(crate) has_null_key: bool,
}

impl Batch {
    /// Bytes of the header.
    pub(crate) fn raw_header(&self) -> [u8; BATCH_HEADER_LEN] {
        let mut raw = [0; BATCH_HEADER_LEN];
        raw.copy_from_slice(&self.bytes[..BATCH_HEADER_LEN]);
        raw
    }

    /// The records as they lie in the batch.
    pub(crate) fn payload(&self) -> Bytes {
        self.bytes.slice(BATCH_HEADER_LEN..)
    }
}

impl Candidate {
    /// Looks at `records` of a Produce request of `version`; at each single record only if `check_records`.
    pub(crate) fn examine(records: Option<Bytes>, version: ApiVersion, check_records: bool) -> Self {
        Self { batch: one_batch(records, version, check_records) }
    }
}

/// As `ProduceRequest.validateRecords`, and the steps of `UnifiedLog` and `LogValidator` behind it.
fn one_batch(records: Option<Bytes>, version: ApiVersion, check_records: bool) -> Result<Batch, Refusal> {
    let not_one = || invalid("a Produce request must have exactly one record batch per partition");
    let bytes = records.ok_or_else(not_one)?;
    let (header, content, rest) = {
        if let Some(magic @ (0 | 1)) = BatchView::peek_magic(&bytes) {
            return Err(invalid(format!("message format {magic} is not allowed in Produce v{version}")));
        }
        let (view, rest) = BatchView::parse(&bytes).map_err(|error| match error {
            // Kafka does not see half a batch at all.
            BatchError::Truncated { .. } => not_one(),
            BatchError::Count(_) => invalid(error.to_string()),
            _ => Refusal::new(ErrorCode::CORRUPT_MESSAGE, error.to_string()),
        })?;
        let codec = view.header().attributes.codec();
        if version.0 < 7 && codec == Ok(Codec::Zstd) {
            let message = format!("zstd is not allowed in Produce v{version}");
            return Err(Refusal::new(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, message));
        }
        (*view.header(), content(&view, check_records), rest.len())
    };
    if rest > 0 {
        return Err(not_one());
    }
    Ok(Batch { header, bytes, content })
}

fn content(view: &BatchView<'_>, check_records: bool) -> Result<Content, Refusal> {
    view.verify_crc().map_err(|error| Refusal::new(ErrorCode::CORRUPT_MESSAGE, error.to_string()))?;
    let header = view.header();
    if header.record_count <= 0 {
        return Err(invalid(format!("record count {} is not positive", header.record_count)));
    }
    if i64::from(header.last_offset_delta) + 1 != i64::from(header.record_count) {
        let (delta, count) = (header.last_offset_delta, header.record_count);
        return Err(invalid(format!("last offset delta {delta} does not fit {count} records")));
    }
    if header.attributes.is_control() {
        return Err(invalid("clients may not write control batches"));
    }
    if header.producer_id.0 >= 0 && (header.base_sequence < 0 || header.producer_epoch.0 < 0) {
        let (sequence, epoch) = (header.base_sequence, header.producer_epoch);
        return Err(invalid(format!("sequence {sequence} and epoch {epoch} of an idempotent producer")));
    }
    header.attributes.codec().map_err(|error| Refusal::new(ErrorCode::CORRUPT_MESSAGE, error.to_string()))?;
    if check_records { walk(view) } else { Ok(Content::default()) }
}

fn walk(view: &BatchView<'_>) -> Result<Content, Refusal> {
    let records = view.records(DECOMPRESSED_MAX).map_err(refused)?;
    let mut content = Content::default();
    for (expected, record) in (0..).zip(&records) {
        let record = record.map_err(refused)?;
        if record.offset_delta != expected {
            let what = format!("offset delta {} instead of {expected}", record.offset_delta);
            return Err(invalid("offset deltas are not consecutive").with_records(vec![(expected, what)]));
        }
        content.has_null_key |= record.key.is_none();
    }
    Ok(content)
}

/// The records without a key, as a compacted topic refuses them.
pub(crate) fn keyless(batch: &Batch) -> Vec<(i32, String)> {
    let Ok((view, _)) = BatchView::parse(&batch.bytes) else {
        return Vec::new();
    };
    let Ok(records) = view.records(DECOMPRESSED_MAX) else {
        return Vec::new();
    };
    let keyless = (0..).zip(&records).filter(|(_, record)| record.as_ref().is_ok_and(|r| r.key.is_none()));
    keyless.map(|(index, _)| (index, "Compacted topic cannot accept message without key".to_owned())).collect()
}

fn refused(error: BatchError) -> Refusal {
    match error {
        // Kafka's codecs throw what it has no code for.
        BatchError::Codec(_) => Refusal::new(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string()),
        _ => invalid(error.to_string()),
    }
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::INVALID_RECORD, message)
}
