//! Many seeds at once, on all cores.

use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Case, Summary, Telling, Trouble};

/// A seed takes milliseconds. One that takes this long hangs, in a call that the simulator cannot end.
const HANGS: Duration = Duration::from_secs(120);

/// What many runs came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How many were played.
    pub seeds: u64,
    /// The sum of all, but for the busiest second of any.
    pub sum: Summary,
    /// What failed, by seed.
    pub troubles: Vec<Trouble>,
}

impl Tally {
    fn add(&mut self, summary: &Summary) {
        let sum = &mut self.sum;
        sum.records += summary.records;
        sum.requests += summary.requests;
        sum.faults += summary.faults;
        sum.steps += summary.steps;
        sum.sights.add(&summary.sights);
        sum.took += summary.took;
        (0..4).for_each(|i| sum.words[i] += summary.words[i]);
        let (a, b) = (sum.busiest_second, summary.busiest_second);
        sum.busiest_second = (a.0.max(b.0), a.1.max(b.1));
        // In whatever order they are played.
        sum.digest = sum.digest.wrapping_add(summary.digest);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { records, words, requests, busiest_second, faults, took, .. } = &self.sum;
        write!(
            f,
            "{} seeds, {records} records (delivered, unacknowledged, not written, maybe: {words:?}), {faults} faults, {requests} requests, \
             busiest second {busiest_second:?}, {:.0} s of made-up time; {} failed",
            self.seeds,
            took.as_secs_f64(),
            self.troubles.len()
        )
    }
}

/// Plays these seeds on as many threads as there are cores. Which thread plays which changes nothing.
///
/// # Panics
///
/// If a seed hangs, naming it.
#[must_use]
pub fn play(seeds: Range<u64>) -> Tally {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (next, tally) = (AtomicU64::new(seeds.start), Mutex::new(Tally::default()));
    let playing: Vec<Mutex<Option<(u64, Instant)>>> = (0..cores).map(|_| Mutex::default()).collect();
    let left = AtomicUsize::new(cores);
    thread::scope(|scope| {
        for mine in &playing {
            let work = || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !seeds.contains(&seed) {
                        break;
                    }
                    *mine.lock().unwrap_or_else(PoisonError::into_inner) = Some((seed, Instant::now()));
                    let result = Case::of(seed).play(Telling::Silent).result;
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    tally.seeds += 1;
                    match result {
                        Ok(summary) => tally.add(&summary),
                        Err(trouble) => tally.troubles.push(trouble),
                    }
                }
                *mine.lock().unwrap_or_else(PoisonError::into_inner) = None;
                left.fetch_sub(1, Ordering::Release);
            };
            scope.spawn(work);
        }
        while left.load(Ordering::Acquire) > 0 {
            thread::sleep(Duration::from_millis(20));
            playing.iter().for_each(end_if_it_hangs);
        }
    });
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    tally.troubles.sort_by_key(|trouble| trouble.seed);
    tally
}

/// A thread cannot be ended from outside, so the process is.
fn end_if_it_hangs(playing: &Mutex<Option<(u64, Instant)>>) {
    let playing = *playing.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((seed, since)) = playing
        && since.elapsed() > HANGS
    {
        // Not `eprintln`: a test's output is held back, and would be lost. There is nobody to tell if this fails.
        let _ = writeln!(io::stderr(), "seed {seed} hangs; to see where: just replay {seed}");
        std::process::exit(101);
    }
}
