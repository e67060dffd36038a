//! `milena replay`: what a spool holds, to its cluster.

mod summary;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use milena::spool::replay::Rules;
use milena::spool::{Spool, SpoolConfig};
use milena::{Replay, ReplayConfig, ReplayEvent, SharedSpool};
use parking_lot::Mutex;

use crate::options::Settings;
use crate::signal::Stop;
use crate::{Exit, complain, complain_with_causes, say};

use summary::Summary;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The spool's folder
    dir: PathBuf,
    /// Where the cluster is: host:port, several separated by commas
    #[arg(long, value_name = "HOST:PORT[,...]")]
    bootstrap: Option<String>,
    /// Only say what there is, and send nothing
    #[arg(long, visible_alias = "dry-run")]
    list: bool,
    /// Send also what may be written already and cannot be resolved
    #[arg(long)]
    accept_duplicates: bool,
    /// Send also what an earlier replay put aside, behind everything else
    #[arg(long)]
    aside: bool,
    /// How long a partition may get no further before it is left alone, in seconds
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    patience: u64,
    /// How long the brokers certainly remember a producer (less than their producer.id.expiration.ms), in hours
    #[arg(long, default_value_t = 23, value_name = "HOURS")]
    broker_memory: u32,
    #[command(flatten)]
    settings: Settings,
    /// Print the account as JSON on standard output
    #[arg(long)]
    json: bool,
}

impl Args {
    fn config(&self) -> ReplayConfig {
        let mut config = ReplayConfig::default();
        let patience = Duration::from_secs(self.patience);
        config.aside = self.aside;
        // Before patience is over, so that the topic is named as what is missing.
        config.unknown_topic_grace = config.unknown_topic_grace.min(patience / 2);
        config.rules = Rules {
            accept_duplicates: self.accept_duplicates,
            broker_memory: Duration::from_secs(u64::from(self.broker_memory) * 3600),
            patience: Some(patience),
            ..Rules::default()
        };
        config
    }
}

pub(crate) fn run(args: &Args) -> Exit {
    // A mistyped name must not become an empty spool.
    if !args.dir.join("spool.version").is_file() {
        complain(format_args!("{} holds no spool", args.dir.display()));
        return Exit::Usage;
    }
    let (spool, recovered) = match Spool::open(SpoolConfig::new(&args.dir)) {
        Ok(opened) => opened,
        Err(error) => {
            complain_with_causes(&error);
            return Exit::Failed;
        }
    };
    for torn in &recovered.torn {
        complain(torn);
    }
    for damage in &recovered.damaged {
        complain(damage);
    }
    if args.list {
        let summary = Summary::default();
        say(if args.json { summary.to_json(&spool, Duration::ZERO) } else { summary.list(&spool) });
        return Exit::Whole;
    }
    let builder = match args.settings.builder(args.bootstrap.as_deref(), Some(&args.dir)) {
        Ok(builder) => builder,
        Err(problem) => {
            complain(problem);
            return Exit::Usage;
        }
    };
    let started = Instant::now();
    let total = recovered.pending.records;
    let spool: SharedSpool = Arc::new(Mutex::new(spool));
    let (tell, events) = mpsc::channel();
    // Whoever reads has gone only at the end.
    let replay = builder.replay(Arc::clone(&spool), args.config(), move |event| drop(tell.send(event)));
    let replay = match replay {
        Ok(replay) => Arc::new(replay),
        Err(error) => {
            complain(error);
            return Exit::Usage;
        }
    };
    let summary = watch(&replay, &events, total);
    let spool = spool.lock();
    let elapsed = started.elapsed();
    if args.json {
        say(summary.to_json(&spool, elapsed));
    } else {
        summary.to_text(&spool, elapsed).lines().for_each(complain);
    }
    if summary::is_empty(&spool) { Exit::Whole } else { Exit::Failed }
}

/// Hears of the replay until it is over.
fn watch(replay: &Arc<Replay>, events: &mpsc::Receiver<ReplayEvent>, total: u64) -> Summary {
    // Only to hear signals.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let first = Arc::clone(replay);
    let stop = Stop::new();
    let heard = runtime.as_ref().map_err(ToString::to_string).and_then(|runtime| {
        let ask = move || {
            complain("waiting for the last answers; a second signal gives them up");
            first.stop();
        };
        // As sound as any kill: the next replay goes on where this one was.
        let give_up = || std::process::exit(Exit::Failed as i32);
        stop.on_signal(runtime, ask, give_up).map_err(|error| error.to_string())
    });
    if let Err(error) = heard {
        complain(format_args!("signals cannot be heard: {error}"));
    }
    let progress = summary::Progress::start(total);
    let mut summary = Summary::default();
    for event in events {
        if matches!(event, ReplayEvent::Ended) {
            break;
        }
        summary.hear(&event);
        progress.show(&summary);
    }
    progress.end();
    summary
}
