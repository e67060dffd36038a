//! `sink [--nodes=N] [--tls=CA.pem] TOPIC=PARTITIONS...`: a broker, or N, that checks CRC, sizes and sequences as Kafka does, and keeps
//! nothing. Prints where it listens, and runs until standard input ends. `TOPIC*COUNT=PARTITIONS` makes TOPIC-0, TOPIC-1 and so on.
//!
//! With `--tls` it speaks TLS 1.3 with `TLS_AES_128_GCM_SHA256` and nothing else. What clients have to trust is written to CA.pem, and a second
//! line says what was agreed on with one.

mod tls;

use std::io::Read;
use std::path::PathBuf;
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
    let mut trusted = None;
    for option in options {
        let unknown = || format!("no such option: {option}");
        match option.split_once('=').ok_or_else(unknown)? {
            ("--nodes", nodes) => broker = broker.nodes(nodes.parse().map_err(|_| unknown())?),
            ("--tls", file) => {
                let file = PathBuf::from(file);
                broker = broker.tls(tls::server(&file)?);
                trusted = Some(file);
            }
            _ => return Err(unknown()),
        }
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
    if let Some(file) = trusted {
        println!("{}", tls::agreed(&file, &cluster.bootstrap())?);
    }
    // Nothing is expected: its end says that whoever started this is gone.
    std::io::stdin().read_to_end(&mut Vec::new()).map_err(|error| error.to_string())?;
    Ok(())
}
