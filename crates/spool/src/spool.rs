//! The spool as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_wire::{PartitionId, TopicId, TopicName};

use crate::batch::{Head, Pending, Place, SpooledBatch};
use crate::disk::{Disk, RealDisk, replace};
use crate::folder::{Folder, How, create_dir};
use crate::{Progress, Recovered, SpoolError, names};

const LOCK: &str = ".lock";
const VERSION: &str = "spool.version";
const VERSION_TEXT: &str = "milena-spool 1\n";
const TOPICS: &str = "topics";
const TOPIC_ID: &str = "topic.id";
const UNASSIGNED: &str = "unassigned";
const ASIDE: &str = "aside";

/// When what is appended is made to survive a crash of the machine. A crash of the process loses nothing in any case.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Fsync {
    /// Before each append returns.
    #[default]
    Always,
    /// This long after the last time: by the first append then, which is synced itself, or by [`Spool::sync_if_due`], which whoever appends calls at
    /// [`Spool::sync_due`] if no append comes.
    Interval(Duration),
    /// When the system likes.
    Never,
}

/// Where a spool is and what it may take.
#[derive(Clone, Debug)]
pub struct SpoolConfig {
    /// Its folder; made if need be. The spool's alone.
    pub dir: PathBuf,
    /// Most bytes of batches and sidecars. Default: 1 GiB.
    pub max_bytes: u64,
    /// Default: always.
    pub fsync: Fsync,
    /// A segment takes no batch that would make it larger; what is replayed is deleted by whole segments. Default: 16 MiB.
    pub segment_bytes: u64,
}

impl SpoolConfig {
    /// The defaults, in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), max_bytes: 1 << 30, fsync: Fsync::Always, segment_bytes: 16 << 20 }
    }
}

/// Names one folder of a spool.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Source {
    /// The topic.
    pub topic: TopicName,
    /// Where in it.
    pub place: Place,
}

/// Records on disk, in order by partition. One process at a time has it open.
#[derive(Debug)]
pub struct Spool {
    pub(crate) config: SpoolConfig,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) folders: BTreeMap<Source, Folder>,
    topic_ids: BTreeMap<TopicName, TopicId>,
    last_sync: Instant,
    /// The last sync was refused: nothing more is taken before one is not.
    pub(crate) sync_failed: bool,
    /// Held for as long as the spool is open.
    pub(crate) _lock: Lock,
}

/// The folder's lock. A process that is being started by another thread has the same file for a moment, and would keep it locked after this
/// was closed: so it is unlocked.
#[derive(Debug)]
pub(crate) struct Lock(pub(crate) File);

impl Drop for Lock {
    fn drop(&mut self) {
        // What cannot be unlocked is closed, which does the same a little later.
        drop(self.0.unlock());
    }
}

impl Spool {
    /// Opens the spool, which is made if need be, and says what was wrong with it.
    ///
    /// Damaged files are set aside under another name, never deleted, and what is whole in them is kept. What is not a spool's is left
    /// alone.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Locked`], [`SpoolError::Version`], or what the file system refuses.
    pub fn open(config: SpoolConfig) -> Result<(Self, Recovered), SpoolError> {
        Self::open_on(Arc::new(RealDisk), config)
    }

    pub(crate) fn open_on(disk: Arc<dyn Disk>, config: SpoolConfig) -> Result<(Self, Recovered), SpoolError> {
        let dir = config.dir.clone();
        fs::create_dir_all(&dir).map_err(|error| SpoolError::io(&dir, error))?;
        let lock = lock(&dir)?;
        check_version(&*disk, &dir)?;
        let topics = dir.join(TOPICS);
        if !topics.exists() {
            create_dir(&*disk, &topics)?;
        }
        let last_sync = Instant::now();
        let mut spool = Self {
            config,
            disk,
            folders: BTreeMap::new(),
            topic_ids: BTreeMap::new(),
            last_sync,
            sync_failed: false,
            _lock: lock,
        };
        let mut recovered = Recovered::default();
        for (name, path) in folders(&topics)? {
            if names::check(&name).is_ok() {
                spool.open_topic(&TopicName::new(&name), &path, &mut recovered)?;
            }
        }
        // First, since there may be no room for anything otherwise.
        spool.reclaim_all()?;
        spool.finish_assigning()?;
        spool.reclaim_all()?;
        // Whoever was done with a topic may have been killed before its id was gone.
        let topics: Vec<TopicName> = spool.topic_ids.keys().cloned().collect();
        topics.iter().try_for_each(|topic| spool.forget_topic_id(topic))?;
        Ok((spool, recovered))
    }

