//! Rows of the fault matrix that take made-up time, or numbers that no test lives to reach. Each asserts, through [`Row::judge`], that every
//! record has one outcome, that the log holds what was told and in order, that the fates are true, and that memory and requests stay bounded.

mod identity;
mod quiet;
mod waiting;

use std::collections::BTreeMap;

use milena_accumulator::{Delivery, DeliveryError, Fate, Receipt, Urgency};

use super::world::*;

/// A world whose every record is remembered until the verdict.
struct Row {
    world: World,
    sent: Vec<Sent>,
}

struct Sent {
    topic: String,
    partition: i32,
    value: String,
    delivery: Delivery,
}

impl Row {
    fn on(world: World) -> Self {
        Self { world, sent: Vec::new() }
    }

    /// A record to `t-0` in a batch of its own, and all that follows without time passing.
    fn send(&mut self, value: &str) {
        self.send_to("t", 0, value);
    }

    fn send_to(&mut self, topic: &str, partition: i32, value: &str) {
        self.queue_to(topic, partition, value, Urgency::Now);
        self.world.run();
    }

    /// The sender has not looked yet.
    fn queue_to(&mut self, topic: &str, partition: i32, value: &str, urgency: Urgency) {
        let delivery = self.world.append(topic, Some(partition), value, urgency);
        self.sent.push(Sent { topic: topic.into(), partition, value: value.into(), delivery });
    }

    fn is_done(&self, at: usize) -> bool {
        self.sent[at].delivery.is_done()
    }

    /// What became of all records, in the order of their sending: `D`elivered, `N`ot or `M`aybe written; having checked that it is the truth,
    /// that nothing is left over, and that it took no more than `requests` of all kinds.
    #[track_caller]
    fn judge(mut self, requests: usize) -> (World, String) {
        let world = &mut self.world;
        let asked = world.requests + world.metadata_requests + world.init_requests;
        assert!(asked <= requests, "{asked} requests, more than {requests}");
        assert_eq!(world.accumulator.memory().used, 0, "memory that is not given back");
        assert!(world.sender.busy.is_empty(), "a partition with records without outcome");
        let mut words = String::new();
        let mut expected: BTreeMap<(String, i32), Vec<String>> = BTreeMap::new();
        for sent in self.sent {
            let place = (sent.topic, sent.partition);
            let log = &world.partition(&place.0, usize::try_from(place.1).unwrap()).log.values;
            let found: Vec<usize> = (0..log.len()).filter(|at| log[*at] == sent.value).collect();
            let outcome: Result<Receipt, DeliveryError> = outcome(sent.delivery);
            let (word, counts) = match &outcome {
                Ok(_) => ('D', 1..=1),
                Err(error) if error.fate() == Fate::MaybeWritten => ('M', 0..=1),
                Err(_) => ('N', 0..=0),
            };
            assert!(counts.contains(&found.len()), "{} was told {word} and is there {} times", sent.value, found.len());
            if let Ok(receipt) = &outcome
                && let Some(offset) = receipt.offset
            {
                assert_eq!(usize::try_from(offset.0).unwrap(), found[0], "{} is elsewhere than was told", sent.value);
            }
            words.push(word);
            if !found.is_empty() {
                expected.entry(place).or_default().push(sent.value);
            }
        }
        for ((topic, partition), values) in expected {
            let log = world.partition(&topic, usize::try_from(partition).unwrap()).log.values.iter();
            let others: Vec<&String> = log.filter(|value| *value != "warm").collect();
            assert_eq!(
                others,
                values.iter().collect::<Vec<_>>(),
                "{topic}-{partition}: the order of sending, and nothing else"
            );
        }
        (self.world, words)
    }
}
