//! What the programs of all clients in Rust share, so that they do the same work and measure the same way.
//!
//! - [`Client`] is what a client's program is written against; [`main`] does the rest.
//! - [`Work`] says what is to be done: it comes from the command line, as `name=value`.
//! - [`Payload`] is what the records hold.
//! - [`Ear`] hears of acknowledgements at a fixed rate.
//! - [`fail`] and [`cannot`] end a run that says nothing.
//! - [`tasks`] runs many tasks and adds up what they did.

mod measure;
mod payload;
mod rate;
mod tasks;
mod work;

use std::thread;
use std::time::{Duration, Instant};

pub use measure::Meter;
pub use payload::{HEADERS, Payload};
pub use rate::{Ear, Schedule};
pub use tasks::{Numbers, tasks};
pub use work::{Until, Work};

/// One client, connected. An outcome that is not a delivery ends the program with [`fail`].
pub trait Client: Sync + Sized {
    /// Whether the thread that produces can drive the sockets, too.
    const ALONE: bool = false;

    /// The client with the settings of `work`.
    fn connect(work: &Work) -> Self;

    /// Its settings, in its own words.
    fn settings(&self) -> String;

    /// Produces one record to each topic and returns when all are acknowledged.
    fn one_each(&self, work: &Work);

    /// Produces records as fast as it goes from the calling thread, at most `work.window` of them without an outcome; tells how
    /// many when it has heard of all.
    fn stream(&self, work: &Work, first: u64, until: Until) -> u64;

    /// The same, the outcomes heard by batch and not by record. `None`: it has no such thing.
    fn batches(&self, _: &Work, _: Until) -> Option<u64> {
        None
    }

    /// `work.tasks` tasks send one record each, again and again, each after its last was acknowledged. `None`: not possible.
    fn tasks(&self, _: &Work, _: Until) -> Option<u64> {
        None
    }

    /// Produces when records are due, and tells `ear` of every acknowledgement. False: not possible.
    fn rate(&self, _: &Work, _: Schedule, _: &'static Ear) -> bool {
        false
    }
}

/// Does what the command line says with one client, and prints what was measured as one line of JSON.
pub fn main<C: Client>() {
    let work = Work::from_args(std::env::args().skip(1));
    if work.alone && !C::ALONE {
        cannot("it has threads of its own");
    }
    let built = Instant::now();
    let client = C::connect(&work);
    client.one_each(&work);
    let first_ack = built.elapsed();
    let mut meter = Meter::default();
    match &*work.mode {
        "first" => meter.first_ack(first_ack),
        "stream" => {
            streams(&client, &work, work.warmup());
            meter.measure(|| streams(&client, &work, work.measured()));
        }
        "batches" => {
            if client.batches(&work, work.warmup()).is_none() {
                return unsupported(&client);
            }
            meter.measure(|| client.batches(&work, work.measured()).unwrap_or(0));
        }
        "tasks" => {
            if client.tasks(&work, work.warmup()).is_none() {
                return unsupported(&client);
            }
            meter.measure(|| client.tasks(&work, work.measured()).unwrap_or(0));
        }
        "rate" => {
            let warm = Ear::leaked();
            if !client.rate(&work, Schedule::new(work.rate, work.warmup_seconds()), warm) {
                return unsupported(&client);
            }
            let ear = Ear::leaked();
            let schedule = Schedule::new(work.rate, work.seconds);
            meter.measure(|| {
                client.rate(&work, schedule, ear);
                schedule.records
            });
            meter.latency(ear);
        }
        "idle" => {
            streams(&client, &work, work.warmup());
            // What belongs to the traffic ends first.
            thread::sleep(Duration::from_millis(500));
            println!("idle");
            thread::sleep(Duration::from_secs_f64(work.seconds));
        }
        other => fail(format_args!("no such mode: {other}")),
    }
    meter.print(&client.settings());
    // Whoever wants to close neatly has nothing left to lose, and clients take their time for it.
    std::process::exit(0);
}

fn streams<C: Client>(client: &C, work: &Work, until: Until) -> u64 {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..work.threads)
            .map(|thread| scope.spawn(move || client.stream(work, thread * 1_000_003, until)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| fail("a thread panicked"))).sum()
    })
}

fn unsupported<C: Client>(client: &C) {
    println!("{{\"unsupported\": true, \"settings\": {:?}}}", client.settings());
    std::process::exit(0);
}

/// Ends the program: the client cannot do this work, which is no failure.
pub fn cannot(why: &str) -> ! {
    println!("{{\"unsupported\": {why:?}}}");
    std::process::exit(0)
}

/// Ends the program: a run in which a record failed says nothing.
pub fn fail(why: impl std::fmt::Display) -> ! {
    eprintln!("{why}");
    std::process::exit(1)
}
