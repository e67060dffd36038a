//! How a producer is, made for a service's health page.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use milena_cluster::{BrokerState as LinkState, ClusterState, ConnError, LastError as LinkError};
use milena_spool::{Recovered, Source, SpoolError};
use milena_wire::{BrokerId, ErrorCode, Timestamp};

use crate::clock::Clock;
use crate::spool_policy::SpoolPolicy;

/// How a producer, its cluster and each broker are at one moment, since when, and what went wrong last.
///
/// Printed, it is one line for the cluster, one for each broker, and one for whatever else is not as it should be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// When this was read.
    pub at: SystemTime,
    /// Whether the producer takes records.
    pub producer: ProducerState,
    /// The cluster as a whole.
    pub cluster: ClusterHealth,
    /// Every broker of the cluster by id, and those that have left it since the producer was built (the last 64).
    pub brokers: Vec<BrokerHealth>,
    /// Partitions that have records and no leader to send them to.
    pub partitions_without_leader: usize,
    /// Partitions in which a batch ended as maybe written, and where it is not known yet whether it is on the log.
    pub partitions_resolving: usize,
    /// The spool, if there is one.
    pub spool: Option<SpoolHealth>,
}

/// How a spool is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SpoolHealth {
    /// Its folder.
    pub dir: PathBuf,
    /// Records that wait there to be sent.
    pub waiting: u64,
    /// Records that the replay put aside: see `docs/spool.md`.
    pub aside: u64,
    /// Bytes in use.
    pub used_bytes: u64,
    /// The bound.
    pub max_bytes: u64,
    /// Folders that the replay does not get on with, and why.
    pub stopped: BTreeMap<Source, String>,
    /// When it last refused a batch, and why; kept when all is well again.
    pub last_error: Option<(SystemTime, Arc<SpoolError>)>,
    /// When its replay last could not be started, or panicked, and why; kept when all is well again. It is started anew after
    /// [`retry_after`](SpoolPolicy::retry_after).
    pub replay_error: Option<(SystemTime, String)>,
    /// Whether it is out of service until the program is started again: its thread has panicked. Nothing is kept any more, nothing is replayed, and new
    /// records of partitions that have some in it fail.
    pub gone: bool,
    /// What was found when it was opened.
    pub recovered: Recovered,
}

impl SpoolHealth {
    pub(crate) fn new(policy: &SpoolPolicy, recovered: Recovered) -> Self {
        Self {
            dir: policy.dir.clone(),
            waiting: recovered.pending.records,
            aside: 0,
            used_bytes: 0,
            max_bytes: policy.max_bytes,
            stopped: BTreeMap::new(),
            last_error: None,
            replay_error: None,
            gone: false,
            recovered,
        }
    }
}

impl fmt::Display for SpoolHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dir, waiting, aside, used_bytes, max_bytes, .. } = self;
        write!(
            f,
            "spool {}: {waiting} records wait, {aside} are put aside, {used_bytes} of {max_bytes} bytes",
            dir.display()
        )?;
        for (source, why) in &self.stopped {
            write!(f, "; {} {:?}: {why}", source.topic, source.place)?;
        }
        if let Some((_, error)) = &self.last_error {
            write!(f, "; last refusal: {error}")?;
        }
        if let Some((_, error)) = &self.replay_error {
            write!(f, "; last trouble of the replay: {error}")?;
        }
        if self.gone {
            f.write_str("; its thread has panicked, and nothing is kept or replayed any more")?;
        }
        Ok(())
    }
}

/// Whether a producer takes records, and why not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProducerState {
    /// It does.
    Running,
    /// It was closed.
    Closed,
    /// A broker's answer forbids it to go on.
    Fatal {
        /// The answer.
        code: ErrorCode,
    },
    /// Its runtime was shut down, or its I/O panicked.
    CutShort,
}

/// The health of a cluster as a whole.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClusterHealth {
    /// Whether it can be reached.
    pub state: ClusterState,
    /// Since when.
    pub since: SystemTime,
    /// The last failure of any connection, or of learning metadata; kept when all is well again.
    pub last_error: Option<LastError>,
}

