//! Trouble for a real cluster of three nodes that runs already (`scripts/chaos` starts it): `CHAOS_MINUTES`, and `CHAOS_SEED` to draw the same again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol_tests::chaos;
use protocol_tests::kafka::Kafka;

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn whatever_breaks_nothing_is_lost_or_there_twice_and_order_is_kept() {
    let minutes: f64 = number("CHAOS_MINUTES").unwrap_or(1.0);
    let seed = number("CHAOS_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        u64::from(now.subsec_nanos())
    });
    println!("seed {seed}, {minutes} minutes");
    println!("{}", chaos::run(&Kafka::running(), seed, Duration::from_secs_f64(minutes * 60.0)));
}
