//! Topic names that live for ever, so that a receipt can name its topic without counting anything.
//!
//! One for each name that records were ever produced to in this process, whatever number of producers did: some hundred bytes, beside the
//! kilobyte that a topic takes in each producer that knows it. So it is for names of topics that turn out not to exist.

use std::collections::BTreeMap;

use milena_wire::TopicName;
use parking_lot::Mutex;

/// Not one of `sync`'s, as nothing waits for anything while it is held.
static NAMES: Mutex<BTreeMap<TopicName, &'static TopicName>> = Mutex::new(BTreeMap::new());

pub(crate) fn lasting(name: &TopicName) -> &'static TopicName {
    let mut names = NAMES.lock();
    if let Some(known) = names.get(name) {
        return known;
    }
    let lasting: &'static TopicName = Box::leak(Box::new(name.clone()));
    names.insert(name.clone(), lasting);
    lasting
}
