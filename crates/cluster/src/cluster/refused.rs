//! When nobody takes this client for who it says it is, and those who wait should know.

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_mutants::Mutant;

use super::Cluster;
use crate::api::Event;
use crate::errors::ConnError;
use crate::link::{Class, LinkKey, Node};

/// Refusals that are needed to believe them. Some mechanisms say something else after the first: another form of a name, a newer token.
const REFUSALS: u32 = 2;

/// Nodes that are asked, of more than these, before all count as asked: each costs a connection, and dials slow down after as many.
const ASKED: usize = 3;

/// Nodes that were asked in vain for what any of them could answer, each with its refusal if it was one.
#[derive(Debug, Default)]
pub(super) struct TurnedAway {
    nodes: BTreeMap<Node, Option<Arc<ConnError>>>,
    refusals: u32,
}

impl TurnedAway {
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.refusals = 0;
    }

    /// A connection to `node` failed. The last refusal, if there is nobody left to ask.
    fn note(&mut self, node: Node, refusal: Option<Arc<ConnError>>, all: usize) -> Option<Arc<ConnError>> {
        self.refusals = self.refusals.saturating_add(u32::from(refusal.is_some()));
        let last = refusal.clone();
        self.nodes.insert(node, refusal);
        let over = self.refusals >= REFUSALS && self.nodes.len() >= all.min(ASKED);
        last.or_else(|| self.nodes.values().flatten().next().cloned()).filter(|_| over)
    }
}

impl Cluster {
    /// A round of attempts is over, or a connection; `refusal` of identity, if it had one, and how many rounds in a row now.
    pub(super) fn note_refusal(&mut self, key: LinkKey, refusal: Option<(Arc<ConnError>, u32)>) {
        if Mutant::RefusalIsUnheardOf.lives() {
            return;
        }
        let cause = match key.class {
            Class::Produce => refusal.filter(|(_, times)| *times >= REFUSALS).map(|(cause, _)| cause),
            Class::Control => {
                // Where brokers are known, the bootstrap servers are but other names for them.
                let (known, seeds) = (self.metadata.nodes.len(), self.ctx.config.bootstrap.len());
                let all = if known > 0 { known } else { seeds };
                let cause = self.turned_away.note(key.node, refusal.map(|(cause, _)| cause), all);
                let usable = self.links.values().any(|link| link.key.class == Class::Control && link.ready().is_some());
                cause.filter(|_| !usable)
            }
        };
        if let Some(cause) = cause {
            let broker = key.broker().filter(|_| key.class == Class::Produce);
            self.ctx.event(Event::Refused { broker, cause });
        }
    }
}
