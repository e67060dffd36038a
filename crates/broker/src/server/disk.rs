//! Logs that outlive the process: a folder per partition, as Kafka keeps them.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use milena_log::format::{
    PARTITION_METADATA, decode_partition_metadata, encode_partition_metadata, parse_partition_dir, partition_dir,
};
use milena_log::{LogConfig, PartitionLog};
use milena_wire::{BATCH_HEADER_LEN, BatchHeader, Offset, PartitionId, TopicId, TopicName};

use crate::core::{Disk, DiskLog};

/// Holds the first producer id that was never promised to anybody.
const PRODUCER_IDS: &str = "producer-ids";
/// Locked while a cluster has the folder; Kafka's name for it.
const LOCK: &str = ".lock";

/// One folder with all partitions in it.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    /// Two clusters that append to the same segments would destroy them. The system unlocks it however the process ends.
    _lock: File,
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A process that another thread is starting has the same file for a moment, and would keep it locked.
        drop(self._lock.unlock());
    }
}

/// A topic that is on the disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Found {
    pub(super) name: TopicName,
    pub(super) id: TopicId,
    pub(super) partitions: i32,
}

impl Folder {
    pub(super) fn open(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let lock = File::create(dir.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                let taken = format!("another broker has the folder {}", dir.display());
                Err(io::Error::new(io::ErrorKind::ResourceBusy, taken))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The topics there are.
    pub(super) fn topics(&self) -> io::Result<Vec<Found>> {
        let mut found: BTreeMap<TopicName, Found> = BTreeMap::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let file_name = entry.file_name();
            let Some((name, partition)) = file_name.to_str().and_then(parse_partition_dir) else {
                continue;
            };
            if !entry.file_type()?.is_dir() {
                continue;
            }
            let id = match fs::read_to_string(entry.path().join(PARTITION_METADATA)) {
                Ok(content) => decode_partition_metadata(&content),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            let Some(id) = id else {
                if is_empty(&entry.path())? {
                    tracing::warn!(topic = %name, %partition, "left alone: a partition whose creation was cut off");
                    continue;
                }
                let what = format!("{name}-{partition} has records and no topic id");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            };
            let topic = found.entry(name.clone()).or_insert(Found { name, id, partitions: 0 });
            topic.partitions = topic.partitions.max(partition.0.saturating_add(1));
        }
        Ok(found.into_values().collect())
    }

    /// The first producer id that may be given out.
    pub(super) fn producer_ids(&self) -> io::Result<i64> {
        match fs::read_to_string(self.dir.join(PRODUCER_IDS)) {
            Ok(content) => content.trim().parse().map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }
}

impl Disk for Folder {
    fn open(
        &mut self,
        topic: &TopicName,
        id: TopicId,
        partition: PartitionId,
        on_batch: &mut dyn FnMut(&BatchHeader),
    ) -> io::Result<Box<dyn DiskLog>> {
        let dir = self.dir.join(partition_dir(topic.as_str(), partition));
        let (log, recovery) = PartitionLog::open(&dir, LogConfig::default(), on_batch)?;
        if recovery.torn_bytes > 0 {
            tracing::warn!(%topic, %partition, bytes = recovery.torn_bytes, "cut a torn write off the log");
        }
        write_whole(&dir, PARTITION_METADATA, &encode_partition_metadata(id))?;
        Ok(Box::new(OnDisk(log)))
    }

    fn remove(&mut self, topic: &TopicName, partition: PartitionId) -> io::Result<()> {
        // Under another name first, as Kafka does: what is left by a kill is then no partition's.
        let name = partition_dir(topic.as_str(), partition);
        let going = self.dir.join(format!("{name}.going-delete"));
        if !fs::metadata(self.dir.join(&name))?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        match fs::remove_dir_all(&going) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(self.dir.join(name), &going)?;
        fs::remove_dir_all(going)
    }

    fn promise_producer_ids(&mut self, before: i64) -> io::Result<()> {
        // A torn number would give ids out twice.
        write_whole(&self.dir, PRODUCER_IDS, &format!("{before}\n"))
    }
}

/// Renamed into place, so that a kill leaves the old content or the new.
fn write_whole(dir: &Path, name: &str, content: &str) -> io::Result<()> {
    let next = dir.join(format!("{name}.next"));
    fs::write(&next, content)?;
    fs::rename(next, dir.join(name))
}

/// Whether a partition's folder has no records.
fn is_empty(dir: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let is_log = entry.path().extension().is_some_and(|extension| extension == "log");
        if is_log && entry.metadata()?.len() > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

struct OnDisk(PartitionLog);

impl DiskLog for OnDisk {
    fn end(&self) -> Offset {
        self.0.end_offset()
    }

    fn append(&mut self, header: &[u8; BATCH_HEADER_LEN], payload: &Bytes) -> io::Result<()> {
        self.0.append(header, std::slice::from_ref(payload))
    }

    fn read(&mut self, from: Offset, max_bytes: usize) -> io::Result<Bytes> {
        self.0.read(from, max_bytes)
    }

    fn truncate(&mut self, end: Offset) -> io::Result<()> {
        self.0.truncate_to(end)
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        self.0.close()
    }
}