    fn open_topic(&mut self, topic: &TopicName, dir: &Path, recovered: &mut Recovered) -> Result<(), SpoolError> {
        let id = dir.join(TOPIC_ID);
        if let Ok(text) = fs::read_to_string(&id)
            && let Some(id) = parse_topic_id(&text)
        {
            self.topic_ids.insert(topic.clone(), id);
        }
        for (name, path) in folders(dir)? {
            let place = if name == UNASSIGNED {
                Place::Unassigned
            } else if let Some(partition) = parse_partition(&name) {
                Place::Partition(partition)
            } else {
                continue;
            };
            let aside = path.join(ASIDE);
            if let Place::Partition(partition) = place
                && aside.is_dir()
            {
                let source = Source { topic: topic.clone(), place: Place::Aside(partition) };
                self.folders.insert(source, Folder::open(&*self.disk, aside, recovered)?);
            }
            let source = Source { topic: topic.clone(), place };
            self.folders.insert(source, Folder::open(&*self.disk, path, recovered)?);
        }
        Ok(())
    }

    /// Appends a batch behind all others of its partition, or of its topic as long as its partition is not known: also if it comes with one, while others of
    /// its topic have none yet, since they may get the same. When this fails, the spool is as it was.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Full`], [`SpoolError::NoSpace`], [`SpoolError::ReadOnly`] or another refusal of the file system;
    /// [`SpoolError::TopicName`], [`SpoolError::BadBatch`].
    pub fn append(
        &mut self,
        topic: &TopicName,
        partition: Option<PartitionId>,
        batch: &SpooledBatch,
    ) -> Result<(), SpoolError> {
        // The sidecar's line is counted once its length is known; a little more than the bound is no harm.
        let wanted = (milena_wire::BATCH_HEADER_LEN + batch.payload_len()) as u64;
        let (used, max) = (self.used(), self.config.max_bytes);
        if used.saturating_add(wanted) > max {
            return Err(SpoolError::Full { used, max, wanted });
        }
        // Before the batch is there: a disk that does not sync what others were told of takes nothing more.
        let due = self.config.fsync == Fsync::Always || self.sync_if_due()?;
        let unassigned = Source { topic: topic.clone(), place: Place::Unassigned };
        let (to, named) = match partition {
            Some(partition) if self.pending_in(&unassigned).batches == 0 => {
                (Source { topic: topic.clone(), place: Place::Partition(partition) }, None)
            }
            named => (unassigned, named),
        };
        let how = How { segment_bytes: self.config.segment_bytes, sync: due, at: None, origin: None, named };
        self.append_to(&to, batch, how)
    }

    pub(crate) fn append_to(&mut self, source: &Source, batch: &SpooledBatch, how: How) -> Result<(), SpoolError> {
        if !self.folders.contains_key(source) {
            let folder = self.create_folder(source)?;
            self.folders.insert(source.clone(), folder);
        }
        match self.folders.get_mut(source) {
            Some(folder) => folder.append(&*self.disk, batch, how),
            None => Ok(()),
        }
    }

