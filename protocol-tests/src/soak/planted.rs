//! Things that are wrong with the simulator itself, on purpose: they show that what is wrong is found.

use super::fault::Fault;
use super::ledger::Contents;
use super::oracle::Books;

/// Something wrong, planted by a test.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Planted {
    /// All is as it should be.
    #[default]
    Nothing,
    /// Once these have struck, in this order, the log loses a record that was delivered.
    LossAfter(Vec<Fault>),
    /// From the second fault on, an event happens again and again at the same time.
    Spin,
    /// The second fault is a panic.
    Panic,
    /// A run may take no more than fifty steps.
    Impatience,
    /// When all is to be well, no node runs.
    NeverHealed,
    /// No answer to a command is ever heard.
    DeafToCommands,
    /// No outcome is ever heard.
    DeafToOutcomes,
}

impl Planted {
    /// Takes a delivered record off the logs, if it was to be lost by now.
    pub(crate) fn lose(&self, struck: &[Fault], books: &mut Books) {
        let Self::LossAfter(order) = self else { return };
        let mut left = order.iter().peekable();
        for fault in struck {
            left.next_if_eq(&fault);
        }
        let delivered = |log: &&mut Contents| !log.is_empty();
        if left.peek().is_none()
            && let Some(log) = books.logs.values_mut().find(delivered)
        {
            log.pop_last();
        }
    }
}
