use std::fmt::Write as _;
use std::time::Duration;

use super::*;
use crate::metadata::topics::Topics;
use milena_wire::{PartitionId, TopicName};

const RELIABLE: ApiVersion = ApiVersion(12);
const UNRELIABLE: ApiVersion = ApiVersion(8);

/// A topic as one answer has it: error, id, and partitions as (index, leader, epoch).
fn told(error: ErrorCode, id: u8, partitions: &[(i32, i32, i32)]) -> MetadataTopic {
    let partition = |&(index, leader, epoch): &(i32, i32, i32)| MetadataPartition {
        index: PartitionId(index),
        leader: BrokerId(leader),
        leader_epoch: LeaderEpoch(epoch),
        ..MetadataPartition::default()
    };
    MetadataTopic {
        error,
        name: Some(TopicName::new("t")),
        id: TopicId([id; 16]),
        partitions: partitions.iter().map(partition).collect(),
        ..MetadataTopic::default()
    }
}

struct Rig {
    topic: Topic,
    now: u64,
}

impl Rig {
    fn new() -> Self {
        Self { topic: Topic::asking(Timestamp::NEVER), now: 0 }
    }

    fn known(partitions: &[(i32, i32, i32)]) -> Self {
        let mut rig = Self::new();
        rig.tell(1, partitions);
        rig
    }

    fn apply(&mut self, version: ApiVersion, topic: &MetadataTopic) -> Verdict {
        self.now += 1;
        apply(Timestamp::from_millis(self.now), &mut self.topic, &Told::of(topic, version))
    }

    fn tell(&mut self, id: u8, partitions: &[(i32, i32, i32)]) -> Verdict {
        self.apply(RELIABLE, &told(ErrorCode::NONE, id, partitions))
    }

    fn fail(&mut self, code: ErrorCode) -> Verdict {
        self.apply(RELIABLE, &told(code, 0, &[]))
    }

    fn info(&self) -> &TopicInfo {
        &self.topic.known.as_ref().unwrap().info
    }

    /// The leader and epoch of each partition.
    fn leaders(&self) -> Vec<(i32, i32)> {
        let shown = |p: &PartitionInfo| (p.leader.map_or(-1, |leader| leader.0), p.epoch.0);
        self.info().partitions.iter().map(shown).collect()
    }

    fn status(&self) -> String {
        match self.topic.status {
            Status::Asking => "asking".to_owned(),
            Status::Present { .. } => format!("present id {} {:?}", self.info().id.0[0], self.leaders()),
            Status::Missing(absence) => {
                format!("missing {} {} times since {:?}", absence.code, absence.answers, absence.first_answer)
            }
            Status::Failed { code } => format!("failed {code}"),
        }
    }
}