/// The health of one broker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BrokerHealth {
    /// Its id.
    pub id: BrokerId,
    /// Where it listens, or listened last.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way to it is.
    pub state: BrokerState,
    /// Since when.
    pub since: SystemTime,
    /// The last failure of a connection to it; kept when all is well again.
    pub last_error: Option<LastError>,
}

/// How the way to one broker is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BrokerState {
    /// There is no connection, and none is wanted: nothing is to be sent there.
    Idle,
    /// The first connection is being made, or one after a rest.
    Connecting,
    /// A connection is usable.
    Up,
    /// A connection is usable, and the broker has asked for silence on it: a quota is used up.
    Throttled {
        /// Until then.
        until: SystemTime,
    },
    /// The last connection or attempt failed, and none has become usable since; it may be tried again right now.
    Down,
    /// The cluster does not list the broker any more.
    Left,
}

/// The last thing that went wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LastError {
    /// When.
    pub at: SystemTime,
    /// What, where, and what to do about it.
    pub error: Arc<ConnError>,
}

impl Health {
    /// Puts what the sender knows on the wall clock.
    pub(crate) fn new(clock: Clock, producer: ProducerState, known: &milena_sender::Health) -> Self {
        let moment = Moment { now: clock.now(), at: SystemTime::now() };
        let cluster = ClusterHealth {
            state: known.cluster.state,
            since: moment.wall(known.cluster.since),
            last_error: moment.error(known.cluster.last_error.as_ref()),
        };
        let brokers = known.cluster.brokers.iter().map(|(id, broker)| moment.broker(*id, broker)).collect();
        Self {
            at: moment.at,
            producer,
            cluster,
            brokers,
            partitions_without_leader: known.without_leader,
            partitions_resolving: known.resolving,
            spool: None,
        }
    }

    /// Whether records that are queued now can be expected to be delivered: the producer takes them, the cluster can be
    /// reached, no broker of it is down, every partition with records has a leader, and the spool, if there is one, is in service. One that has not tried
    /// yet is well.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.producer == ProducerState::Running
            && self.cluster.state != ClusterState::Unreachable
            && self.brokers.iter().all(|broker| broker.state != BrokerState::Down)
            && self.partitions_without_leader == 0
            && self.spool.as_ref().is_none_or(|spool| !spool.gone)
    }

    /// The broker of that id.
    #[must_use]
    pub fn broker(&self, id: BrokerId) -> Option<&BrokerHealth> {
        self.brokers.iter().find(|broker| broker.id == id)
    }

    fn ago(&self, time: SystemTime) -> Duration {
        self.at.duration_since(time).unwrap_or_default()
    }
}

/// One moment by both clocks.
#[derive(Clone, Copy)]
struct Moment {
    now: Timestamp,
    at: SystemTime,
}

impl Moment {
    fn wall(self, time: Timestamp) -> SystemTime {
        let moved = if time > self.now {
            self.at.checked_add(time.since(self.now))
        } else {
            self.at.checked_sub(self.now.since(time))
        };
        moved.unwrap_or(self.at)
    }

    fn error(self, last: Option<&LinkError>) -> Option<LastError> {
        last.map(|last| LastError { at: self.wall(last.at), error: Arc::clone(&last.error) })
    }

