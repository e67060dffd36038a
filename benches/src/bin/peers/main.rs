//! `peers`: runs milena and other clients beside each other, and writes what came out.
//!
//! ```text
//! peers measure [--rounds N] [--seconds S] [--only CASE,...] [--clients NAME,...] [--bootstrap HOST:PORT [--warm-up S]] [--out FILE]
//! peers report FILE DOCUMENT      replaces the generated parts of a document, and draws its charts beside it
//! ```
//!
//! A round runs every client once per case, each against a sink of its own, and starts with another client each time; every other round
//! goes the other way round. So what disturbs the machine, or one of them leaves behind, disturbs all of them. What is reported are medians
//! over the rounds, and ratios of two clients of the same round.

mod case;
mod chart;
mod client;
mod json;
mod line;
mod measure;
mod process;
mod report;
mod sink;
mod stats;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["measure", ..] => measure::Plan::parse(&args[1..]).and_then(|plan| plan.run()),
        ["report", file, document] => report::write(file, document),
        _ => Err("usage: peers measure [...] | peers report FILE DOCUMENT; see src/bin/peers/main.rs".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}
