//! What becomes of waiting records while brokers refuse who the producer is.

use milena_accumulator::{FailureKind, Fate};

use super::world::*;
use crate::{Command, CommandErrorKind, CommandResult, RefusedIdentity};

const TOLD: (FailureKind, Fate) = (FailureKind::Authentication, Fate::NotWritten);

fn world(policy: RefusedIdentity) -> World {
    let mut world = World::with(|s| s.sender.refused_identity = policy);
    world.add_topic("u", 1);
    world
}

fn refuse_all(world: &mut World) {
    world.refusing = vec![1, 2, 3];
    for node in 1..=3 {
        world.cut(node);
    }
}

#[test]
fn at_the_start_records_fail_at_once_or_wait_as_is_chosen_and_later_ones_are_tried() {
    for policy in [RefusedIdentity::Fail, RefusedIdentity::FailAtStart, RefusedIdentity::Wait] {
        let mut world = world(policy);
        world.refusing = vec![1, 2, 3];
        let first = world.send("first");
        let ready = world.command(Command::WaitReady { deadline: world.now + std::time::Duration::from_secs(60) });
        world.run_for(50);
        assert!(!first.is_done(), "one refusal proves little");
        world.run_for(250);
        if policy == RefusedIdentity::Wait {
            world.run_for(100_000);
            assert!(!first.is_done() && !first_word(&world, ready), "waits");
            world.refusing.clear();
            world.run_for(2_000);
            delivered(first);
            continue;
        }
        let error = outcome(first).unwrap_err();
        assert_eq!((error.kind(), error.fate()), TOLD);
        let words = error.to_string();
        for part in ["10.0.0.1:9092", "does not accept this client's certificate", "ssl.truststore", "not on the log"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        let Some(CommandResult::Ready(Err(error))) = world.done.get(&ready) else { panic!("{:?}", world.done) };
        assert_eq!(error.kind, CommandErrorKind::IdentityRefused);
        assert!(error.cause.is_some());
        // The producer lives: what comes is tried, and told within a backoff.
        let second = world.send("second");
        world.run_for(1_100);
        assert_eq!(failed(second), TOLD);
        let third = world.send("third");
        world.refusing.clear();
        world.run_for(1_100);
        delivered(third);
        assert_eq!(world.log(), ["third"]);
    }
}

#[test]
fn an_issuer_of_tokens_that_refuses_is_heeded_like_a_broker_and_one_that_is_away_is_waited_for() {
    use milena_cluster::SaslErrorKind::{IssuerRefused, NoCredentials};
    for (kind, policy) in [
        (IssuerRefused, RefusedIdentity::Fail),
        (IssuerRefused, RefusedIdentity::FailAtStart),
        (IssuerRefused, RefusedIdentity::Wait),
        (NoCredentials, RefusedIdentity::Fail),
    ] {
        let mut world = World::with(|s| {
            s.sender.refused_identity = policy;
            s.cluster.sasl_mechanism = Some("TEST".to_owned());
        });
        world.no_token = Some(kind);
        let first = world.send("first");
        world.run_for(50);
        assert!(!first.is_done(), "one refusal proves little");
        world.run_for(60_000);
        if (kind, policy) == (NoCredentials, RefusedIdentity::Fail) || policy == RefusedIdentity::Wait {
            assert!(!first.is_done(), "{kind:?} {policy:?}");
        } else {
            let error = outcome(first).unwrap_err();
            assert_eq!((error.kind(), error.fate()), TOLD);
            let words = error.to_string();
            for part in ["issuer of tokens refuses", "https://idp: says why", "token endpoint", "not on the log"] {
                assert!(words.contains(part), "{part}: {words}");
            }
        }
        // The client is let in: what waited and what comes is delivered.
        world.no_token = None;
        let second = world.send("second");
        world.run_for(1_500);
        delivered(second);
        // While it works, the token in force serves; once that is over, only `Fail` gives records up.
        world.no_token = Some(kind);
        (1..=3).for_each(|node| world.cut(node));
        let third = world.send("third");
        world.run_for(3_000);
        assert_eq!(third.is_done(), (kind, policy) == (IssuerRefused, RefusedIdentity::Fail), "{kind:?} {policy:?}");
    }
}

fn first_word(world: &World, id: u64) -> bool {
    matches!(world.done.get(&id), Some(CommandResult::Ready(Err(error))) if error.kind == CommandErrorKind::IdentityRefused)
}

#[test]
fn credentials_that_change_under_way_cost_nothing_unless_that_is_chosen() {
    for policy in [RefusedIdentity::Fail, RefusedIdentity::FailAtStart] {
        let mut world = world(policy).warm();
        refuse_all(&mut world);
        let known = world.send("known");
        let new = world.send_to("u", 0, "new");
        world.run_for(3_000);
        if policy == RefusedIdentity::Fail {
            assert_eq!((failed(known), failed(new)), (TOLD, TOLD));
            continue;
        }
        assert!(!known.is_done() && !new.is_done());
        world.refusing.clear();
        world.run_for(1_100);
        delivered(known);
        delivered(new);
    }
}

#[test]
fn a_broker_that_refuses_ends_the_records_of_its_partitions_and_no_others() {
    let mut world = world(RefusedIdentity::Fail);
    world.partition("t", 1).leader = 2;
    let mut world = world.warm();
    delivered(world.send_to("t", 1, "x"));
    world.refusing = vec![2];
    world.cut(2);
    let mine = world.send_to("t", 1, "y");
    for n in 0..30 {
        let other = world.send(&n.to_string());
        world.run_for(100);
        delivered(other);
    }
    assert_eq!(failed(mine), TOLD);
    // A leader that accepts gets what waits.
    world.move_leader("t", 1, 3);
    world.refresh();
    let mine = world.send_to("t", 1, "z");
    world.run_for(100);
    delivered(mine);
}

#[test]
fn what_may_be_written_is_told_so_and_is_not_doubled_afterwards() {
    for append in [false, true] {
        let mut world = world(RefusedIdentity::Fail).warm();
        world.refusing = vec![1, 2, 3];
        world.fault(Fault::Cut { append });
        let in_flight = world.send("in flight");
        let behind = world.send("behind");
        world.run_for(1_000);
        assert_eq!(failed(in_flight), (FailureKind::Authentication, Fate::MaybeWritten));
        assert_eq!(failed(behind), TOLD);
        world.refusing.clear();
        let after = world.send("after");
        world.run_for(3_000);
        delivered(after);
        let expected: &[&str] = if append { &["warm", "in flight", "after"] } else { &["warm", "after"] };
        assert_eq!(world.log(), expected);
    }
}

#[test]
fn without_a_producer_id_records_fail_though_their_leader_would_take_them() {
    let mut world = World::with(|s| s.sender.refused_identity = RefusedIdentity::Fail);
    world.init_codes = std::iter::repeat_n(14, 100).collect();
    let first = world.send("first");
    world.run_for(100);
    refuse_all(&mut world);
    world.run_for(1_500);
    assert_eq!(failed(first), TOLD);
}