    fn create_folder(&self, source: &Source) -> Result<Folder, SpoolError> {
        let topic = source.topic.as_str();
        names::check(topic)?;
        let mut dir = self.topic_dir(&source.topic);
        let known = self.folders.keys().any(|other| other.topic == source.topic);
        if !known && dir.exists() && !folders(&self.config.dir.join(TOPICS))?.iter().any(|(name, _)| name == topic) {
            let why = "the disk does not tell its name from another topic's that differs only in case";
            return Err(SpoolError::TopicName { topic: topic.to_owned(), why });
        }
        let below = match source.place {
            Place::Unassigned => vec![UNASSIGNED.to_owned()],
            Place::Partition(partition) => vec![partition.to_string()],
            Place::Aside(partition) => vec![partition.to_string(), ASIDE.to_owned()],
        };
        for name in std::iter::once(None).chain(below.into_iter().map(Some)) {
            if let Some(name) = name {
                dir.push(name);
            }
            if !dir.exists() {
                create_dir(&*self.disk, &dir)?;
            }
        }
        Ok(Folder::new(dir))
    }

    fn topic_dir(&self, topic: &TopicName) -> PathBuf {
        self.config.dir.join(TOPICS).join(topic.as_str())
    }

    /// Remembers the id that a topic has while records of it are in the spool, so that they are not sent to another topic of that name.
    /// The first id counts, until nothing of the topic is left.
    ///
    /// # Errors
    ///
    /// What the file system refuses.
    pub fn note_topic_id(&mut self, topic: &TopicName, id: TopicId) -> Result<(), SpoolError> {
        let known = self.folders.keys().any(|source| source.topic == *topic);
        if id.is_zero() || !known || self.topic_ids.contains_key(topic) {
            return Ok(());
        }
        let path = self.topic_dir(topic).join(TOPIC_ID);
        let text: String = id.0.iter().map(|byte| format!("{byte:02x}")).collect();
        replace(&*self.disk, &path, format!("{text}\n").as_bytes()).map_err(|error| SpoolError::io(&path, error))?;
        self.topic_ids.insert(topic.clone(), id);
        Ok(())
    }

    /// The id that the topic had when its records came here; `None` if nobody knew.
    #[must_use]
    pub fn topic_id(&self, topic: &TopicName) -> Option<TopicId> {
        self.topic_ids.get(topic).copied()
    }

    fn forget_topic_id(&mut self, topic: &TopicName) -> Result<(), SpoolError> {
        let mut folders = self.folders.iter().filter(|(source, _)| source.topic == *topic);
        if folders.any(|(_, folder)| folder.pending().batches > 0) || self.topic_ids.remove(topic).is_none() {
            return Ok(());
        }
        let path = self.topic_dir(topic).join(TOPIC_ID);
        self.disk.remove(&path).map_err(|error| SpoolError::io(&path, error))
    }

    /// The folder's next batch that is not done with; `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Corrupt`] if the file was damaged since the spool was opened, or what the file system refuses.
    pub fn head(&mut self, source: &Source) -> Result<Option<Head>, SpoolError> {
        self.folders.get_mut(source).map_or(Ok(None), Folder::head)
    }

    /// The batch behind `head`, if there is one.
    ///
    /// # Errors
    ///
    /// As [`head`](Self::head).
    pub fn following(&mut self, source: &Source, head: &Head) -> Result<Option<Head>, SpoolError> {
        let next = head.offset() + i64::from(head.count().get());
        self.folders.get_mut(source).map_or(Ok(None), |folder| folder.head_from(next))
    }

    /// How far the folder's replay is; `None` if the file that says so was damaged, so that any batch of it may have been sent.
    #[must_use]
    pub fn progress(&self, source: &Source) -> Option<Progress> {
        self.folders
            .get(source)
            .map_or_else(|| Some(Progress::default()), |folder| (!folder.progress_lost()).then(|| folder.progress()))
    }

