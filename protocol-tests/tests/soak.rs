//! Seeds of the simulator. `SIM_SEEDS=n` plays n of them, from `SIM_FIRST` on; `SIM_SEED=s` plays one and prints what happens.

use std::panic::{AssertUnwindSafe, catch_unwind};

use protocol_tests::soak::{Summary, Trouble, run};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays a seed; a panic counts as trouble.
fn play(seed: u64, trace: bool) -> Result<Summary, Trouble> {
    catch_unwind(AssertUnwindSafe(|| run(seed, trace))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Trouble { seed, wrong: vec![format!("PANIC: {}", text.unwrap_or_default())] })
    })
}

#[test]
fn whatever_goes_wrong_every_record_ends_once_and_truly() {
    if let Some(seed) = number("SIM_SEED") {
        let format =
            tracing_subscriber::fmt().without_time().with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG);
        format.with_writer(std::io::stdout).with_ansi(false).init();
        println!("{:#?}", play(seed, true).unwrap_or_else(|trouble| panic!("{trouble}")));
        return;
    }
    let first = number("SIM_FIRST").unwrap_or(0);
    let count = number("SIM_SEEDS").unwrap_or(200);
    let mut troubles = Vec::new();
    let (mut records, mut words, mut faults, mut busiest) = (0, [0; 4], 0, (0, 0));
    for seed in first..first + count {
        match play(seed, false) {
            Ok(summary) => {
                records += summary.records;
                faults += summary.faults;
                (0..4).for_each(|i| words[i] += summary.words[i]);
                busiest = (busiest.0.max(summary.busiest_second.0), busiest.1.max(summary.busiest_second.1));
            }
            Err(trouble) => {
                println!("{trouble}");
                troubles.push(trouble.seed);
            }
        }
    }
    println!(
        "{count} seeds, {records} records (delivered, unacknowledged, not written, maybe: {words:?}), {faults} faults, busiest second {busiest:?}"
    );
    assert!(troubles.is_empty(), "{} of {count} seeds failed: {troubles:?}", troubles.len());
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 1000..1010 {
        assert_eq!(run(seed, false).ok(), run(seed, false).ok(), "seed {seed}");
    }
}
