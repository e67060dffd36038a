//! The `milena` command: produce, replay, demo, embedded broker, benchmark.

mod account;
mod bench;
mod broker;
mod demo;
mod options;
mod process;
mod produce;
mod replay;
mod sasl;
mod signal;
mod tls;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A Kafka producer in Rust alone.
#[derive(Parser)]
#[command(name = "milena", version, about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Produce a million records to an embedded cluster while it suffers, and account for every one
    Demo(demo::Args),
    /// Produce lines of a file or of standard input, one record a line
    Produce(produce::Args),
    /// Send what a spool holds, once and in order
    Replay(replay::Args),
    /// Run the embedded broker as a program
    Broker(broker::Args),
    /// Measure throughput, or acknowledgement latency at a fixed rate
    Bench(bench::Args),
}

/// How a command ended; the numbers are a contract with scripts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Exit {
    /// Everything was delivered.
    Whole = 0,
    /// Records failed, or nothing could be reached.
    Failed = 1,
    /// Bad usage or settings.
    Usage = 2,
}

fn main() -> ExitCode {
    // Clap ends with status 2 on bad usage by itself.
    let cli = Cli::parse();
    start_log();
    let ended = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Produce(args) => produce::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Broker(args) => broker::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    ExitCode::from(ended as u8)
}

/// Errors go to standard error; `RUST_LOG` says otherwise.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Prints a line on standard output. Who has stopped reading it does not end the work, and the exit status still tells
/// how it went.
fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// Prints a complaint the way all commands do.
fn complain(message: impl std::fmt::Display) {
    drop(writeln!(std::io::stderr(), "milena: {message}"));
}

/// Prints an error with all that lies below it.
fn complain_with_causes(error: &dyn std::error::Error) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(below) = cause {
        text.push_str(": ");
        text.push_str(&below.to_string());
        cause = below.source();
    }
    complain(text);
}
