//! Gives records their partition, once the topic is known, and puts aside what cannot be sent.
//!
//! Both move a batch from one folder to another, in steps that can be cut off anywhere and are then completed by the next start: the
//! copies say where they came from, so that none is made twice, and the original is done with only when they all are on the disk. Until then no
//! copy is deleted, though it may be replayed: a disk can refuse some of them for long.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use milena_wire::batch::{Attributes, BatchView};
use milena_wire::{BatchHeader, Codec, PartitionId, ProducerEpoch, ProducerId, TopicName, murmur2};

use crate::batch::{Head, Place, SpooledBatch};
use crate::folder::{Folder, How};
use crate::replay::Aside;
use crate::{Progress, Source, Spool, SpoolError};

/// What the records of one batch take at most when decompressed; beyond that it is no batch of a producer's.
const RECORDS_LIMIT: usize = 1 << 30;

/// How many batches are [given their partition](Spool::assign) before others get at the spool: each of them is synced several times.
pub const ASSIGNED_AT_ONCE: usize = 16;

impl Spool {
    /// Spreads the records of `topic` whose partition was not known over its `partitions`, behind what is spooled for these already:
    /// by the key's murmur2 hash as Kafka's default partitioner does, those of a batch that have no key together; those that came with a partition go
    /// there. Tells how many. At most `batches` are taken at a time, each of which is synced several times, so that whoever shares the spool gets at it
    /// in between.
    ///
    /// Each record gets exactly one partition, whatever is cut off in between.
    ///
    /// # Errors
    ///
    /// What the file system refuses; then the rest still waits. [`SpoolError::Corrupt`] if records cannot be read, or if it is not known
    /// any more which of them were moved.
    pub fn assign(&mut self, topic: &TopicName, partitions: i32, batches: usize) -> Result<u64, SpoolError> {
        let source = Source { topic: topic.clone(), place: Place::Unassigned };
        let mut moved = 0;
        for _ in 0..batches {
            let Some(head) = self.head(&source)? else {
                if self.pending_in(&source).batches > 0 {
                    return Err(self.vanished(&source));
                }
                break;
            };
            let Some(progress) = self.progress(&source) else {
                return Err(self.unknown_progress(&source));
            };
            let partitions = progress.partitions.unwrap_or(partitions).max(1);
            // Fixed before the first copy: a topic may get more partitions while this is cut off.
            self.save_progress(&source, Progress { partitions: Some(partitions), ..progress })?;
            self.spread(&source, &head, partitions)?;
            let next = head.offset() + i64::from(head.count().get());
            self.save_progress(&source, Progress { next, ..Progress::default() })?;
            moved += head.count().as_usize() as u64;
        }
        // Nothing was replayed meanwhile. What cannot be deleted now is deleted with the next progress, or at the next start.
        drop(self.reclaim_all());
        Ok(moved)
    }

    /// Completes what was cut off, before anything that was copied is deleted.
    pub(crate) fn finish_assigning(&mut self) -> Result<(), SpoolError> {
        let cut_off: Vec<(TopicName, Progress)> = self
            .folders
            .iter()
            .filter(|(source, folder)| source.place == Place::Unassigned && !folder.progress_lost())
            .map(|(source, folder)| (source.topic.clone(), folder.progress()))
            .filter(|(_, progress)| progress.partitions.is_some())
            .collect();
        for (topic, progress) in cut_off {
            let source = Source { topic, place: Place::Unassigned };
            let (Some(head), Some(partitions)) = (self.head(&source)?, progress.partitions) else {
                continue;
            };
            self.spread(&source, &head, partitions)?;
            let next = head.offset() + i64::from(head.count().get());
            self.save_progress(&source, Progress { next, ..Progress::default() })?;
        }
        Ok(())
    }

    /// Deletes what is done with in a folder. A copy of the batch that is being given partitions stays, though it was replayed, until all of them are
    /// made: it is what tells that it was made.
    pub(crate) fn reclaim(&mut self, source: &Source) -> Result<(), SpoolError> {
        let unassigned = Source { topic: source.topic.clone(), place: Place::Unassigned };
        let assigning = self
            .folders
            .get(&unassigned)
            .filter(|folder| folder.progress().partitions.is_some() && folder.pending().batches > 0)
            .map(|folder| folder.progress().next);
        let Some(folder) = self.folders.get_mut(source) else { return Ok(()) };
        let copies = assigning.filter(|_| matches!(source.place, Place::Partition(_)));
        folder.reclaim(&*self.disk, copies)
    }

    pub(crate) fn reclaim_all(&mut self) -> Result<(), SpoolError> {
        let sources: Vec<Source> = self.folders.keys().cloned().collect();
        sources.iter().try_for_each(|source| self.reclaim(source))
    }

    fn spread(&mut self, source: &Source, head: &Head, partitions: i32) -> Result<(), SpoolError> {
        self.sync_folder(source)?;
        let pieces = match head.named {
            Some(partition) => BTreeMap::from([(partition, whole(head))]),
            None => pieces(head, partitions).map_err(|what| self.corrupt(source, head, what))?,
        };
        for (partition, batch) in pieces {
            let to = Source { topic: source.topic.clone(), place: Place::Partition(partition) };
            if self.folders.get(&to).and_then(Folder::last_origin) >= Some(head.offset()) {
                continue; // copied before
            }
            self.append_to(&to, &batch, self.moving(None, Some(head.offset())))?;
        }
        Ok(())
    }

