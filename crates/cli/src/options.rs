//! Options that several commands share: settings by Kafka's names.

use std::path::PathBuf;

use milena::property::Properties;
use milena::{Producer, ProducerBuilder};

/// Settings by Kafka's names.
#[derive(clap::Args, Debug)]
pub(crate) struct Settings {
    /// A setting by its Java or librdkafka name; may be given several times
    #[arg(short = 'X', value_name = "NAME=VALUE")]
    pub(crate) properties: Vec<String>,
    /// A property file; -X wins over it
    #[arg(long, value_name = "FILE.properties")]
    pub(crate) config: Option<PathBuf>,
}

impl Settings {
    /// A builder with the file's settings, then those of the command line. `bootstrap` wins over both.
    ///
    /// # Errors
    ///
    /// All that is wrong with the settings, a line each.
    pub(crate) fn builder(&self, bootstrap: Option<&str>) -> Result<ProducerBuilder, String> {
        let mut properties = Properties::new();
        if let Some(path) = &self.config {
            properties.add_file(path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        for pair in &self.properties {
            properties.add_pair(pair);
        }
        let settings = properties.settings().map_err(|problems| problems.to_string())?;
        let bootstrap = match (bootstrap, &settings.client.bootstrap) {
            (Some(given), _) => given.to_owned(),
            (None, Some(hosts)) => hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            (None, None) => return Err("which cluster? give --bootstrap host:port, or bootstrap.servers".into()),
        };
        Ok(Producer::builder(bootstrap).settings(&settings))
    }
}
