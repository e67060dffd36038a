//! `milena produce`: one record a line.

mod failed;
mod lines;
mod progress;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena::{BatchReport, DeliveryHandler, EnqueueError, Producer, Record};
use milena_broker::EmbeddedCluster;

use crate::account::Account;
use crate::options::Settings;
use crate::signal::Stop;
use crate::{Exit, complain, complain_with_causes};

use failed::Failed;
use lines::{Line, Lines, Shape};
use progress::Progress;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The topic to produce to
    #[arg(long)]
    topic: String,
    /// Where the cluster is: host:port, several separated by commas
    #[arg(long, conflicts_with = "embedded", value_name = "HOST:PORT[,...]")]
    bootstrap: Option<String>,
    /// Produce to an embedded broker that lives as long as the command
    #[arg(long)]
    embedded: bool,
    /// The file to read; standard input without it
    file: Option<PathBuf>,
    /// What stands between a line's key and its value; without it lines have no key
    #[arg(long, value_name = "TEXT")]
    key_separator: Option<String>,
    /// A header of every record; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = lines::header)]
    headers: Vec<(String, String)>,
    /// The partition of every record
    #[arg(long)]
    partition: Option<i32>,
    /// A value that stands for null: the record becomes a tombstone
    #[arg(long, value_name = "MARK")]
    null_value: Option<String>,
    #[command(flatten)]
    settings: Settings,
    /// How long to wait for the cluster's first answer, in seconds
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    connect_timeout: u64,
    /// Print the account as JSON on standard output
    #[arg(long)]
    json: bool,
    /// Keep the lines of failed records in this file
    #[arg(long, value_name = "FILE")]
    failed: Option<PathBuf>,
}

/// Hears of every batch and keeps the account.
struct Bookkeeper {
    account: Arc<Account>,
    failed: Option<Arc<Failed>>,
}

impl DeliveryHandler for Bookkeeper {
    fn on_batch(&self, report: BatchReport) {
        let records = report.records().len() as u64;
        self.account.settled(report.outcome(), records);
        if let milena::Outcome::Failed(failure) = report.outcome() {
            self.account.complain_once(failure);
        }
        if let Some(failed) = &self.failed {
            failed.settle(&report);
        }
    }
}

pub(crate) fn run(args: &Args) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(format_args!("the runtime could not be started: {error}"));
            return Exit::Failed;
        }
    };
    // Held to the end: dropping it stops the broker.
    let embedded = if args.embedded {
        match runtime.block_on(EmbeddedCluster::builder().start()) {
            Ok(cluster) => Some(cluster),
            Err(error) => {
                complain(format_args!("the embedded broker could not be started: {error}"));
                return Exit::Failed;
            }
        }
    } else {
        None
    };
    let bootstrap = match &embedded {
        Some(cluster) => Some(cluster.bootstrap()),
        None => args.bootstrap.clone(),
    };
    let ended = produce(args, bootstrap.as_deref());
    if let Some(cluster) = embedded {
        runtime.block_on(cluster.shutdown());
    }
    ended
}

fn produce(args: &Args, bootstrap: Option<&str>) -> Exit {
    let account = Arc::new(Account::default());
    let failed = match args.failed.as_deref().map(Failed::create).transpose() {
        Ok(failed) => failed.map(Arc::new),
        Err(error) => {
            complain(format_args!("the file for failed lines could not be written: {error}"));
            return Exit::Usage;
        }
    };
    let builder = match args.settings.builder(bootstrap) {
        Ok(builder) => builder,
        Err(problems) => {
            complain(problems);
            return Exit::Usage;
        }
    };
    let bookkeeper = Bookkeeper { account: Arc::clone(&account), failed: failed.clone() };
    let producer = match builder.delivery_handler(bookkeeper).build() {
        Ok(producer) => producer,
        Err(error) => {
            complain(error);
            return Exit::Usage;
        }
    };
    let shape = Shape {
        key_separator: args.key_separator.clone().map(String::into_bytes),
        null_value: args.null_value.clone().map(String::into_bytes),
    };
    let lines = match Lines::open(args.file.as_deref(), shape) {
        Ok(lines) => lines,
        Err(error) => {
            let name = args.file.as_deref().unwrap_or_else(|| "standard input".as_ref());
            complain(format_args!("{}: {error}", name.display()));
            return Exit::Usage;
        }
    };
    let blocking = producer.blocking();
    if let Err(error) = blocking.wait_ready(Duration::from_secs(args.connect_timeout)) {
        complain_with_causes(&error);
        print_account(args, &account, Duration::ZERO);
        return Exit::Failed;
    }

    let started = Instant::now();
    let stop = Stop::default();
    let (stopper, quick) = (lines.stopper(), producer.clone());
    stop.on_signal(move || stopper.stop(), move || drop(quick.blocking().close(Duration::ZERO)));
    let progress = Progress::start(args.json, lines.total_bytes());
    let read = feed(args, &producer, lines, &account, failed.as_deref(), &stop, &progress);
    let closed = blocking.close(producer.config().delivery_timeout + Duration::from_secs(1));
    progress.end();
    // Its error repeats what the account says.
    drop(closed);
    drop(producer);
    account.wait_until_all_settled();
    if let Some(error) = failed.as_deref().and_then(Failed::finish) {
        complain(format_args!("the file for failed lines could not be written: {error}"));
    }
    let whole = print_account(args, &account, started.elapsed());
    match read {
        Err(error) => {
            complain(format_args!("reading stopped: {error}"));
            Exit::Failed
        }
        Ok(()) if whole => Exit::Whole,
        Ok(()) => Exit::Failed,
    }
}

fn feed(
    args: &Args,
    producer: &Producer,
    mut lines: Lines,
    account: &Account,
    failed: Option<&Failed>,
    stop: &Stop,
    progress: &Progress,
) -> io::Result<()> {
    let blocking = producer.blocking();
    let mut number = 0u64;
    while let Some(line) = lines.next_unless(stop)? {
        let record = record(args, &line);
        if let Some(failed) = failed {
            failed.keep(number, line.raw);
        }
        account.queued();
        if let Err(error) = blocking.enqueue_with(record, number) {
            account.refused();
            account.complain_once(&error);
            if let Some(failed) = failed {
                failed.refused(number);
            }
            if matches!(error, EnqueueError::Closed) {
                return Ok(());
            }
        }
        number += 1;
        progress.advance(line.raw.len() + 1);
    }
    Ok(())
}

fn record<'a>(args: &'a Args, line: &Line<'a>) -> Record<'a> {
    let mut record = Record::to(args.topic.as_str());
    if let Some(key) = line.key {
        record = record.key(key);
    }
    if let Some(value) = line.value {
        record = record.value(value);
    }
    for (name, value) in &args.headers {
        record = record.header(name.as_str(), value);
    }
    match args.partition {
        Some(partition) => record.partition(partition),
        None => record,
    }
}

fn print_account(args: &Args, account: &Account, elapsed: Duration) -> bool {
    let totals = account.read(elapsed);
    if args.json {
        println!("{}", totals.to_json());
    } else {
        eprintln!("milena: {totals}");
    }
    totals.is_whole()
}
