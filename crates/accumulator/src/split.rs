//! Taking sealed batches apart: too large for the broker, or with records that it refuses (KIP-467).

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_wire::{BATCH_HEADER_LEN, Codec, Payload, RecordTimes, RecordView, Records, decompress};

use crate::cell::Piece;
use crate::hooks::Tagged;
use crate::open::{OpenBatch, forced_chunk};
use crate::story::Story;
use crate::{Failure, FailureKind, Fate, Outcome, SealedBatch};

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
        let Cutter { parts, pieces, .. } = cutter;
        Ok(self.replace(parts, pieces))
    }

    /// Fails the listed records (by index in the batch, each with its reason) and keeps the rest, in order, as a new batch to be sent;
    /// none if there is no rest. Indices the batch does not have are ignored, and of two reasons for one record the last counts.
    ///
    /// If the batch cannot be taken apart, because its payload was released or does not read back, the others fail too
    /// ([`Encode`](crate::FailureKind::Encode)), with the fate of the first that is listed: all were in the same attempts.
    pub fn split_out(self, bad: &[(u32, Arc<Failure>)]) -> Option<Self> {
        let count = self.count.get().cast_unsigned();
        let bad: BTreeMap<u32, &Arc<Failure>> =
            bad.iter().filter(|(index, _)| *index < count).map(|(index, failure)| (*index, failure)).collect();
        let Some((_, first)) = bad.first_key_value() else { return Some(self) };
        let Some(Cutter { parts, pieces, .. }) = self.cut_out(&bad) else {
            let pieces = self.fail_apart(&bad, first.fate);
            drop(self.replace(Vec::new(), pieces));
            return None;
        };
        self.replace(parts, pieces).pop()
    }

    /// The records that are not `bad` in one new batch; none if they cannot be read.
    fn cut_out(&self, bad: &BTreeMap<u32, &Arc<Failure>>) -> Option<Cutter<'_>> {
        let records = self.records()?;
        let mut cutter = Cutter::new(self, usize::MAX);
        for (index, record) in (0u32..).zip(&records) {
            let record = record.ok()?;
            match bad.get(&index) {
                Some(failure) => cutter.leave_out(index, &record, failure),
                None => cutter.put(index, &record),
            }
        }
        Some(cutter)
    }

    /// No record goes on: those that are `bad` for their own reasons, the others because they cannot be had without them.
    fn fail_apart(&self, bad: &BTreeMap<u32, &Arc<Failure>>, fate: Fate) -> Vec<Cut> {
        let home = self.story.home();
        let mut rest = Failure::new(FailureKind::Encode, fate, home.topic.clone(), home.partition);
        rest.message =
            Some("the broker refused other records of the batch, which cannot be taken apart any more".to_owned());
        let rest = Arc::new(rest);
        let count = self.count.get().cast_unsigned();
        (0..count)
            .filter(|index| bad.contains_key(index) || *index == 0 || bad.contains_key(&(index - 1)))
            .map(|first| {
                let failure = bad.get(&first).map_or(&rest, |failure| *failure);
                Cut { first, to: To::Failed(Arc::clone(failure)), at: 0 }
            })
            .collect()
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
    fn replace(self, mut parts: Vec<Part>, pieces: Vec<Cut>) -> Vec<Self> {
        let Self { core, story, payload, .. } = self;
        let home = Arc::clone(story.home());
        let (old, tokens) = story.end();
        let mut failed = Vec::new();
        let mut forwards = Vec::with_capacity(pieces.len());
        let mut tagged = tokens.iter().peekable();
        let mut cuts = pieces.into_iter().peekable();
        while let Some(Cut { first, to, at }) = cuts.next() {
            let end = cuts.peek().map_or(u32::MAX, |next| next.first);
            let mut hand_on = |story: &mut Story| {
                while let Some(tag) = tagged.next_if(|tag| tag.index < end) {
                    story.tokens.push(&core.memory, Tagged { index: at + (tag.index - first), ..tag });
                }
                forwards.push(Piece { first, cell: Arc::clone(story.cell()), at });
            };
            match to {
                To::Part(part) => hand_on(&mut parts[part].batch.story),
                To::Failed(failure) => {
                    let mut story = Story::new(Arc::clone(&home));
                    hand_on(&mut story);
                    failed.push((story, failure));
                }
            }
        }
        old.forward(forwards);
        failed.into_iter().for_each(|(story, failure)| story.settle(Outcome::Failed(failure), ()));
        let mut sealed = Vec::with_capacity(parts.len());
        for Part { batch, failure } in parts {
            match (batch.close(&core), failure) {
                (Some(batch), None) => sealed.push(batch.seal()),
                (Some(batch), Some(failure)) => batch.settle(Outcome::Failed(failure)),
                (None, _) => {}
            }
        }
        // The old payload counted until here: for a moment both are held.
        drop::<Payload>(payload);
        sealed
    }
}

