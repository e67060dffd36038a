//! `milena produce`: one record a line.

mod failed;
mod lines;
mod progress;

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena::{BatchReport, DeliveryHandler, EnqueueError, FailurePolicy, Producer, Record};
use milena_broker::EmbeddedCluster;
use tokio::runtime::Runtime;

use crate::account::{self, Account};
use crate::options::Settings;
use crate::signal::Stop;
use crate::{Exit, complain, complain_with_causes, say};

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
    /// The file to read; standard input without it, or for `-`. A newline ends a record, every other byte belongs to it
    file: Option<PathBuf>,
    /// What stands between a line's key and its value; without it lines have no key
    #[arg(long, value_name = "TEXT", value_parser = lines::separator)]
    key_separator: Option<String>,
    /// A header of every record; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = lines::header)]
    headers: Vec<(String, String)>,
    /// The partition of every record
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// A value that stands for null: the record becomes a tombstone
    #[arg(long, value_name = "MARK")]
    null_value: Option<String>,
    #[command(flatten)]
    settings: Settings,
    /// Print the account as JSON on standard output
    #[arg(long)]
    json: bool,
    /// Produce failed records to this topic, with the reason in headers
    #[arg(long, value_name = "TOPIC")]
    dead_letter_topic: Option<String>,
    /// Keep records that cannot be delivered in this folder, and send what an earlier run left there
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
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
        if let milena::Outcome::Failed(failure) = report.outcome()
            && failure.fate != milena::Fate::Spooled
        {
            self.account.complain_once(failure);
        }
        if let Some(failed) = &self.failed {
            failed.settle(&report);
        }
        // Last, because the command ends as soon as the account is complete.
        self.account.settled(report.outcome(), records);
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
    let ended = match Session::open(args, bootstrap.as_deref()) {
        Ok(session) => session.run(&runtime),
        Err(problem) => {
            complain(problem);
            Exit::Usage
        }
    };
    if let Some(cluster) = embedded {
        runtime.block_on(cluster.shutdown());
    }
    ended
}

/// All that is open while lines are produced.
struct Session<'a> {
    args: &'a Args,
    producer: Producer,
    lines: Lines,
    account: Arc<Account>,
    failed: Option<Arc<Failed>>,
    stop: Stop,
}

impl<'a> Session<'a> {
    /// Checks all there is to check before the first byte goes out.
    fn open(args: &'a Args, bootstrap: Option<&str>) -> Result<Self, String> {
        let mut builder = args.settings.builder(bootstrap, args.spool.as_deref())?;
        if let Some(topic) = &args.dead_letter_topic {
            builder = builder.on_failure(FailurePolicy::topic(topic.as_str()));
        }
        let file = args.file.as_deref().filter(|path| *path != Path::new("-"));
        let shape = Shape {
            key_separator: args.key_separator.clone().map(String::into_bytes),
            null_value: args.null_value.clone().map(String::into_bytes),
        };
        let lines = Lines::open(file, shape).map_err(|error| {
            let name = file.unwrap_or_else(|| "standard input".as_ref());
            format!("{}: {error}", name.display())
        })?;
        if let Some(failed) = args.failed.as_deref().filter(|failed| failed::is_same_file(file, failed)) {
            return Err(format!("{} cannot be read and take failed lines at once", failed.display()));
        }
        let account = Arc::new(Account::default());
        let unwritable = |error| format!("the file for failed lines could not be written: {error}");
        let failed = args.failed.as_deref().map(Failed::open).transpose().map_err(unwritable)?;
        let failed = failed.map(Arc::new);
        let bookkeeper = Bookkeeper { account: Arc::clone(&account), failed: failed.clone() };
        let producer = builder.delivery_handler(bookkeeper).build().map_err(|error| error.to_string())?;
        // Not before: it may have the only copy of what failed in an earlier run.
        failed.as_deref().map_or(Ok(()), Failed::empty).map_err(unwritable)?;
        Ok(Self { args, producer, lines, account, failed, stop: Stop::new() })
    }

