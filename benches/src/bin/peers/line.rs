//! How long a cache line takes from one processor to another and back.
//!
//! A virtual machine's processors may be moved while it runs: near each other, behind one cache, a line is back after some 50 ns, else after 400.
//! Whatever passes between a client's threads, and to its broker, costs accordingly; so every run is noted with it.

use std::hint;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// For so long lines are sent at least.
const LOOK: Duration = Duration::from_millis(50);

/// And for so long at most, if the two threads have but one processor all the time.
const PATIENCE: Duration = Duration::from_secs(1);

/// No line takes so long: the threads took turns.
const IN_TURNS: Duration = Duration::from_micros(10);

/// So many in a row are timed.
const TRIPS: u32 = 200;

/// What ends the other thread; each number before it is one way of a line.
const OVER: u32 = u32::MAX;

/// Nanoseconds, by the fastest [`TRIPS`]: others were interrupted. `None` with a single processor, or if there seemed to be but one.
pub(crate) fn round_trip_ns() -> Option<f64> {
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        return None;
    }
    let line = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| send_back(&line));
        let mut fastest = Duration::MAX;
        let mut seen = 0;
        let start = Instant::now();
        while start.elapsed() < LOOK || (per_trip(fastest).is_none() && start.elapsed() < PATIENCE) {
            let began = Instant::now();
            for _ in 0..TRIPS {
                line.store(seen + 1, Ordering::Release);
                seen += 2;
                while line.load(Ordering::Acquire) != seen {
                    hint::spin_loop();
                }
            }
            fastest = fastest.min(began.elapsed());
        }
        line.store(OVER, Ordering::Release);
        per_trip(fastest)
    })
}

/// Nanoseconds of each of [`TRIPS`], if those were trips of a line.
fn per_trip(all: Duration) -> Option<f64> {
    (all < IN_TURNS * TRIPS).then(|| all.as_secs_f64() * 1e9 / f64::from(TRIPS))
}

/// Answers each odd number with the next even one.
fn send_back(line: &AtomicU32) {
    loop {
        match line.load(Ordering::Acquire) {
            OVER => return,
            sent if sent % 2 == 1 => line.store(sent + 1, Ordering::Release),
            _ => hint::spin_loop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_that_took_turns_came_to_is_no_trip_of_a_line() {
        assert_eq!(per_trip(Duration::from_micros(20)), Some(100.0));
        assert_eq!([IN_TURNS * TRIPS, Duration::MAX].map(per_trip), [None, None]);
    }

    #[test]
    fn the_other_thread_answers_until_it_is_over() {
        let line = AtomicU32::new(0);
        thread::scope(|scope| {
            let other = scope.spawn(|| send_back(&line));
            for sent in [1, 3, 5] {
                line.store(sent, Ordering::Release);
                while line.load(Ordering::Acquire) == sent {
                    thread::yield_now();
                }
                assert_eq!(line.load(Ordering::Acquire), sent + 1);
            }
            line.store(OVER, Ordering::Release);
            other.join().unwrap();
        });
    }
}
