//! The numbers as the sender counts them: a topic's have a place, so that no name is looked up for each batch.

use std::collections::BTreeMap;

use milena_sequence::Fate;
use milena_wire::TopicName;

use super::{Counters, MetricsSnapshot};

/// Where the numbers of a topic are, for as long as there is the producer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(usize);

#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// All but those by topic.
    pub(crate) numbers: MetricsSnapshot,
    topics: Vec<Counters>,
    places: BTreeMap<TopicName, Place>,
}

impl Counts {
    /// The place of a topic, which is made if there is none.
    pub(crate) fn place(&mut self, topic: &TopicName) -> Place {
        if let Some(place) = self.places.get(topic) {
            return *place;
        }
        let place = Place(self.topics.len());
        self.topics.push(Counters::default());
        self.places.insert(topic.clone(), place);
        place
    }

    /// In the order of their names.
    pub(crate) fn topics(&self) -> impl Iterator<Item = (&TopicName, &Counters)> {
        self.places.iter().filter_map(|(topic, place)| Some((topic, self.topics.get(place.0)?)))
    }

    /// All numbers, those by topic included.
    pub(crate) fn snapshot(&self) -> MetricsSnapshot {
        let topics = self.topics().map(|(topic, counters)| (topic.clone(), *counters)).collect();
        MetricsSnapshot { topics, ..self.numbers.clone() }
    }

    pub(crate) fn both(&mut self, topic: Place, change: impl Fn(&mut Counters)) {
        change(&mut self.numbers.total);
        if let Some(counters) = self.topics.get_mut(topic.0) {
            change(counters);
        }
    }

    pub(crate) fn closed(&mut self, topic: Place, records: u64, bytes: u64) {
        self.both(topic, |c| c.closed.add(records, bytes));
    }

    /// Records that failed while their topic, or their place in it, was not known.
    pub(crate) fn failed_unplaced(&mut self, topic: &TopicName, records: u64) {
        let place = self.place(topic);
        self.closed(place, records, 0);
        self.failed(topic, Fate::NotWritten, records, 0);
    }

    pub(crate) fn sent(&mut self, topic: Place, records: u64, bytes: u64, again: bool) {
        self.numbers.batches += 1;
        self.numbers.batch_bytes.record(bytes);
        self.numbers.batch_records.record(records);
        self.both(topic, |c| {
            c.sent.add(records, bytes);
            if again {
                c.retried.add(records, bytes);
            }
        });
    }

    pub(crate) fn delivered(&mut self, topic: Place, records: u64, bytes: u64) {
        self.both(topic, |c| c.delivered.add(records, bytes));
    }

    pub(crate) fn failed(&mut self, topic: &TopicName, fate: Fate, records: u64, bytes: u64) {
        let place = self.place(topic);
        self.both(place, |c| match fate {
            Fate::NotWritten => c.failed_not_written.add(records, bytes),
            Fate::MaybeWritten => c.failed_maybe_written.add(records, bytes),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_has_its_own_numbers_and_all_are_in_the_total() {
        let (one, other) = (TopicName::new("one"), TopicName::new("other"));
        let mut counts = Counts::default();
        let places = [&one, &other].map(|topic| counts.place(topic));
        counts.delivered(places[0], 1, 10);
        counts.failed(&other, Fate::NotWritten, 2, 20);
        let again = counts.place(&other);
        counts.delivered(again, 3, 30);
        let snapshot = counts.snapshot();
        let numbers = |counters: &Counters| (counters.delivered.records, counters.failed_not_written.records);
        assert_eq!(snapshot.topics.keys().collect::<Vec<_>>(), [&one, &other]);
        assert_eq!([&one, &other].map(|topic| numbers(&snapshot.topics[topic])), [(1, 0), (3, 2)]);
        assert_eq!(numbers(&snapshot.total), (4, 2));
    }
}
