//! Trouble with brokers and partitions.

use std::time::Duration;

use super::{Faults, RECOVERY, Until};
use crate::cluster::{Cluster as _, wait_until};
use crate::kafka::Kafka;
use crate::soak::rng::Rng;

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// SIGKILL, and a start some time later.
    Kill,
    /// SIGSTOP and SIGCONT: too short to be noticed, or long enough to be deposed with requests in its hands.
    Freeze,
    /// Every node in order, one after another.
    Roll,
    /// Replicas of every partition change places, and with them the leaders.
    Reassign,
    /// The preferred replicas lead again.
    Elect,
}

/// A rolling restart takes as long as all of these, so it comes after them.
const DECK: [Fault; 6] = [Fault::Kill, Fault::Freeze, Fault::Elect, Fault::Kill, Fault::Freeze, Fault::Reassign];

/// Plays a shuffled deck of faults and a rolling restart, and again, until time is up. All nodes run at the end.
pub(super) fn trouble(kafka: &Kafka, topic: &str, rng: &mut Rng, until: Until<'_>) -> Faults {
    let mut faults = Faults::new();
    let mut deck = DECK.to_vec();
    while !until.is_over() {
        until.sleep(rng.millis(200, 2000));
        let fault = if deck.is_empty() {
            deck = DECK.to_vec();
            Fault::Roll
        } else {
            deck.swap_remove(rng.index(deck.len()))
        };
        let node = rng.pick(&[1, 2, 3]);
        let pause = rng.millis(0, 9000);
        println!("{fault:?}: node {node}, {} ms", pause.as_millis());
        let mut count = |what| *faults.entry(what).or_default() += 1;
        match fault {
            Fault::Kill => {
                kafka.kill(node);
                until.sleep(pause);
                kafka.start(node);
                count("SIGKILL and start");
            }
            Fault::Freeze => {
                kafka.freeze(node);
                std::thread::sleep(pause + Duration::from_millis(200));
                kafka.resume(node);
                count("SIGSTOP and SIGCONT");
            }
            Fault::Roll => {
                for node in kafka.nodes() {
                    if until.is_over() {
                        break;
                    }
                    kafka.shut_down(node);
                    kafka.start(node);
                    whole(kafka, topic);
                    count("restart in order, of a rolling restart");
                }
            }
            Fault::Reassign => {
                kafka.reassign(topic);
                count("reassignment of all partitions");
            }
            Fault::Elect => {
                kafka.elect_preferred(topic);
                count("election of the preferred leaders");
            }
        }
        whole(kafka, topic);
    }
    faults
}

/// Two of three replicas have to be in sync, so nothing else breaks before the third is, too.
fn whole(kafka: &Kafka, topic: &str) {
    wait_until("all replicas are in sync", RECOVERY, || kafka.is_in_sync(topic));
}