    fn broker(self, id: BrokerId, broker: &milena_cluster::BrokerHealth) -> BrokerHealth {
        let (state, since) = match (broker.state, broker.throttle) {
            (LinkState::Up, Some(throttle)) if throttle.until > self.now => {
                (BrokerState::Throttled { until: self.wall(throttle.until) }, throttle.since)
            }
            (LinkState::Up, Some(throttle)) => (BrokerState::Up, broker.since.max(throttle.until)),
            (LinkState::Up, None) => (BrokerState::Up, broker.since),
            (LinkState::Connecting, _) => (BrokerState::Connecting, broker.since),
            (LinkState::Down, _) => (BrokerState::Down, broker.since),
            (LinkState::Left, _) => (BrokerState::Left, broker.since),
            _ => (BrokerState::Idle, broker.since),
        };
        BrokerHealth {
            id,
            host: broker.address.host.clone(),
            port: broker.address.port,
            state,
            since: self.wall(since),
            last_error: self.error(broker.last_error.as_ref()),
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.cluster.state {
            ClusterState::Reachable => "reachable",
            ClusterState::Unreachable => "unreachable",
            _ => "not known yet",
        };
        write!(f, "cluster {state} for {:.1?}", self.ago(self.cluster.since))?;
        if self.cluster.state == ClusterState::Unreachable {
            self.fmt_error(f, self.cluster.last_error.as_ref())?;
        }
        for broker in &self.brokers {
            write!(f, "\nbroker {} ({}:{}) ", broker.id, broker.host, broker.port)?;
            let ago = self.ago(broker.since);
            match broker.state {
                BrokerState::Idle => write!(f, "not needed for {ago:.1?}")?,
                BrokerState::Connecting => write!(f, "connecting for {ago:.1?}")?,
                BrokerState::Up => write!(f, "up for {ago:.1?}")?,
                BrokerState::Throttled { until } => {
                    let left = until.duration_since(self.at).unwrap_or_default();
                    write!(f, "throttling for {ago:.1?}, {left:.1?} more")?;
                }
                BrokerState::Down => write!(f, "down for {ago:.1?}")?,
                BrokerState::Left => write!(f, "not in the cluster for {ago:.1?}")?,
            }
            self.fmt_error(f, broker.last_error.as_ref())?;
        }
        if self.partitions_without_leader > 0 {
            write!(f, "\npartitions with records and no leader: {}", self.partitions_without_leader)?;
        }
        if self.partitions_resolving > 0 {
            write!(f, "\npartitions where the fate of a batch is being resolved: {}", self.partitions_resolving)?;
        }
        if let Some(spool) = &self.spool {
            write!(f, "\n{spool}")?;
        }
        match self.producer {
            ProducerState::Running => Ok(()),
            ProducerState::Closed => f.write_str("\nthe producer is closed"),
            ProducerState::Fatal { code } => {
                write!(f, "\nthe producer cannot go on: {code}, {}", code.description())
            }
            ProducerState::CutShort => f.write_str("\nthe producer's runtime is gone"),
        }
    }
}

impl Health {
    fn fmt_error(&self, f: &mut fmt::Formatter<'_>, last: Option<&LastError>) -> fmt::Result {
        last.map_or(Ok(()), |last| write!(f, "; last error {:.1?} ago: {}", self.ago(last.at), last.error))
    }
}

#[cfg(test)]
mod tests {
    use milena_cluster::ConnErrorKind;

    use super::*;

    #[test]
    fn it_reads_as_a_page() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let ago = |seconds| at - Duration::from_secs(seconds);
        let error = ConnErrorKind::Closed;
        let error = milena_cluster::ConnError::new(error, "b:9092".to_owned(), Some(BrokerId(2)), String::new());
        let last_error = Some(LastError { at: ago(3), error: Arc::new(error) });
        let broker = |id, state| BrokerHealth {
            id: BrokerId(id),
            host: "b".to_owned(),
            port: 9092,
            state,
            since: ago(7),
            last_error: None,
        };
        let health = Health {
            at,
            producer: ProducerState::Running,
            cluster: ClusterHealth { state: ClusterState::Reachable, since: ago(90), last_error: last_error.clone() },
            brokers: vec![
                broker(1, BrokerState::Throttled { until: at + Duration::from_secs(5) }),
                BrokerHealth { last_error, ..broker(2, BrokerState::Down) },
            ],
            partitions_without_leader: 4,
            partitions_resolving: 0,
            spool: None,
        };
        let page = "cluster reachable for 90.0s\n\
            broker 1 (b:9092) throttling for 7.0s, 5.0s more\n\
            broker 2 (b:9092) down for 7.0s; last error 3.0s ago: broker 2 at b:9092: the other side closed the connection\n\
            partitions with records and no leader: 4";
        assert_eq!(health.to_string(), page);
        assert!(!health.is_well());
    }
}
