//! A replay with a producer's settings, instead of a producer.

use std::sync::Arc;

use milena_replay::{Replay, ReplayConfig, ReplayEvent, SharedSpool, Sockets};

use crate::ProducerBuilder;
use crate::builder::cluster_config;
use crate::config::ConfigError;

impl ProducerBuilder {
    /// Starts to send what is in `spool` to the cluster that these settings name, instead of a producer: see [`Replay`].
    ///
    /// Only what concerns the cluster and the way to it counts; batches are sent as they were sealed.
    ///
    /// # Errors
    ///
    /// Every problem of the settings at once; or the operating system refused a thread.
    pub fn replay(
        mut self,
        spool: SharedSpool,
        config: ReplayConfig,
        events: impl FnMut(ReplayEvent) + Send + 'static,
    ) -> Result<Replay, ConfigError> {
        self.check()?;
        let cluster = cluster_config(&self.config);
        let connector = self.security.over(self.connector.unwrap_or_else(|| Arc::new(self.tcp)));
        let sockets = Sockets { cluster, connector, resolver: self.resolver, sasl: self.config.sasl };
        Replay::start(spool, sockets, config, events)
            .map_err(|source| ConfigError { problems: Vec::new(), source: Some(source) })
    }
}
