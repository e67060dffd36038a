//! `sink [--nodes=N] TOPIC=PARTITIONS...`: a broker, or N, that checks CRC, sizes and sequences as Kafka does, and keeps nothing. Prints
//! where it listens, and runs until standard input ends. `TOPIC*COUNT=PARTITIONS` makes TOPIC-0, TOPIC-1 and so on.

use std::io::Read;
use std::process::ExitCode;

use milena_broker::{EmbeddedCluster, Keep};

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sink: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), String> {
    let (options, topics): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let mut broker = EmbeddedCluster::builder().keep(Keep::Nothing).max_message_bytes(16 << 20);
    for option in options {
        let nodes = option.strip_prefix("--nodes=").and_then(|nodes| nodes.parse().ok());
        broker = broker.nodes(nodes.ok_or_else(|| format!("no such option: {option}"))?);
    }
    let cluster = broker.start_blocking().map_err(|error| error.to_string())?;
    for topic in topics {
        let usage = || format!("usage: sink TOPIC=PARTITIONS... or TOPIC*COUNT=PARTITIONS, not {topic}");
        let (names, partitions) = topic.split_once('=').ok_or_else(usage)?;
        let partitions = partitions.parse().map_err(|_| usage())?;
        let names: Vec<String> = match names.split_once('*') {
            Some((name, count)) => {
                (0..count.parse::<u32>().map_err(|_| usage())?).map(|index| format!("{name}-{index}")).collect()
            }
            None => vec![names.to_owned()],
        };
        for name in names {
            cluster.create_topic(&name, partitions, 1).map_err(|error| error.to_string())?;
        }
    }
    println!("{}", cluster.bootstrap());
    // Nothing is expected: its end says that whoever started this is gone.
    std::io::stdin().read_to_end(&mut Vec::new()).map_err(|error| error.to_string())?;
    Ok(())
}