    fn run(mut self, runtime: &Runtime) -> Exit {
        let (stopper, quick) = (self.lines.stopper(), self.producer.clone());
        let first = move || {
            complain("delivering what is queued; a second signal gives it up");
            stopper.stop();
        };
        let second = move || drop(quick.blocking().close(Duration::ZERO));
        if let Err(error) = self.stop.on_signal(runtime, first, second) {
            complain(format_args!("signals cannot be heard: {error}"));
        }
        let started = Instant::now();
        // With a spool there is something to do without a cluster.
        if self.producer.health().spool.is_none() && !runtime.block_on(self.reach_cluster()) {
            self.print_account(started);
            return Exit::Failed;
        }
        let started = Instant::now();
        let progress = Progress::start(self.lines.total_bytes());
        // Reading blocks this thread, which nothing else runs on.
        let read = runtime.block_on(self.feed(&progress));
        let closing = self.producer.config().delivery_timeout + Duration::from_secs(1);
        // Its error repeats what the account says.
        drop(self.producer.blocking().close(closing));
        progress.end();
        self.account.wait_until_all_settled();
        let unkept = self.failed.as_deref().and_then(Failed::finish);
        let whole = self.print_account(started);
        if let Some(error) = &unkept {
            complain(format_args!("the file for failed lines could not be written: {error}"));
        }
        match read {
            Err(error) => complain(format_args!("reading stopped: {error}")),
            Ok(Read::Part) => complain("the input was not read to its end"),
            Ok(Read::All) if whole && unkept.is_none() => return Exit::Whole,
            Ok(Read::All) => {}
        }
        Exit::Failed
    }

    async fn reach_cluster(&self) -> bool {
        let timeout = self.args.settings.connect_timeout();
        let reached = tokio::select! {
            reached = self.producer.wait_ready(timeout) => reached,
            () = self.stop.asked() => return false,
        };
        if let Err(error) = &reached {
            complain_with_causes(error);
        }
        reached.is_ok()
    }

    /// Queues line after line until there are no more, or the user asks to stop.
    async fn feed(&mut self, progress: &Progress) -> io::Result<Read> {
        let mut asked = pin!(self.stop.asked());
        let mut number = 0u64;
        while let Some(line) = self.lines.next_unless(&self.stop)? {
            let record = record(self.args, &line);
            if let Some(failed) = &self.failed {
                failed.keep(number, line.raw);
            }
            let taken = tokio::select! {
                biased;
                taken = self.producer.enqueue_with(record, number) => Some(taken),
                // The cluster is away and the buffer full: the line stays unread.
                () = &mut asked => None,
            };
            match taken {
                Some(Ok(())) => self.account.queued(),
                None | Some(Err(EnqueueError::Closed)) if self.stop.is_asked() => {
                    if let Some(failed) = &self.failed {
                        failed.forget(number);
                    }
                    return Ok(Read::Part);
                }
                Some(Err(error)) => {
                    self.account.queued();
                    self.account.refused();
                    self.account.complain_once(&error);
                    if let Some(failed) = &self.failed {
                        failed.refused(number);
                    }
                    if matches!(error, EnqueueError::Closed) {
                        return Ok(Read::Part);
                    }
                }
                None => return Ok(Read::Part),
            }
            number += 1;
            progress.advance(line.raw.len() + 1);
        }
        Ok(if self.stop.is_asked() && self.lines.has_more() { Read::Part } else { Read::All })
    }

    /// Prints the account; tells whether it is whole.
    fn print_account(&self, started: Instant) -> bool {
        let totals = self.account.read(started.elapsed());
        if self.args.json {
            say(totals.to_json());
        } else {
            complain(totals);
        }
        if let Some(notes) = account::notes(&self.producer.metrics()) {
            complain(notes);
        }
        totals.is_whole()
    }
}

/// How far the input was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Read {
    All,
    /// Something is left that was there to be read.
    Part,
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
