//! `milena demo`: a million records into a cluster that suffers, and an account of every one.

mod audit;
mod ledger;
mod trouble;

use std::sync::Arc;
use std::time::{Duration, Instant};

use milena::{Fate, PartitionId, Producer, Record};
use milena_broker::EmbeddedCluster;

use crate::{Exit, complain, say};

use audit::{Findings, Seen, audit};
use ledger::{Bookkeeper, Ledger, Told};
use trouble::{Suffered, Trouble};

/// Kafka, *Die Verwandlung* (1915), its beginning.
const TEXT: &str = include_str!("demo/metamorphosis.txt");
const TOPIC: &str = "verwandlung";
const NODES: u8 = 3;
const PARTITIONS: i32 = 6;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// How many records to produce
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    records: u64,
    /// A text of your own, a record a line; without it the demo has its own
    #[arg(long, value_name = "FILE")]
    text: Option<std::path::PathBuf>,
    /// Leave the cluster in peace
    #[arg(long)]
    calm: bool,
}

pub(crate) fn run(args: &Args) -> Exit {
    match demonstrate(args) {
        Ok(true) => Exit::Whole,
        Ok(false) => Exit::Failed,
        Err((exit, message)) => {
            complain(message);
            exit
        }
    }
}

fn demonstrate(args: &Args) -> Result<bool, (Exit, String)> {
    let text = match &args.text {
        Some(path) => std::fs::read(path).map_err(|error| (Exit::Usage, format!("{}: {error}", path.display())))?,
        None => TEXT.as_bytes().to_vec(),
    };
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).collect();
    if lines.is_empty() {
        return Err((Exit::Usage, "the text has no line".into()));
    }
    let failed = |error: &dyn std::fmt::Display| (Exit::Failed, error.to_string());
    let cluster =
        EmbeddedCluster::builder().nodes(usize::from(NODES)).start_blocking().map_err(|error| failed(&error))?;
    cluster.create_topic(TOPIC, PARTITIONS, i16::from(NODES)).map_err(|error| failed(&error))?;
    let cluster = Arc::new(cluster);
    say(format_args!(
        "cluster       {NODES} brokers in this process, topic {TOPIC} with {PARTITIONS} partitions, replicated"
    ));

    let ledger = Arc::new(Ledger::new(args.records));
    let producer = Producer::builder(cluster.bootstrap())
        .max_block(Duration::from_secs(120))
        .delivery_handler(Bookkeeper(Arc::clone(&ledger)))
        .build()
        .map_err(|error| failed(&error))?;
    let trouble = (!args.calm).then(|| Trouble::start(Arc::clone(&cluster), Arc::clone(&ledger), TOPIC, PARTITIONS));

    let started = Instant::now();
    let blocking = producer.blocking();
    let mut refused = None;
    for id in 0..args.records {
        let line = lines[usize::try_from(id).unwrap_or(0) % lines.len()];
        let key = id.to_be_bytes();
        let record = Record::to(TOPIC).key(&key).value(line);
        if let Err(error) = blocking.enqueue_with(record, id) {
            refused.get_or_insert(error);
            ledger.note(id, Told::Failed(Fate::NotWritten));
        }
    }
    let enqueued = started.elapsed();
    let closed = blocking.close(Duration::from_secs(130));
    let delivered = started.elapsed();
    // What could not be delivered is in the ledger, record by record.
    drop(closed);
    if let Some(error) = refused {
        complain(format_args!("records were not taken, the first because: {error}"));
    }
    let metrics = producer.metrics();
    drop(producer);
    ledger.wait_until_settled();
    let suffered = trouble.map(Trouble::end);

    let logs: Vec<_> = (0..PARTITIONS)
        .map(|partition| {
            let batches = cluster.log(TOPIC, PartitionId(partition));
            // A batch that cannot be read leaves its records missing, which the audit says.
            (
                partition,
                batches.iter().flat_map(|batch| batch.records().unwrap_or_default()).map(seen).collect::<Vec<_>>(),
            )
        })
        .collect();
    let findings =
        audit(args.records, &ledger, &logs, |id, value| value == lines[usize::try_from(id).unwrap_or(0) % lines.len()]);

    if let Some(Suffered { leaders_moved, connections_cut, answers_lost }) = suffered {
        say(format_args!(
            "trouble       leaders moved {leaders_moved}, connections cut {connections_cut}, answers lost {answers_lost}"
        ));
        say(format_args!("sent again    {}", metrics.total.retried.records));
    }
    print_findings(&findings);
    say(format_args!(
        "seconds       {:.2} to queue, {:.2} until all were settled",
        enqueued.as_secs_f64(),
        delivered.as_secs_f64()
    ));
    say(format_args!("records/s     {:.0}", args.records as f64 / delivered.as_secs_f64()));
    let whole = findings.is_whole();
    say(if whole { "The account is whole." } else { "THE ACCOUNT IS NOT WHOLE." });
    Ok(whole)
}

fn seen(record: milena_broker::StoredRecord) -> Seen {
    Seen {
        id: record.key.as_deref().and_then(|key| key.try_into().ok()).map(u64::from_be_bytes),
        offset: record.offset.0,
        value: record.value.unwrap_or_default(),
    }
}

fn print_findings(findings: &Findings) {
    let Findings { queued, delivered, not_written, maybe_written, on_log, lost, duplicated, out_of_order, untrue } =
        findings;
    say(format_args!("queued        {queued}"));
    say(format_args!("delivered     {delivered}"));
    say(format_args!(
        "failed        {} (not written {not_written}, maybe written {maybe_written})",
        not_written + maybe_written
    ));
    say(format_args!("on the log    {on_log}"));
    say(format_args!("lost          {lost}"));
    say(format_args!("duplicated    {duplicated}"));
    say(format_args!("out of order  {out_of_order}"));
    say(format_args!("untrue        {untrue} (outcomes that the log contradicts)"));
}
