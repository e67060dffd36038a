//! `milena broker`: the embedded broker as a program.

use std::io;
use std::path::PathBuf;

use milena_broker::EmbeddedCluster;

use crate::sasl::Sasl;
use crate::signal::Stop;
use crate::tls::Tls;
use crate::{Exit, complain, say};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where the first node listens; further nodes take the ports after it. Port 0 chooses free ones
    #[arg(long, default_value = "127.0.0.1:9092", value_name = "HOST:PORT")]
    listen: String,
    /// How many brokers the cluster has
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    nodes: u16,
    /// Partitions of a topic that is created by being asked for
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    partitions: u16,
    /// Keep the log in this folder, in Kafka's segment format; without it the log is in memory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    tls: Tls,
    #[command(flatten)]
    sasl: Sasl,
}

impl Args {
    /// What clients have to set to be let in, if anything.
    fn client_settings(&self) -> Option<String> {
        let (tls, sasl) = (self.tls.client_settings(), self.sasl.client_settings());
        let protocol = match (tls.is_some(), sasl.is_empty()) {
            (true, false) => "SASL_SSL",
            (false, false) => "SASL_PLAINTEXT",
            (true, true) => "SSL",
            (false, true) => return None,
        };
        let protocol = format!("security.protocol={protocol}");
        let settings = [protocol].into_iter().chain(sasl).chain(tls.flatten());
        // The quotes keep the shell away from what is ours.
        Some(settings.map(|setting| format!("-X '{setting}'")).collect::<Vec<_>>().join(" "))
    }
}

pub(crate) fn run(args: &Args) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(format_args!("the runtime could not be started: {error}"));
            return Exit::Failed;
        }
    };
    let mut builder = EmbeddedCluster::builder()
        .nodes(usize::from(args.nodes))
        .partitions(i32::from(args.partitions))
        .listen(args.listen.as_str());
    if let Some(data) = &args.data {
        builder = builder.data_dir(data);
    }
    let host = args.listen.rsplit_once(':').map_or("", |(host, _)| host.trim_matches(['[', ']']));
    match args.tls.server(host) {
        Ok(Some(tls)) => builder = builder.tls(tls),
        Ok(None) => {}
        Err(error) => {
            complain(error);
            return Exit::Usage;
        }
    }
    match args.sasl.server() {
        Ok(Some(sasl)) => builder = builder.sasl(sasl),
        Ok(None) => {}
        Err(error) => {
            complain(error);
            return Exit::Usage;
        }
    }
    let (stop, heard) = (Stop::new(), || {});
    if let Err(error) = stop.on_signal(&runtime, heard, || std::process::exit(130)) {
        complain(format_args!("signals cannot be heard: {error}"));
    }
    let cluster = match runtime.block_on(builder.start()) {
        Ok(cluster) => cluster,
        Err(error) => {
            complain(format_args!("the broker could not be started on {}: {error}", args.listen));
            return if error.kind() == io::ErrorKind::InvalidInput { Exit::Usage } else { Exit::Failed };
        }
    };
    say(cluster.bootstrap());
    if let Some(settings) = args.client_settings() {
        complain(format_args!("clients need {settings}"));
    }
    runtime.block_on(async {
        stop.asked().await;
        cluster.shutdown().await;
    });
    Exit::Whole
}