#[test]
fn every_kind_of_topic_meets_every_kind_of_answer() {
    let missing = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let denied = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    type Build = fn() -> Rig;
    let before: [(&str, Build); 5] = [
        ("asking", Rig::new),
        ("known", || Rig::known(&[(0, 1, 5)])),
        ("known, doubted twice", || {
            let mut rig = Rig::known(&[(0, 1, 5)]);
            rig.fail(ErrorCode::LEADER_NOT_AVAILABLE);
            rig.fail(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            rig
        }),
        ("missing", || {
            let mut rig = Rig::new();
            rig.fail(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            rig
        }),
        ("denied", || {
            let mut rig = Rig::new();
            rig.fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
            rig
        }),
    ];
    let answers = [
        ("the same", told(ErrorCode::NONE, 1, &[(0, 1, 5)])),
        ("higher epoch", told(ErrorCode::NONE, 1, &[(0, 2, 6)])),
        ("lower epoch", told(ErrorCode::NONE, 1, &[(0, 3, 4)])),
        ("no leader", told(ErrorCode::NONE, 1, &[(0, -1, 6)])),
        ("another id", told(ErrorCode::NONE, 2, &[(0, 1, 0)])),
        ("no id", told(ErrorCode::NONE, 0, &[(0, 1, 6)])),
        ("more partitions", told(ErrorCode::NONE, 1, &[(0, 1, 5), (1, 2, 0)])),
        ("no partitions", told(ErrorCode::NONE, 1, &[])),
        ("unknown topic", told(missing, 0, &[])),
        ("leader not available", told(ErrorCode::LEADER_NOT_AVAILABLE, 0, &[])),
        ("not authorized", told(denied, 0, &[])),
        ("invalid name", told(ErrorCode::INVALID_TOPIC_EXCEPTION, 0, &[])),
        ("server error", told(ErrorCode::UNKNOWN_SERVER_ERROR, 0, &[])),
        ("code from the future", told(ErrorCode(9_999), 0, &[])),
    ];
    let mut table = String::new();
    for (name, build) in before {
        for (answer, topic) in &answers {
            let mut rig = build();
            let Verdict { news, changed, again, stale } = rig.apply(RELIABLE, topic);
            let flags = [(news, "news"), (changed, "changed"), (again, "again"), (stale, "stale")];
            let flags = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect::<Vec<_>>();
            writeln!(table, "{name} + {answer} => {} | {}", rig.status(), flags.join(" ")).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_lower_epoch_is_believed_when_three_answers_in_a_row_say_so() {
    let mut rig = Rig::known(&[(0, 1, 5)]);
    assert!(rig.tell(1, &[(0, 2, 4)]).stale);
    assert!(rig.tell(1, &[(0, 2, 4)]).stale);
    assert_eq!(rig.leaders(), [(1, 5)]);
    let verdict = rig.tell(1, &[(0, 2, 4)]);
    assert!(!verdict.stale && verdict.news);
    assert_eq!(rig.leaders(), [(2, 4)]);
    rig.tell(1, &[(0, 3, 5)]);
    assert_eq!(rig.leaders(), [(3, 5)], "and from there it goes on as ever");
}

#[test]
fn lower_epochs_that_contradict_each_other_are_not_believed() {
    let mut rig = Rig::known(&[(0, 1, 50)]);
    for round in 0..20 {
        rig.tell(1, &[(0, 2, 40 - round)]);
    }
    assert_eq!(rig.leaders(), [(1, 50)], "each lower than the one before");
    for _ in 0..5 {
        rig.tell(1, &[(0, 2, 4)]);
        rig.tell(1, &[(0, 2, 4)]);
        rig.tell(1, &[(0, 1, 50)]);
    }
    assert_eq!(rig.leaders(), [(1, 50)], "three in a row, not three in all");
    for epoch in 4..7 {
        rig.tell(1, &[(0, 2, epoch)]);
    }
    assert_eq!(rig.leaders(), [(2, 6)], "leadership that moves on from a lower epoch is consistent");
}

#[test]
fn epochs_of_old_brokers_are_not_used() {
    let mut rig = Rig::new();
    let tell = |rig: &mut Rig, leader, epoch| {
        rig.apply(UNRELIABLE, &told(ErrorCode::NONE, 0, &[(0, leader, epoch)]));
        rig.leaders()
    };
    assert_eq!(tell(&mut rig, 1, 5), [(1, -1)]);
    assert_eq!(tell(&mut rig, 2, 3), [(2, -1)], "lower, and believed");
    rig.tell(1, &[(0, 3, 9)]);
    assert_eq!(tell(&mut rig, 1, 5), [(1, -1)], "after an answer that had one");
}

#[test]
fn a_partition_left_out_is_kept_twice_and_dropped_the_third_time() {
    let mut rig = Rig::known(&[(0, 1, 5), (1, 2, 6), (2, 3, 7)]);
    for round in 1..=2 {
        let verdict = rig.tell(1, &[(0, 1, 5), (2, 3, 7)]);
        assert!(verdict.again);
        assert_eq!(rig.leaders(), [(1, 5), (2, 6), (3, 7)]);
        assert_eq!(rig.info().partitions[1].omitted, round);
    }
    rig.tell(1, &[(0, 1, 5), (2, 3, 7)]);
    assert_eq!(rig.leaders(), [(1, 5), (-1, 6), (3, 7)]);
    assert_eq!(rig.info().partitions[1].code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    rig.tell(1, &[(0, 1, 5), (1, 2, 6), (2, 3, 7)]);
    assert_eq!(rig.leaders(), [(1, 5), (2, 6), (3, 7)], "it is back");
    for _ in 0..3 {
        rig.tell(1, &[(0, 1, 5)]);
    }
    assert_eq!(rig.leaders(), [(1, 5)], "at the end they are cut off");
}

#[test]
fn a_topic_is_given_up_after_three_answers_without_it_and_keeps_its_epochs() {
    let mut rig = Rig::known(&[(0, 1, 5)]);
    rig.fail(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    rig.tell(1, &[]);
    assert!(matches!(rig.topic.status, Status::Present { .. }));
    rig.fail(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(rig.status(), "missing UNKNOWN_TOPIC_OR_PARTITION (3) 3 times since +0.002000s");
    rig.tell(1, &[(0, 2, 3)]);
    assert_eq!(rig.leaders(), [(1, 5)], "a broker that lags behind is still recognised");
}

#[test]
fn a_recreated_topic_is_a_new_one_and_its_former_id_does_not_come_back_by_one_answer() {
    let mut rig = Rig::known(&[(0, 1, 50), (1, 1, 50)]);
    let verdict = rig.tell(2, &[(0, 2, 0)]);
    assert!(verdict.news && verdict.changed);
    assert_eq!(rig.status(), "present id 2 [(2, 0)]");
    assert!(rig.tell(1, &[(0, 1, 50), (1, 1, 50)]).stale);
    assert!(rig.tell(1, &[(0, 1, 50), (1, 1, 50)]).stale);
    assert_eq!(rig.status(), "present id 2 [(2, 0)]");
    rig.tell(1, &[(0, 1, 50), (1, 1, 50)]);
    assert_eq!(rig.status(), "present id 1 [(1, 50), (1, 50)]", "unless it is said consistently");
    for id in 10..100 {
        rig.tell(id, &[(0, 1, 0)]);
    }
    assert!(rig.topic.known.as_ref().unwrap().former.len() <= FORMER_IDS);
}

#[test]
fn a_topic_whose_id_becomes_known_is_the_same_topic() {
    let mut rig = Rig::new();
    rig.apply(RELIABLE, &told(ErrorCode::NONE, 0, &[(0, 1, 5)]));
    rig.tell(7, &[(0, 2, 4)]);
    assert_eq!(rig.status(), "present id 7 [(1, 5)]", "so a lower epoch is not believed");
    rig.apply(RELIABLE, &told(ErrorCode::NONE, 0, &[(0, 2, 6)]));
    assert_eq!(rig.status(), "present id 7 [(2, 6)]", "nor does an older broker make it unknown");
}

#[test]
fn nonsense_indexes_cost_no_memory_and_a_gap_is_a_partition_without_leader() {
    let mut rig = Rig::new();
    let verdict =
        rig.tell(1, &[(2, 3, 7), (-1, 1, 1), (i32::MAX, 1, 1), (i32::MIN, 1, 1), (1_000_000, 1, 1), (2, 9, 9)]);
    assert!(verdict.again);
    assert_eq!(rig.leaders(), [(-1, -1), (-1, -1), (3, 7)]);
    rig.tell(1, &[(i32::MAX, 1, 1)]);
    assert_eq!(rig.leaders().len(), 3);
}

#[test]
fn a_topic_of_nonsense_indexes_alone_counts_as_having_no_partitions() {
    let mut rig = Rig::new();
    rig.tell(1, &[(-7, 1, 1), (i32::MAX, 1, 1)]);
    assert!(rig.status().starts_with("missing UNKNOWN_TOPIC_OR_PARTITION (3) 1 times"), "{}", rig.status());
}

#[test]
fn topics_out_of_use_are_forgotten_when_the_next_request_is_made() {
    let mut topics = Topics::default();
    let second = |n: u64| Timestamp::from_millis(n * 1_000);
    topics.use_topic(second(0), &TopicName::new("a"), Duration::from_secs(10));
    topics.use_topic(second(5), &TopicName::new("b"), Duration::from_secs(10));
    let asked = topics.take_asked(second(12), super::super::refresh::Scope::Full);
    assert_eq!(asked, [TopicName::new("b")]);
    assert_eq!(topics.state(&TopicName::new("a")), crate::TopicState::Unasked);
}
