//! What a replay is told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use milena_client::sasl::SaslMechanism;
use milena_cluster::ClusterConfig;
use milena_pool::{Connector, Resolver};
use milena_spool::replay::Rules;

/// What is sent, and how patiently.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplayConfig {
    /// What may be sent, and how long a folder may get no further.
    pub rules: Rules,
    /// Send also what was put aside before, in the order in which it lies there. Default: no.
    pub aside: bool,
    /// How long the cluster may say that there is no such topic before its folders are left alone. Default: 10 s.
    pub unknown_topic_grace: Duration,
    /// Go on for ever: look again when [woken](crate::Replay::wake), and try what was left alone again after this time, at least
    /// [`AGAIN_AFTER_MIN`]. Without it, the replay ends when all is either done or left alone. Default: none.
    pub again_after: Option<Duration>,
}

/// The shortest [`again_after`](ReplayConfig::again_after), 10 ms: less counts as this.
pub const AGAIN_AFTER_MIN: Duration = Duration::from_millis(10);

impl Default for ReplayConfig {
    fn default() -> Self {
        Self { rules: Rules::default(), aside: false, unknown_topic_grace: Duration::from_secs(10), again_after: None }
    }
}

/// How the cluster is reached.
#[derive(Clone)]
pub struct Sockets {
    /// Where it is, and how patient requests are. Topics are never created by a replay, whatever this says.
    pub cluster: ClusterConfig,
    /// Opens connections.
    pub connector: Arc<dyn Connector>,
    /// Turns names into addresses.
    pub resolver: Arc<dyn Resolver>,
    /// How connections authenticate, if `cluster` names a mechanism.
    pub sasl: Option<Arc<dyn SaslMechanism>>,
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}
