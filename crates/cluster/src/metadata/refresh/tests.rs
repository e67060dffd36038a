use milena_wire::TopicName;

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

struct Rig {
    refresh: Refresh,
    topics: Topics,
    asked: Vec<TopicName>,
    rng: Rng,
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

impl Rig {
    /// Bootstrapped at time zero, with one topic in use.
    fn new() -> Self {
        let mut rig = Self {
            refresh: Refresh::new(Duration::from_secs(300)),
            topics: Topics::default(),
            asked: Vec::new(),
            rng: Rng::new(3),
        };
        rig.use_topic("a");
        assert_eq!(rig.due(), Some(Timestamp::ZERO));
        rig.send(0);
        rig.succeed(0, true);
        rig
    }

    fn use_topic(&mut self, name: &str) {
        self.topics.use_topic(Timestamp::ZERO, &TopicName::new(name), HOUR);
    }

    fn due(&self) -> Option<Timestamp> {
        self.refresh.due(&self.topics)
    }

    /// Sends a request at `millis`, and says about what.
    fn send(&mut self, millis: u64) -> (Scope, usize) {
        let scope = self.refresh.scope(at(millis));
        self.asked = self.topics.take_asked(at(millis), scope);
        self.refresh.start(scope);
        (scope, self.asked.len())
    }

    fn succeed(&mut self, millis: u64, news: bool) {
        self.refresh.succeeded(at(millis), news, backoff(), &mut self.rng);
    }

    fn fail(&mut self, millis: u64) {
        let scope = self.refresh.failed(at(millis), backoff(), &mut self.rng).unwrap();
        self.topics.put_back(&self.asked, scope);
    }
}

fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(1))
}

#[test]
fn metadata_is_asked_for_by_age_as_long_as_topics_are_in_use() {
    let mut rig = Rig::new();
    assert_eq!(rig.due(), Some(at(300_000)));
    assert_eq!(rig.send(300_000), (Scope::Full, 1));
    rig.succeed(300_000, false);
    assert_eq!(rig.due(), Some(at(600_000)));
    rig.topics = Topics::default();
    assert_eq!(rig.due(), None, "nobody is interested");
}

#[test]
fn a_new_topic_is_asked_for_at_once_and_alone() {
    let mut rig = Rig::new();
    rig.use_topic("b");
    assert!(rig.due() <= Some(Timestamp::ZERO));
    assert_eq!(rig.send(1), (Scope::Partial, 1));
    assert_eq!(rig.due(), None, "one request at a time");
    rig.use_topic("c");
    assert_eq!(rig.due(), None);
    rig.succeed(2, true);
    assert!(rig.due() <= Some(Timestamp::ZERO), "the next one need not wait");
    assert_eq!(rig.send(2), (Scope::Partial, 1));
}

#[test]
fn a_new_topic_does_not_hurry_a_request_that_fails() {
    let mut rig = Rig::new();
    rig.use_topic("b");
    rig.send(1);
    rig.fail(2);
    rig.use_topic("c");
    let due = rig.due().unwrap();
    assert!((at(82)..at(122)).contains(&due), "{due:?}");
    rig.send(200);
    rig.fail(200);
    let due = rig.due().unwrap();
    assert!((at(360)..at(440)).contains(&due), "{due:?}");
}

#[test]
fn asking_often_is_asking_once_and_the_waits_double_while_there_is_no_news() {
    let mut rig = Rig::new();
    let mut now = 1_000;
    let mut waits = Vec::new();
    for _ in 0..7 {
        for _ in 0..100 {
            rig.refresh.request();
        }
        let due = rig.due().unwrap().max(at(now));
        waits.push(due.since(at(now)).as_millis());
        now = due.as_nanos() / 1_000_000 + 1;
        assert_eq!(rig.send(now).0, Scope::Full);
        rig.succeed(now, false);
    }
    for (wait, range) in waits.iter().zip([0..1, 79..120, 159..240, 319..480, 639..960, 799..1001, 799..1001]) {
        assert!(range.contains(wait), "{waits:?}");
    }
    rig.refresh.request();
    rig.send(100_000);
    rig.succeed(100_000, true);
    rig.refresh.request();
    let due = rig.due().unwrap().since(at(100_000)).as_millis();
    assert!((80..120).contains(&due), "after news the waits start over: {due}");
}

#[test]
fn a_request_while_one_is_in_flight_leads_to_another_one() {
    let mut rig = Rig::new();
    rig.refresh.request();
    rig.send(1_000);
    rig.refresh.request();
    rig.succeed(1_010, false);
    assert!(rig.due().is_some_and(|at| at < Timestamp::from_millis(2_100)), "its answer may have been made before");
}

#[test]
fn a_failed_full_request_is_made_again_in_full() {
    let mut rig = Rig::new();
    rig.refresh.request();
    rig.send(1_000);
    rig.fail(1_010);
    assert_eq!(rig.send(5_000).0, Scope::Full);
    rig.succeed(5_000, true);
    assert_eq!(rig.due(), Some(at(305_000)));
}

#[test]
fn topics_to_ask_again_share_one_partial_request_with_backoff() {
    let mut rig = Rig::new();
    rig.use_topic("b");
    rig.send(1_000);
    rig.succeed(1_000, false);
    for name in ["a", "b", "unheard of"] {
        rig.topics.ask_again(&TopicName::new(name));
    }
    assert!(rig.due() >= Some(at(1_080)));
    assert_eq!(rig.send(2_000), (Scope::Partial, 2));
}
