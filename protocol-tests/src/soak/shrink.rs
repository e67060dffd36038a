//! Makes a failing run smaller: fewer faults, fewer complications, the same thing broken.

use std::collections::BTreeSet;
use std::fmt;

use milena_wire::Timestamp;

use super::case::{Case, Trouble};
use super::extra::Extra;
use super::fault::Strike;
use super::story::Telling;
use super::world::START;

/// How often a case is played at most while it is made smaller.
const RUNS_MAX: usize = 300;
/// Lines that are shown of how the shrunk run ended.
const ENDING: usize = 160;

/// A failing run, as small as it could be made.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// What is left.
    pub case: Case,
    /// The faults that are left.
    pub strikes: Vec<Strike>,
    /// How many there were.
    pub strikes_before: usize,
    /// What is wrong with it.
    pub trouble: Trouble,
    /// What happens in it, bounded.
    pub story: String,
    /// How often it was played to get there.
    pub runs: usize,
}

/// Looks for the least that breaks what `trouble` says is broken.
#[must_use]
pub fn shrink(case: &Case, trouble: &Trouble) -> Shrunk {
    let all: Vec<usize> = case.plan().strikes.iter().map(|strike| strike.number).collect();
    let mut search = Search { case: case.clone(), kind: trouble.kind().to_owned(), runs: 0 };
    let kept = search.least(all.clone());
    search.case.keep = Some(kept.into_iter().collect());
    for extra in Extra::ALL {
        let mut plainer = search.case.clone();
        if plainer.without.insert(extra) && search.fails(&plainer) {
            search.case = plainer;
        }
    }
    let played = search.case.play(Telling::Ending(ENDING));
    Shrunk {
        strikes: search.case.plan().strikes,
        strikes_before: all.len(),
        trouble: played.result.err().unwrap_or_else(|| trouble.clone()),
        story: played.story,
        runs: search.runs,
        case: search.case,
    }
}

struct Search {
    case: Case,
    kind: String,
    runs: usize,
}

impl Search {
    fn fails(&mut self, case: &Case) -> bool {
        if self.runs >= RUNS_MAX {
            return false;
        }
        self.runs += 1;
        case.play(Telling::Silent).result.is_err_and(|trouble| trouble.is(&self.kind))
    }

    fn fails_with(&mut self, keep: &[usize]) -> bool {
        let case = Case { keep: Some(keep.iter().copied().collect::<BTreeSet<_>>()), ..self.case.clone() };
        self.fails(&case)
    }

    /// Delta debugging: leaves out ever smaller parts for as long as it goes on failing.
    fn least(&mut self, mut kept: Vec<usize>) -> Vec<usize> {
        let mut parts = 2;
        while !kept.is_empty() {
            let size = kept.len().div_ceil(parts);
            let smaller = (0..kept.len()).step_by(size).find_map(|from| {
                let mut rest = kept.clone();
                rest.drain(from..(from + size).min(kept.len()));
                self.fails_with(&rest).then_some(rest)
            });
            match smaller {
                Some(rest) => {
                    kept = rest;
                    parts = (parts - 1).max(2);
                }
                None if size == 1 => break,
                None => parts = (parts * 2).min(kept.len()),
            }
        }
        kept
    }
}

impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (left, before, runs) = (self.strikes.len(), self.strikes_before, self.runs);
        writeln!(f, "of {before} faults {left} matter ({runs} runs): {}", self.case)?;
        for strike in &self.strikes {
            let at = (START + strike.at).since(Timestamp::ZERO).as_secs_f64();
            writeln!(f, "{at:>12.6} {:?} (number {})", strike.fault, strike.number)?;
        }
        self.trouble.wrong.iter().take(8).try_for_each(|wrong| writeln!(f, "  {wrong}"))?;
        f.write_str(&self.story)
    }
}