    /// Writes down how far the folder's replay is; survives any crash once this returns. What is done with is deleted,
    /// but for copies of a batch of which others are still to be made.
    ///
    /// # Errors
    ///
    /// What the file system refuses; then the spool still is where it was.
    pub fn save_progress(&mut self, source: &Source, progress: Progress) -> Result<(), SpoolError> {
        if let Some(folder) = self.folders.get_mut(source) {
            folder.save(&*self.disk, progress)?;
        }
        self.reclaim(source)?;
        self.forget_topic_id(&source.topic)
    }

    /// What is not done with, by folder. Folders in which everything is done are left out.
    pub fn pending(&self) -> impl Iterator<Item = (&Source, Pending)> {
        self.folders
            .iter()
            .map(|(source, folder)| (source, folder.pending()))
            .filter(|(_, pending)| pending.batches > 0)
    }

    /// What is not done with in one folder.
    #[must_use]
    pub fn pending_in(&self, source: &Source) -> Pending {
        self.folders.get(source).map_or_else(Pending::default, Folder::pending)
    }

    /// Bytes of batches and sidecars, what is replayed and not yet deleted included.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.folders.values().map(Folder::size).sum()
    }

    /// Makes everything survive a crash of the machine.
    ///
    /// # Errors
    ///
    /// What the file system refuses.
    pub fn sync(&mut self) -> Result<(), SpoolError> {
        self.last_sync = Instant::now();
        let synced = self.folders.values_mut().try_for_each(|folder| folder.sync(&*self.disk));
        self.sync_failed = synced.is_err();
        synced
    }

    /// When [`sync_if_due`](Self::sync_if_due) has something to do; `None` if all is synced, or the policy is not [`Fsync::Interval`].
    #[must_use]
    pub fn sync_due(&self) -> Option<Instant> {
        match self.config.fsync {
            Fsync::Interval(every) if self.folders.values().any(Folder::is_unsynced) => {
                self.last_sync.checked_add(every)
            }
            _ => None,
        }
    }

    /// As [`sync`](Self::sync) if the policy is [`Fsync::Interval`], and it is over; whether it was.
    ///
    /// # Errors
    ///
    /// What the file system refuses. What was to be synced still is, with the next call.
    pub fn sync_if_due(&mut self) -> Result<bool, SpoolError> {
        match self.config.fsync {
            Fsync::Interval(every) if self.sync_failed || self.last_sync.elapsed() >= every => {
                self.sync().map(|()| true)
            }
            _ => Ok(false),
        }
    }
}

fn lock(dir: &Path) -> Result<Lock, SpoolError> {
    let path = dir.join(LOCK);
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| SpoolError::io(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(SpoolError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(SpoolError::io(&path, error)),
    }
}

fn check_version(disk: &dyn Disk, dir: &Path) -> Result<(), SpoolError> {
    let path = dir.join(VERSION);
    match fs::read_to_string(&path) {
        Ok(text) if text == VERSION_TEXT => Ok(()),
        Ok(text) => Err(SpoolError::Version { path, found: text.chars().take(40).collect() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            replace(disk, &path, VERSION_TEXT.as_bytes()).map_err(|error| SpoolError::io(&path, error))
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(SpoolError::Version { path, found: "bytes that are no text".to_owned() })
        }
        Err(error) => Err(SpoolError::io(&path, error)),
    }
}

fn folders(dir: &Path) -> Result<Vec<(String, PathBuf)>, SpoolError> {
    let at = |error| SpoolError::io(dir, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(at)? {
        let path = entry.map_err(at)?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str())
            && path.is_dir()
        {
            found.push((name.to_owned(), path));
        }
    }
    Ok(found)
}

fn parse_partition(name: &str) -> Option<PartitionId> {
    let partition: i32 = name.parse().ok()?;
    (partition >= 0 && partition.to_string() == name).then_some(PartitionId(partition))
}

fn parse_topic_id(text: &str) -> Option<TopicId> {
    let text = text.strip_suffix('\n').filter(|text| text.len() == 32 && text.is_ascii())?;
    let mut id = [0; 16];
    for (i, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(TopicId(id))
}
