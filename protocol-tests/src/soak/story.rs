//! What happened in a run, line by line: printed as it happens, kept, or not even put into words.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Lines that are kept of a run's beginning, where a bound is set.
const HEAD: usize = 40;

/// What becomes of a run's story.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Telling {
    /// Nobody asks.
    #[default]
    Silent,
    /// Each line is printed as it happens.
    Print,
    /// Kept: all of it.
    Whole,
    /// Kept: how it began, and this many lines of how it ended.
    Ending(usize),
}

/// The story of one run; its clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    telling: Telling,
    lines: Rc<RefCell<Lines>>,
}

#[derive(Debug, Default)]
struct Lines {
    head: Vec<String>,
    tail: VecDeque<String>,
    dropped: usize,
}

impl Story {
    pub(crate) fn new(telling: Telling) -> Self {
        Self { telling, lines: Rc::default() }
    }

    pub(crate) fn tell(&self, line: impl FnOnce() -> String) {
        let keep = match self.telling {
            Telling::Silent => return,
            Telling::Print => {
                println!("{}", line());
                return;
            }
            Telling::Whole => usize::MAX,
            Telling::Ending(lines) => lines,
        };
        let mut lines = self.lines.borrow_mut();
        if lines.head.len() < HEAD {
            lines.head.push(line());
            return;
        }
        lines.tail.push_back(line());
        if lines.tail.len() > keep {
            lines.tail.pop_front();
            lines.dropped += 1;
        }
    }

    /// All that was kept.
    pub(crate) fn text(&self) -> String {
        let lines = self.lines.borrow();
        let gap = (lines.dropped > 0).then(|| format!("… {} lines …", lines.dropped));
        let all = lines.head.iter().chain(&gap).chain(&lines.tail);
        all.fold(String::new(), |text, line| text + line + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_story_the_beginning_and_the_end_are_kept() {
        let story = Story::new(Telling::Ending(2));
        (0..HEAD + 5).for_each(|line| story.tell(|| line.to_string()));
        let text = story.text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..2], ["0", "1"]);
        assert_eq!(lines[HEAD..], ["… 3 lines …", "43", "44"]);
    }
}
