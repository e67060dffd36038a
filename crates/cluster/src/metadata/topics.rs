//! Which topics anybody is interested in, and what is known of each.

use std::collections::BTreeMap;
use std::time::Duration;

use milena_mutants::Mutant;
use milena_wire::{ErrorCode, Timestamp, TopicName};

use super::Names;
use super::apply::{Told, Verdict, apply};
use super::refresh::Scope;
use crate::topology::{TopicInfo, TopicState};

/// Answers in a row that have to contradict what is known before they are believed: to give up a topic or a
/// partition, and to go back to a lower leader epoch or to a topic id that was left behind.
pub(crate) const CONSISTENT_ANSWERS: u32 = 3;

/// What is known of a topic that exists, or did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Known {
    pub(crate) info: TopicInfo,
    /// What contradicts `info`, by partition index.
    pub(crate) doubts: BTreeMap<usize, Doubt>,
    /// When a hint was last taken, by partition index.
    pub(crate) hinted: BTreeMap<usize, Timestamp>,
    /// Ids the topic had before, newest last; few.
    pub(crate) former: Vec<milena_wire::TopicId>,
    /// Answers in a row with one of these.
    pub(crate) reverting: u32,
}

/// Answers in a row with a lower leader epoch than is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Doubt {
    pub(crate) epoch: milena_wire::LeaderEpoch,
    pub(crate) leader: Option<milena_wire::BrokerId>,
    pub(crate) answers: u32,
}

/// Where a topic stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Status {
    Asking,
    /// `Known` holds; `doubted` are answers in a row that say there is no such topic.
    Present {
        doubted: Option<Absence>,
    },
    Missing(Absence),
    Failed {
        code: ErrorCode,
    },
}

/// Answers in a row that say there is no such topic.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Absence {
    pub(crate) code: ErrorCode,
    pub(crate) first_answer: Timestamp,
    pub(crate) answers: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Topic {
    /// Forgotten after this.
    expires: Timestamp,
    pub(crate) status: Status,
    /// What was last known, kept while the topic is missing, so that a lower epoch is recognised when it is back.
    pub(crate) known: Option<Known>,
}

impl Topic {
    /// One nothing is known of yet.
    pub(crate) fn asking(expires: Timestamp) -> Self {
        Self { expires, status: Status::Asking, known: None }
    }
}

/// All topics in use.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    topics: BTreeMap<TopicName, Topic>,
    /// Never asked for.
    new: Names,
    /// To be asked for again.
    again: Names,
    /// Changed since the owner last looked.
    pub(crate) changed: Names,
}

impl Topics {
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub(crate) fn has_new(&self) -> bool {
        !self.new.is_empty()
    }

    pub(crate) fn has_again(&self) -> bool {
        !self.again.is_empty()
    }

    /// Somebody uses the topic.
    pub(crate) fn use_topic(&mut self, now: Timestamp, name: &TopicName, idle: Duration) {
        let Some(topic) = self.topics.get_mut(name) else {
            self.topics.insert(name.clone(), Topic::asking(now + idle));
            self.new.insert(name.clone());
            return;
        };
        topic.expires = now + idle;
        // Rights may have been granted meanwhile; a name never becomes valid.
        if topic.status == (Status::Failed { code: ErrorCode::TOPIC_AUTHORIZATION_FAILED }) {
            self.again.insert(name.clone());
        }
    }

    /// Somebody doubts what is known of the topic.
    pub(crate) fn ask_again(&mut self, name: &TopicName) {
        if self.topics.contains_key(name) && !self.new.contains(name) {
            self.again.insert(name.clone());
        }
    }

    /// Forgets what has gone out of use, and names what a request is to ask about.
    pub(crate) fn take_asked(&mut self, now: Timestamp, scope: Scope) -> Vec<TopicName> {
        let mut asked = std::mem::take(&mut self.new);
        asked.append(&mut self.again);
        match scope {
            Scope::Full => {
                self.topics.retain(|_, topic| topic.expires > now);
                self.topics.keys().cloned().collect()
            }
            Scope::Partial => asked
                .into_iter()
                .filter(|name| {
                    let used = self.topics.get(name).is_some_and(|topic| topic.expires > now);
                    if !used {
                        self.topics.remove(name);
                    }
                    used
                })
                .collect(),
        }
    }

    /// The request that was to ask about `names` failed.
    pub(crate) fn put_back(&mut self, names: &[TopicName], scope: Scope) {
        for name in names {
            match self.topics.get(name) {
                Some(topic) if topic.status == Status::Asking => {
                    self.new.insert(name.clone());
                }
                // Everything is asked for anyway when such a request failed.
                Some(_) if scope == Scope::Partial => {
                    self.again.insert(name.clone());
                }
                _ => {}
            }
        }
    }

    /// Takes in what an answer says about a topic that it was asked about.
    pub(crate) fn answered(&mut self, now: Timestamp, name: &TopicName, told: &Told<'_>) -> Verdict {
        let Some(topic) = self.topics.get_mut(name) else { return Verdict::default() };
        let verdict = apply(now, topic, told);
        if verdict.again {
            self.again.insert(name.clone());
        }
        if verdict.changed && !Mutant::NewsIsUnheardOf.lives() {
            self.changed.insert(name.clone());
        }
        verdict
    }

    pub(crate) fn all_changed(&mut self) {
        self.changed.extend(self.topics.keys().cloned());
    }

    /// What is known of a topic that is not given up.
    pub(crate) fn known_mut(&mut self, name: &TopicName) -> Option<&mut Known> {
        let topic = self.topics.get_mut(name)?;
        if matches!(topic.status, Status::Present { .. }) { topic.known.as_mut() } else { None }
    }

    pub(crate) fn state(&self, name: &TopicName) -> TopicState<'_> {
        let Some(topic) = self.topics.get(name) else { return TopicState::Unasked };
        match (topic.status, &topic.known) {
            (Status::Present { .. }, Some(known)) => TopicState::Known(&known.info),
            (Status::Missing(Absence { code, first_answer, answers }), _) => {
                TopicState::Missing { code, first_answer, answers }
            }
            (Status::Failed { code }, _) => TopicState::Failed { code },
            (Status::Asking | Status::Present { .. }, _) => TopicState::Asking,
        }
    }
}
