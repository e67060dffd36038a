//! One folder that is being replayed: its machine, and what it waits for.

use milena_cluster::RequestId;
use milena_spool::replay::Replayer;
use milena_wire::Timestamp;

#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) replayer: Replayer,
    /// What it asked for.
    pub(crate) asking: Option<RequestId>,
    /// When it is worth a look although nothing happens.
    pub(crate) wake_at: Option<Timestamp>,
    pub(crate) told: Told,
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
        Self { replayer, asking: None, wake_at: None, told: Told::Nothing }
    }

    /// Whether nothing more comes of it by itself.
    pub(crate) fn is_over(&self) -> bool {
        self.told != Told::Nothing
    }
}
