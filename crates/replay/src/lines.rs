//! Who waits for which broker: first come, first served, so that no partition waits for another to end.

use std::collections::{BTreeMap, VecDeque};

use milena_spool::Source;
use milena_wire::BrokerId;

/// The lines before the brokers.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: BTreeMap<BrokerId, Line>,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Source>,
    in_flight: usize,
}

impl Lines {
    pub(crate) fn join(&mut self, broker: BrokerId, source: Source) {
        self.lines.entry(broker).or_default().waiting.push_back(source);
    }

    /// Whose turn it is.
    pub(crate) fn call(&mut self, broker: BrokerId) -> Option<Source> {
        self.lines.get_mut(&broker)?.waiting.pop_front()
    }

    pub(crate) fn is_empty(&self, broker: BrokerId) -> bool {
        self.lines.get(&broker).is_none_or(|line| line.waiting.is_empty())
    }

    /// Whether the broker is busy with others' requests.
    pub(crate) fn is_serving(&self, broker: BrokerId) -> bool {
        self.lines.get(&broker).is_some_and(|line| line.in_flight > 0)
    }

    pub(crate) fn sent(&mut self, broker: BrokerId) {
        self.lines.entry(broker).or_default().in_flight += 1;
    }

    /// A request is over. Tells who waits, if nothing else is on its way there now.
    pub(crate) fn ended(&mut self, broker: BrokerId) -> Vec<Source> {
        let Some(line) = self.lines.get_mut(&broker) else { return Vec::new() };
        line.in_flight = line.in_flight.saturating_sub(1);
        if line.in_flight > 0 { Vec::new() } else { line.waiting.iter().cloned().collect() }
    }
}
