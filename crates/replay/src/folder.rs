//! One folder that is being replayed: its machine, and what it waits for.

use milena_cluster::RequestId;
use milena_spool::replay::Replayer;
use milena_spool::{Head, Source};
use milena_wire::{BrokerId, Timestamp};

#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) replayer: Replayer,
    /// What it asked for.
    pub(crate) asking: Option<RequestId>,
    /// When it is worth a look although nothing happens.
    pub(crate) wake_at: Option<Timestamp>,
    /// In whose line it stands.
    pub(crate) waits_for: Option<BrokerId>,
    pub(crate) told: Told,
    /// Records that have got their partition since that was told last.
    pub(crate) assigned: u64,
}

/// A request on its way.
#[derive(Debug)]
pub(crate) enum Asked {
    /// For a producer id.
    Identity(Source),
    /// With this batch.
    Batch { source: Source, broker: BrokerId, head: Head },
}

/// What was told last, so that nothing is told twice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    Nothing,
    CaughtUp,
    Stopped,
}

impl Folder {
    pub(crate) fn new(replayer: Replayer) -> Self {
        Self { replayer, asking: None, wake_at: None, waits_for: None, told: Told::Nothing, assigned: 0 }
    }

    /// Whether nothing more comes of it by itself.
    pub(crate) fn is_over(&self) -> bool {
        self.told != Told::Nothing
    }
}
