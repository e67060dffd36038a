//! Options that several commands share: settings by Kafka's names.

use std::path::{Path, PathBuf};
use std::time::Duration;

use milena::property::Properties;
use milena::sasl::Secret;
use milena::{Producer, ProducerBuilder, RefusedIdentity};

use crate::complain;

/// A command that reads has nothing better to do than to wait: a cluster that is away for long must not make it refuse
/// lines. Records in the buffer still fail in time, which makes room.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Settings by Kafka's names.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Settings {
    /// A setting by its Java or librdkafka name; may be given several times. Passwords are better given as ${file:PATH} or ${env:NAME}
    #[arg(short = 'X', value_name = "NAME=VALUE")]
    pub(crate) properties: Vec<Secret>,
    /// A property file; -X wins over it
    #[arg(long, value_name = "FILE.properties")]
    pub(crate) config: Option<PathBuf>,
    /// How long to wait for the cluster's first answer, in seconds
    #[arg(long, default_value_t = 15, value_name = "SECONDS")]
    connect_timeout: u64,
}

impl Settings {
    /// How long to wait for the cluster's first answer.
    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.connect_timeout)
    }

    /// A builder with the file's settings, then those of the command line. `bootstrap` and `spool`, a folder, win over both. Waits for memory
    /// as long as it takes, and does not wait for a wrong password to become right before it ever was, unless they say otherwise.
    ///
    /// # Errors
    ///
    /// All that is wrong with the settings, a line each.
    pub(crate) fn builder(&self, bootstrap: Option<&str>, spool: Option<&Path>) -> Result<ProducerBuilder, String> {
        let mut properties = Properties::new();
        if let Some(path) = &self.config {
            properties.add_file(path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        for pair in &self.properties {
            properties.add_pair(pair.expose_str().unwrap_or_default());
        }
        let mut settings = properties.resolve().settings().map_err(|problems| problems.to_string())?;
        settings.warnings().for_each(complain);
        if let Some(dir) = spool {
            settings.producer.spool.dir = Some(dir.to_owned());
        }
        let bootstrap = match (bootstrap, &settings.client.bootstrap) {
            (Some(given), _) => given.to_owned(),
            (None, Some(hosts)) => hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            (None, None) => return Err("which cluster? give --bootstrap host:port, or bootstrap.servers".into()),
        };
        let builder = Producer::builder(bootstrap).max_block(PATIENCE).refused_identity(RefusedIdentity::FailAtStart);
        Ok(builder.settings(&settings))
    }
}

#[cfg(test)]
mod tests {
    use milena::ProducerConfig;

    use super::*;

    fn config(properties: &[&str]) -> ProducerConfig {
        let properties = properties.iter().map(|pair| Secret::from(*pair)).collect();
        let settings = Settings { properties, config: None, connect_timeout: 1 };
        settings.builder(Some("localhost:1"), None).unwrap().build().unwrap().config().clone()
    }

    #[test]
    fn a_command_waits_for_memory_as_long_as_it_takes_unless_told_otherwise() {
        assert_eq!(config(&[]).max_block, PATIENCE);
        assert_eq!(config(&["max.block.ms=7"]).max_block, Duration::from_millis(7));
    }

    #[test]
    fn what_is_on_the_command_line_is_not_shown_by_whoever_shows_the_arguments() {
        let properties = vec![Secret::from("sasl.password=hunter2")];
        let settings = Settings { properties, config: None, connect_timeout: 1 };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn a_command_whose_identity_is_refused_gives_up_at_once_unless_told_otherwise() {
        assert_eq!(config(&[]).refused_identity, RefusedIdentity::FailAtStart);
        assert_eq!(config(&["milena.refused.identity=wait"]).refused_identity, RefusedIdentity::Wait);
    }
}