    /// Puts the next batch of a partition aside, as its replay says, and goes on behind it.
    ///
    /// # Errors
    ///
    /// What the file system refuses; then it still is where it was.
    pub fn set_aside(&mut self, source: &Source, aside: &Aside) -> Result<(), SpoolError> {
        let (Some(head), Place::Partition(partition)) = (self.head(source)?, source.place) else {
            return Ok(());
        };
        self.sync_folder(source)?;
        let to = Source { topic: source.topic.clone(), place: Place::Aside(partition) };
        let end = self.folders.get(&to).map_or(0, Folder::end);
        if end <= head.offset() {
            let Head { header, payload, code, cause, when_ms, .. } = head.clone();
            let identity = aside.stamp.map(|stamp| stamp.identity);
            let header = BatchHeader {
                producer_id: identity.map_or(ProducerId(-1), |identity| identity.producer_id),
                producer_epoch: identity.map_or(ProducerEpoch(-1), |identity| identity.epoch),
                base_sequence: aside.stamp.map_or(-1, |stamp| stamp.sequence.get()),
                ..header
            };
            let cause = format!("{}; before: {cause}", aside.why);
            let batch = SpooledBatch { header, payload: vec![payload], fate: aside.fate, code, cause, now_ms: when_ms };
            self.append_to(&to, &batch, self.moving(Some(head.offset()), None))?;
        }
        self.save_progress(source, aside.progress)
    }

    /// Before anything of it is copied: a copy that outlives its original in a crash of the machine is taken for one of what comes to that place later.
    fn sync_folder(&mut self, source: &Source) -> Result<(), SpoolError> {
        let synced = self.folders.get_mut(source).map_or(Ok(()), |folder| folder.sync(&*self.disk));
        self.sync_failed |= synced.is_err();
        synced
    }

    /// A copy takes no room for long, and is synced whatever the policy: the original goes.
    fn moving(&self, at: Option<i64>, origin: Option<i64>) -> How {
        How { segment_bytes: self.config.segment_bytes, sync: true, at, origin, named: None }
    }

    fn corrupt(&self, source: &Source, head: &Head, what: String) -> SpoolError {
        let path = self.folders.get(source).map(Folder::progress_path).unwrap_or_default();
        let what = format!("records {} and on cannot be read: {what}", head.offset());
        SpoolError::Corrupt { path, position: 0, what }
    }

    fn vanished(&self, source: &Source) -> SpoolError {
        let path = self.folders.get(source).map(Folder::progress_path).unwrap_or_default();
        let what =
            "batches beside it are gone, or do not read back any more; open the spool again to set the files aside";
        SpoolError::Corrupt { path, position: 0, what: what.to_owned() }
    }

    fn unknown_progress(&self, source: &Source) -> SpoolError {
        let path = self.folders.get(source).map(Folder::progress_path).unwrap_or_default();
        let what = "nobody knows any more which of the folder's records were given a partition".to_owned();
        SpoolError::Corrupt { path, position: 0, what }
    }
}

/// The batch as it is.
fn whole(head: &Head) -> SpooledBatch {
    let Head { header, payload, fate, code, cause, when_ms, .. } = head.clone();
    SpooledBatch { header, payload: vec![payload], fate, code, cause, now_ms: when_ms }
}

/// The batch's records by partition.
fn pieces(head: &Head, partitions: i32) -> Result<BTreeMap<PartitionId, SpooledBatch>, String> {
    let mut bytes = head.header.encode(std::slice::from_ref(&head.payload)).to_vec();
    bytes.extend_from_slice(&head.payload);
    let (view, _) = BatchView::parse(&bytes).map_err(|error| error.to_string())?;
    let records = view.records(RECORDS_LIMIT).map_err(|error| error.to_string())?;
    let keyless = partition_of(&head.offset().to_be_bytes(), partitions);
    let mut pieces: BTreeMap<PartitionId, Piece> = BTreeMap::new();
    for record in &records {
        let record = record.map_err(|error| error.to_string())?;
        let partition = record.key.map_or(keyless, |key| partition_of(key, partitions));
        let piece =
            pieces.entry(partition).or_insert_with(|| Piece { count: 0, latest: i64::MIN, out: BytesMut::new() });
        record.put_at(&mut piece.out, piece.count, record.timestamp_delta);
        piece.count += 1;
        piece.latest = piece.latest.max(record.timestamp);
    }
    Ok(pieces.into_iter().map(|(partition, piece)| (partition, piece.batch(head))).collect())
}

struct Piece {
    count: i32,
    latest: i64,
    out: BytesMut,
}

impl Piece {
    fn batch(self, head: &Head) -> SpooledBatch {
        let header = BatchHeader {
            attributes: Attributes::new(Codec::None),
            last_offset_delta: self.count - 1,
            max_timestamp: self.latest,
            producer_id: ProducerId(-1),
            producer_epoch: ProducerEpoch(-1),
            base_sequence: -1,
            record_count: self.count,
            ..head.header
        };
        let payload = vec![Bytes::from(self.out)];
        let Head { fate, code, cause, when_ms, .. } = head.clone();
        SpooledBatch { header, payload, fate, code, cause, now_ms: when_ms }
    }
}

fn partition_of(key: &[u8], partitions: i32) -> PartitionId {
    PartitionId((murmur2(key) & i32::MAX) % partitions)
}
