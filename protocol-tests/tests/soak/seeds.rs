//! Seeds. `SIM_SEEDS=n` plays n of them, from `SIM_FIRST` on; `SIM_SEED=s` plays one and prints what happens, `SIM_KEEP` and `SIM_WITHOUT` what
//! is left of it.

use std::fmt::Debug;
use std::str::FromStr;

use milena_broker::Profile;
use milena_sender::Guarantee;
use protocol_tests::soak::fault::Fault;
use protocol_tests::soak::{Case, Sights, Telling, crowd, run, shrink};

/// Seeds of a plain `cargo test`.
const DEFAULT: u64 = 500;
/// Failing seeds that are shrunk; of the rest only the names are told.
const SHRUNK_MAX: usize = 3;

fn setting<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text:?}: {error:?}")))
}

fn list<T: FromStr<Err: Debug>>(name: &str) -> Option<Vec<T>> {
    let text = std::env::var(name).ok()?;
    let items = text.split(',').filter(|item| !item.is_empty());
    Some(items.map(|item| item.parse().unwrap_or_else(|error| panic!("{name}={text:?}: {error:?}"))).collect())
}

/// One seed again, with the log lines of the producer.
fn replay(seed: u64) {
    let format =
        tracing_subscriber::fmt().without_time().with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG);
    format.with_writer(std::io::stdout).with_ansi(false).init();
    let mut case = Case::of(seed);
    case.keep = list("SIM_KEEP").map(|keep| keep.into_iter().collect());
    case.without = list("SIM_WITHOUT").unwrap_or_default().into_iter().collect();
    println!("{:#?}", case.play(Telling::Print).result.unwrap_or_else(|trouble| panic!("{trouble}")));
}

#[test]
fn whatever_goes_wrong_every_record_ends_once_and_truly() {
    if let Some(seed) = setting("SIM_SEED") {
        return replay(seed);
    }
    let began = std::time::Instant::now();
    let first = setting("SIM_FIRST").unwrap_or(0);
    let tally = crowd::play(first..first + setting("SIM_SEEDS").unwrap_or(DEFAULT));
    for trouble in tally.troubles.iter().take(SHRUNK_MAX) {
        println!("{trouble}\n{}", shrink(&Case::of(trouble.seed), trouble));
    }
    println!("{tally}; took {:.1?}", began.elapsed());
    print!("{}", tally.sum.sights);
    let failed: Vec<_> = tally.troubles.iter().map(|trouble| trouble.seed).collect();
    assert!(failed.is_empty(), "these seeds failed: {failed:?}");
    if tally.seeds >= DEFAULT {
        comes_across_everything(&tally.sum.sights);
    }
}

fn comes_across_everything(sights: &Sights) {
    let faults = Fault::ALL.into_iter().chain(Fault::IDENTITY).map(|fault| format!("{fault:?}"));
    let releases = Profile::ALL.map(|profile| format!("Kafka {profile}"));
    let acks = [true, false].map(|all_replicas| Guarantee::AtLeastOnce { all_replicas });
    let guarantees = [Guarantee::ExactlyOnce, acks[0], acks[1], Guarantee::AtMostOnce].map(|g| format!("{g:?}"));
    let limits = (1..=5).map(|limit| format!("{limit} in flight"));
    let all =
        Sights::EXPECTED.map(str::to_owned).into_iter().chain(faults).chain(releases).chain(guarantees).chain(limits);
    let missing: Vec<_> = all.filter(|what| sights.count(what) == 0).collect();
    assert!(missing.is_empty(), "no seed came across {missing:?}");
}

#[test]
fn the_same_seed_is_the_same_run_to_the_byte() {
    for seed in 1000..1020 {
        let (once, again) = (Case::of(seed).play(Telling::Whole), Case::of(seed).play(Telling::Whole));
        assert_eq!(once.result.map_err(|trouble| trouble.wrong), again.result.map_err(|trouble| trouble.wrong));
        assert!(once.story.len() > 1000, "seed {seed} has a story");
        assert!(once.story == again.story, "seed {seed} has one story");
    }
}

#[test]
fn who_watches_changes_nothing() {
    assert_eq!(run(7, false).unwrap(), Case::of(7).play(Telling::Ending(5)).result.unwrap());
}

#[test]
fn which_thread_plays_a_seed_changes_nothing() {
    let (once, again) = (crowd::play(2000..2020), crowd::play(2000..2020));
    assert_eq!(once.sum, again.sum);
}
