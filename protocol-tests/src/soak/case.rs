//! One run, as it is asked for: a seed, and what of it is left out.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::extra::Extra;
use super::oracle::Books;
use super::plan::Plan;
use super::planted::Planted;
use super::story::{Story, Telling};
use super::world::{Summary, World};

/// A run: the whole of a seed, or what is left of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Case {
    /// Decides all the rest.
    pub seed: u64,
    /// The numbers of the faults that strike; `None`: all.
    pub keep: Option<BTreeSet<usize>>,
    /// What is made plainer than the seed has it.
    pub without: BTreeSet<Extra>,
    /// Something wrong with the simulator itself, for tests of what finds it.
    pub planted: Planted,
}

/// What was wrong with a run.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// Which seed to play again.
    pub seed: u64,
    /// What was wrong. Each begins with a word in capitals for what was broken.
    pub wrong: Vec<String>,
}

/// A run that is over.
#[derive(Clone, Debug)]
pub struct Played {
    /// How it went.
    pub result: Result<Summary, Trouble>,
    /// What there was to judge, unless it never came to that.
    pub books: Option<Books>,
    /// What happened, as far as it was kept.
    pub story: String,
}

/// Plays a seed; `trace` prints what happens.
///
/// # Errors
///
/// What was wrong.
pub fn run(seed: u64, trace: bool) -> Result<Summary, Trouble> {
    Case::of(seed).play(if trace { Telling::Print } else { Telling::Silent }).result
}

impl Case {
    /// The whole of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// What is played.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let mut plan = Plan::draw(self.seed);
        if let Some(keep) = &self.keep {
            plan.strikes.retain(|strike| keep.contains(&strike.number));
        }
        self.without.iter().for_each(|extra| extra.leave_out(&mut plan));
        plan
    }

    /// Plays it. A panic counts as trouble.
    #[must_use]
    pub fn play(&self, telling: Telling) -> Played {
        let story = Story::new(telling);
        let mut books = None;
        let run = AssertUnwindSafe(|| {
            let mut world = World::new(self, story.clone());
            let result = world.play();
            books = world.books.take();
            result.map(|()| world.summary)
        });
        let result = catch_unwind(run).unwrap_or_else(|panic| Err(vec![format!("PANIC: {}", text_of(&*panic))]));
        let result = result.map_err(|wrong| Trouble { seed: self.seed, wrong });
        Played { result, books, story: story.text() }
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default()
}

/// How to play it again.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: Vec<String>| items.join(",");
        if let Some(keep) = &self.keep {
            write!(f, "SIM_KEEP={} ", list(keep.iter().map(ToString::to_string).collect()))?;
        }
        if !self.without.is_empty() {
            write!(f, "SIM_WITHOUT={} ", list(self.without.iter().map(ToString::to_string).collect()))?;
        }
        write!(f, "just replay {}", self.seed)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} failed; again, with all that happens: just replay {0}", self.seed)?;
        let shown = self.wrong.iter().take(8);
        let rest = self.wrong.iter().skip(8).last();
        for wrong in shown.chain(rest) {
            writeln!(f, "  {wrong}")?;
        }
        Ok(())
    }
}

impl Trouble {
    /// What was broken first, in one word.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.wrong.first().map_or("", |wrong| kind_of(wrong))
    }

    /// Whether this was broken, among others.
    #[must_use]
    pub fn is(&self, kind: &str) -> bool {
        self.wrong.iter().any(|wrong| kind_of(wrong) == kind)
    }
}

fn kind_of(wrong: &str) -> &str {
    wrong.split(':').next().unwrap_or(wrong)
}
