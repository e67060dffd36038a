use milena_wire::Offset;

/// One entry of an offset index: a batch's last offset and where the batch begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OffsetEntry {
    /// Last offset of the batch.
    pub offset: Offset,
    /// Position of the batch in the segment's file, in bytes.
    pub position: u32,
}

impl OffsetEntry {
    /// Bytes of an entry.
    pub const LEN: usize = 8;

    /// The entry as the file of the segment that starts at `base` has it.
    #[must_use]
    pub fn encode(self, base: Offset) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..4].copy_from_slice(&relative(self.offset, base));
        out[4..].copy_from_slice(&self.position.to_be_bytes());
        out
    }
}

/// One entry of a time index: the largest timestamp up to a batch, and the last offset of the batch that has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TimeEntry {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Last offset of the batch.
    pub offset: Offset,
}

impl TimeEntry {
    /// Bytes of an entry.
    pub const LEN: usize = 12;

    /// The entry as the file of the segment that starts at `base` has it.
    #[must_use]
    pub fn encode(self, base: Offset) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..].copy_from_slice(&relative(self.offset, base));
        out
    }
}

/// A segment is rolled before an offset is too far from its base for four bytes.
fn relative(offset: Offset, base: Offset) -> [u8; 4] {
    i32::try_from(offset.0.saturating_sub(base.0)).unwrap_or(i32::MAX).to_be_bytes()
}

/// Decides which batches of one segment get index entries: about one every `interval` bytes, as Kafka does.
#[derive(Clone, Debug)]
pub struct IndexBuilder {
    interval: u32,
    since_entry: u64,
    latest: Option<TimeEntry>,
    indexed_timestamp: i64,
}

impl IndexBuilder {
    /// For a new segment. Kafka's `index.interval.bytes` is 4096.
    #[must_use]
    pub fn new(interval: u32) -> Self {
        Self { interval, since_entry: 0, latest: None, indexed_timestamp: -1 }
    }

    /// Takes note of the batch of `size` bytes at `position`, and tells which entries to write for it.
    pub fn on_batch(
        &mut self,
        position: u32,
        size: usize,
        last: Offset,
        max_timestamp: i64,
    ) -> (Option<OffsetEntry>, Option<TimeEntry>) {
        if self.latest.is_none_or(|latest| max_timestamp > latest.timestamp) {
            self.latest = Some(TimeEntry { timestamp: max_timestamp, offset: last });
        }
        let mut entries = (None, None);
        if self.since_entry > u64::from(self.interval) {
            entries = (Some(OffsetEntry { offset: last, position }), self.time_entry());
            self.since_entry = 0;
        }
        self.since_entry += size as u64;
        entries
    }

    /// The last time entry of a segment that takes no more batches, unless it is there already.
    pub fn on_roll(&mut self) -> Option<TimeEntry> {
        self.time_entry()
    }

    fn time_entry(&mut self) -> Option<TimeEntry> {
        let entry = self.latest.filter(|entry| entry.timestamp > self.indexed_timestamp)?;
        self.indexed_timestamp = entry.timestamp;
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_hold_offsets_relative_to_the_segment() {
        let entry = OffsetEntry { offset: Offset(1_005), position: 0x0102 };
        assert_eq!(entry.encode(Offset(1_000)), [0, 0, 0, 5, 0, 0, 1, 2]);
        let entry = TimeEntry { timestamp: 7, offset: Offset(1_006) };
        assert_eq!(entry.encode(Offset(1_000)), [0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 6]);
    }

    #[test]
    fn a_batch_is_indexed_once_more_than_the_interval_went_before_it() {
        let mut builder = IndexBuilder::new(100);
        assert_eq!(builder.on_batch(0, 100, Offset(9), 5), (None, None));
        assert_eq!(builder.on_batch(100, 1, Offset(10), 4), (None, None), "exactly the interval is not more");
        let (offset, time) = builder.on_batch(101, 50, Offset(11), 4);
        assert_eq!(offset, Some(OffsetEntry { offset: Offset(11), position: 101 }));
        assert_eq!(time, Some(TimeEntry { timestamp: 5, offset: Offset(9) }), "the largest so far, where it was");
        assert_eq!(builder.on_batch(151, 51, Offset(12), 5), (None, None));
        let (offset, time) = builder.on_batch(202, 1, Offset(13), 3);
        assert!(offset.is_some());
        assert_eq!(time, None, "no larger timestamp since the last entry");
        assert_eq!(builder.on_roll(), None);
        builder.on_batch(203, 1, Offset(14), 8);
        assert_eq!(builder.on_roll(), Some(TimeEntry { timestamp: 8, offset: Offset(14) }));
    }
}
