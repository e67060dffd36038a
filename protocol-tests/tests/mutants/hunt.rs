//! Plays seeds with each mutant until one fails, and all that were played without any.
//!
//! `MUTANTS_SEEDS=n` bounds the seeds, `MUTANTS=Name,Name` picks some, `MUTANTS_WRITE=1` writes the docs' table anew.

use std::fmt;
use std::fs;
use std::panic::{set_hook, take_hook};

use milena_mutants::Mutant;
use protocol_tests::soak::{crowd, run};

use super::documented;
use super::pack::share;

/// Seeds that a mutant may live through. The rarest is found once in some two thousand; which seeds these are changes with the simulator.
const SEEDS: u64 = 20_000;

/// How a mutant was found.
struct Found {
    seed: u64,
    by: String,
}

struct Hunt {
    mutant: Mutant,
    found: Option<Found>,
    /// How often its place was come by in all seeds played.
    asked: u64,
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn hunt(mutant: Mutant, seeds: u64) -> Hunt {
    let mut asked = 0;
    for seed in 0..seeds {
        let (result, times) = mutant.breed(|| run(seed, false));
        asked += times;
        if let Err(trouble) = result {
            return Hunt { mutant, found: Some(Found { seed, by: trouble.kind().to_owned() }), asked };
        }
    }
    Hunt { mutant, found: None, asked }
}

impl fmt::Display for Hunt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{:?}", self.mutant);
        let (by, seed) = match &self.found {
            Some(found) => (found.by.as_str(), format!("seed {}", found.seed)),
            None => ("NOT FOUND", format!("come by {} times", self.asked)),
        };
        write!(f, "{name:24} {:18} {by:12} {seed}", self.mutant.home())
    }
}

/// Writes the table of the docs anew, below what stands above it.
fn write_down(hunts: &[Hunt]) {
    let text = fs::read_to_string(documented::path()).unwrap();
    let mut text: String =
        text.lines().filter(|line| !documented::is_row(line)).flat_map(|line| [line, "\n"]).collect();
    for Hunt { mutant, found, .. } in hunts {
        let by = found.as_ref().map_or("not found", |found| found.by.as_str());
        text += &format!("{}{by} |\n", documented::row(*mutant));
    }
    fs::write(documented::path(), text).unwrap();
}

#[test]
fn every_mutant_is_found_and_without_one_all_is_well() {
    let seeds = setting("MUTANTS_SEEDS").map_or(SEEDS, |text| text.parse().unwrap());
    let picked = setting("MUTANTS");
    let is_picked = |mutant: &Mutant| {
        let name = format!("{mutant:?}");
        picked.as_ref().is_none_or(|picked| picked.split(',').any(|picked| picked == name))
    };
    let mutants: Vec<Mutant> = Mutant::ALL.iter().copied().filter(is_picked).collect();
    assert!(!mutants.is_empty(), "no mutant of that name");

    // A panic is one way to be found, not worth a backtrace.
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let hunts = share(mutants.len(), |number| {
        let hunt = hunt(mutants[number], seeds);
        println!("{hunt}");
        hunt
    });
    set_hook(hook);
    let played = hunts.iter().map(|hunt| hunt.found.as_ref().map_or(seeds, |found| found.seed + 1)).max();
    let clean = crowd::play(0..played.unwrap_or(seeds));
    clean.troubles.iter().for_each(|trouble| println!("{trouble}"));
    println!("without a mutant: {clean}");
    if setting("MUTANTS_WRITE").is_some() && picked.is_none() {
        write_down(&hunts);
    }
    let found = hunts.iter().filter(|hunt| hunt.found.is_some()).count();
    println!("{found} of {} found", hunts.len());
    assert!(clean.troubles.is_empty(), "without any mutant a seed fails");
    assert_eq!(found, hunts.len(), "the simulator has to find them all");
}