/// Where a run of records goes.
struct Cut {
    first: u32,
    to: To,
    /// Index in the new batch.
    at: u32,
}

enum To {
    /// The part of this number.
    Part(usize),
    /// Nowhere.
    Failed(Arc<Failure>),
}

/// A new batch.
struct Part {
    batch: OpenBatch,
    /// It holds records that fail, which are wanted all the same.
    failure: Option<Arc<Failure>>,
}

/// Writes records into new batches, in order.
struct Cutter<'a> {
    source: &'a SealedBatch,
    limit: usize,
    parts: Vec<Part>,
    pieces: Vec<Cut>,
    /// Of `parts` the one that grows.
    current: Option<usize>,
    /// Of `parts` those that fail, by the address of the failure, which they keep.
    failing: BTreeMap<usize, usize>,
    /// The last record was left out, so that the next begins a piece.
    gap: bool,
}

impl<'a> Cutter<'a> {
    fn new(source: &'a SealedBatch, limit: usize) -> Self {
        let (parts, pieces, failing) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { source, limit, parts, pieces, current: None, failing, gap: true }
    }

    fn leave_out(&mut self, index: u32, record: &RecordView<'_>, failure: &Arc<Failure>) {
        self.gap = true;
        if !self.source.core.config.divert {
            self.pieces.push(Cut { first: index, to: To::Failed(Arc::clone(failure)), at: 0 });
            return;
        }
        let to = match self.failing.get(&Arc::as_ptr(failure).addr()) {
            Some(part) => *part,
            None => {
                let part = self.add(record, Some(Arc::clone(failure)));
                self.failing.insert(Arc::as_ptr(failure).addr(), part);
                part
            }
        };
        let at = self.write(to, record);
        self.pieces.push(Cut { first: index, to: To::Part(to), at });
    }

    fn put(&mut self, index: u32, record: &RecordView<'_>) {
        let fits = self.current.filter(|part| {
            let batch = &self.parts[*part].batch;
            let place = batch.next(record.timestamp);
            batch.has_room(record.size_at(place.offset_delta, place.timestamp_delta).total, self.limit)
        });
        let to = match fits {
            Some(part) => part,
            None => {
                self.gap = true;
                self.add(record, None)
            }
        };
        self.current = Some(to);
        let at = self.write(to, record);
        if self.gap {
            self.pieces.push(Cut { first: index, to: To::Part(to), at });
            self.gap = false;
        }
    }

    /// A new part that begins with `record`.
    fn add(&mut self, record: &RecordView<'_>, failure: Option<Arc<Failure>>) -> usize {
        let total = record.size_at(0, 0).total;
        let wish = if failure.is_some() { total } else { self.limit };
        let chunk = forced_chunk(&self.source.core, total, wish);
        let home = Arc::clone(self.source.story.home());
        let batch = OpenBatch::new(home, chunk, self.source.created, record.timestamp);
        self.parts.push(Part { batch, failure });
        self.parts.len() - 1
    }

    /// Writes a record behind all others of a part, and says where that is.
    fn write(&mut self, part: usize, record: &RecordView<'_>) -> u32 {
        self.parts[part].batch.put_again(&self.source.core, self.limit, record).index
    }
}
