//! Taking sealed batches apart: too large for the broker, or with records that it refuses (KIP-467).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use milena_wire::{BATCH_HEADER_LEN, Codec, RecordTimes, RecordView, Records, decompress};

use crate::cell::{BatchCell, Piece};
use crate::hooks::Tagged;
use crate::memory::Funds;
use crate::open::{OpenBatch, first_chunk};
use crate::story::Story;
use crate::{Failure, Outcome, SealedBatch};

impl SealedBatch {
    /// Cuts the batch into at least two of at most `max_bytes` each (uncompressed, header included), as far as single records allow.
    /// Records keep their order, and their handles follow. The pieces keep the time of creation, and are sealed with the same codec.
    ///
    /// Never split a batch that may have been written: its pieces would be appended again.
    ///
    /// # Errors
    ///
    /// The batch itself, if it holds a single record, or its payload was released.
    #[expect(
        clippy::result_large_err,
        reason = "it comes back as it went in, once per batch that a broker finds too large"
    )]
    pub fn split(self, max_bytes: usize) -> Result<Vec<Self>, Self> {
        if self.count.get() < 2 {
            return Err(self);
        }
        // At most half, so that splitting the pieces again comes to an end however wrong the limit is.
        let limit = max_bytes.min(BATCH_HEADER_LEN + self.bytes.div_ceil(2));
        let Some(records) = self.records() else { return Err(self) };
        let mut cutter = Cutter::new(&self, limit);
        for (index, record) in (0u32..).zip(&records) {
            let Ok(record) = record else { return Err(self) };
            cutter.put(index, &record);
        }
        let Cutter { batches, pieces, .. } = cutter;
        Ok(self.replace(batches, pieces, &BTreeMap::new()))
    }

    /// Fails the listed records (by index in the batch, each with its reason) and keeps the rest, in order, as a new batch to be sent;
    /// none if there is no rest. Indices the batch does not have are ignored, and of two reasons for one record the last counts.
    ///
    /// If the payload was released all records fail, the others with the first reason.
    pub fn split_out(self, bad: &[(u32, Arc<Failure>)]) -> Option<Self> {
        let count = self.count.get().cast_unsigned();
        let bad: BTreeMap<u32, &Arc<Failure>> =
            bad.iter().filter(|(index, _)| *index < count).map(|(index, failure)| (*index, failure)).collect();
        let Some((_, first)) = bad.first_key_value() else { return Some(self) };
        let Some(records) = self.records() else {
            let failure = Arc::clone(first);
            self.settle(Outcome::Failed(failure));
            return None;
        };
        let mut cutter = Cutter::new(&self, usize::MAX);
        for (index, record) in (0u32..).zip(&records) {
            match record {
                Ok(_) if bad.contains_key(&index) => cutter.leave_out(index),
                Ok(record) => cutter.put(index, &record),
                Err(_) => {
                    // We encoded these bytes, so this is out of reach; the records must have an outcome nevertheless.
                    let failure = Arc::clone(first);
                    drop(cutter);
                    self.settle(Outcome::Failed(failure));
                    return None;
                }
            }
        }
        let Cutter { batches, pieces, .. } = cutter;
        self.replace(batches, pieces, &bad).pop()
    }

    /// The records, decoded from what was sealed.
    fn records(&self) -> Option<Records<'static>> {
        if self.payload.is_empty() {
            return None;
        }
        let joined = self.payload.concat();
        let plain = match self.codec {
            Codec::None => joined,
            codec => decompress(codec, &joined, self.bytes).ok()?,
        };
        Some(Records::over(plain, self.count.as_usize(), RecordTimes::created_from(self.base_timestamp)))
    }

    /// Hands the story on: tokens to the new batches, handles along the pieces, outcomes to those that failed.
    fn replace(self, mut batches: Vec<OpenBatch>, pieces: Vec<Cut>, bad: &BTreeMap<u32, &Arc<Failure>>) -> Vec<Self> {
        let Self { core, story, payload, .. } = self;
        let home = Arc::clone(story.home());
        let (old, tagged) = story.end();
        let mut failed: Vec<(Story, u32)> = Vec::new();
        let mut forwards = Vec::with_capacity(pieces.len());
        let mut cuts = pieces.iter().peekable();
        let mut tagged = tagged.into_iter().peekable();
        while let Some(cut) = cuts.next() {
            let end = cuts.peek().map_or(u32::MAX, |next| next.first);
            let story = match cut.to {
                Some(batch) => &mut batches[batch].story,
                None => {
                    failed.push((Story::new(Arc::clone(&home)), cut.first));
                    &mut failed.last_mut().expect("just pushed").0
                }
            };
            while let Some(tag) = tagged.next_if(|tag| tag.index < end) {
                story.tag(Tagged { index: cut.at + (tag.index - cut.first), ..tag });
            }
            forwards.push(Piece { first: cut.first, cell: cell_of(story), at: cut.at });
        }
        old.forward(forwards);
        for (story, index) in failed {
            if let Some(failure) = bad.get(&index) {
                story.settle(Outcome::Failed(Arc::clone(failure)), ());
            }
        }
        let sealed = batches.into_iter().map(|batch| batch.close(&core).seal()).collect();
        // The old payload counted until here: for a moment both are held.
        drop::<Vec<Bytes>>(payload);
        sealed
    }
}

fn cell_of(story: &Story) -> Arc<BatchCell> {
    Arc::clone(story.cell())
}

/// Where a run of records goes.
struct Cut {
    first: u32,
    /// Index of the new batch; none for a single record that failed.
    to: Option<usize>,
    /// Index in the new batch.
    at: u32,
}

/// Writes records into new batches, in order.
struct Cutter<'a> {
    source: &'a SealedBatch,
    limit: usize,
    batches: Vec<OpenBatch>,
    pieces: Vec<Cut>,
    /// The last record was left out, so that the next begins a piece.
    gap: bool,
}

impl<'a> Cutter<'a> {
    fn new(source: &'a SealedBatch, limit: usize) -> Self {
        Self { source, limit, batches: Vec::new(), pieces: Vec::new(), gap: true }
    }

    fn leave_out(&mut self, index: u32) {
        self.pieces.push(Cut { first: index, to: None, at: 0 });
        self.gap = true;
    }

    fn put(&mut self, index: u32, record: &RecordView<'_>) {
        let core = &self.source.core;
        let fits = self.batches.last().is_some_and(|batch| {
            let place = batch.next(record.timestamp);
            batch.has_room(record.size_at(place.offset_delta, place.timestamp_delta).total, self.limit)
        });
        if !fits {
            let size = record.size_at(0, 0);
            let chunk = first_chunk(core, size.total, self.limit, Funds::Forced).expect("forced funds always suffice");
            let home = Arc::clone(self.source.story.home());
            self.batches.push(OpenBatch::new(home, chunk, self.source.created, record.timestamp));
            self.gap = true;
        }
        let to = self.batches.len() - 1;
        let batch = &mut self.batches[to];
        let place = batch.next(record.timestamp);
        let total = record.size_at(place.offset_delta, place.timestamp_delta).total;
        if !batch.is_prepared(total) {
            batch.grow(core, total, self.limit, Funds::Forced);
        }
        if batch.is_at_seam() {
            record.put_at(&mut batch.seam(), place.offset_delta, place.timestamp_delta);
        } else {
            record.put_at(batch.last_buffer(), place.offset_delta, place.timestamp_delta);
        }
        batch.count_in(total, record.timestamp);
        if self.gap {
            self.pieces.push(Cut { first: index, to: Some(to), at: place.index });
            self.gap = false;
        }
    }
}
