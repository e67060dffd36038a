//! Signals: the first delivers what is queued, the second gives it up, and both leave an account.

use std::io::{Read, Write};
use std::process::{Child, Stdio};

use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_wire::{ApiKey, PartitionId};

use crate::kit::{Ended, cluster, end, hear, interrupt, milena, terminate, values, wait_until};

const HEARD: &str = "a second signal gives it up";

fn delivered(cluster: &EmbeddedCluster) -> i64 {
    cluster.end_offset("t", PartitionId(0)).map_or(0, |offset| offset.0)
}

fn start(cluster: &EmbeddedCluster) -> Child {
    let args = ["produce", "--topic", "t", "--bootstrap", &cluster.bootstrap(), "--json"];
    let mut child = milena(&args).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"one\n").unwrap();
    wait_until("the first line is delivered", || delivered(cluster) == 1);
    child
}

/// Waits for its end without closing its standard input.
fn end_with_open_input(mut child: Child) -> Ended {
    let stdin = child.stdin.take();
    let ended = end(child);
    drop(stdin);
    ended
}

#[test]
fn an_interrupt_ends_a_silent_input_and_the_account_is_printed() {
    let cluster = cluster();
    let child = start(&cluster);
    interrupt(&child);
    let ended = end_with_open_input(child);
    assert_eq!((ended.status, ended.account()), (Some(0), [1, 1, 0, 0]), "{ended:?}");
}

#[test]
fn a_termination_is_heard_like_an_interrupt() {
    let cluster = cluster();
    let child = start(&cluster);
    terminate(&child);
    let ended = end_with_open_input(child);
    assert_eq!((ended.status, ended.account()), (Some(0), [1, 1, 0, 0]), "{ended:?}");
}

#[test]
fn what_is_queued_when_the_interrupt_comes_is_still_delivered() {
    let cluster = cluster();
    let mut child = start(&cluster);
    cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::CloseBefore).times(3));
    child.stdin.as_mut().unwrap().write_all(b"two\nhalf a li").unwrap();
    wait_until("the second line is on its way", || cluster.script_pending() == 0 || delivered(&cluster) == 2);
    interrupt(&child);
    let ended = end_with_open_input(child);
    // Half a line was there to be read, and nobody knows how it goes on.
    assert_eq!((ended.status, ended.account()), (Some(1), [2, 2, 0, 0]), "{ended:?}");
    assert_eq!(values(&cluster, "t"), [Some(b"one".to_vec()), Some(b"two".to_vec())]);
}

#[test]
fn a_second_interrupt_gives_up_on_a_cluster_that_is_gone() {
    let cluster = cluster();
    let mut child = start(&cluster);
    cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Silence).always());
    let before = cluster.requests()[&ApiKey::PRODUCE];
    child.stdin.as_mut().unwrap().write_all(b"two\n").unwrap();
    wait_until("the second line is sent", || cluster.requests()[&ApiKey::PRODUCE] > before);
    interrupt(&child);
    let mut stderr = hear(child.stderr.take().unwrap(), HEARD);
    interrupt(&child);
    let ended = end_with_open_input(child);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!((ended.status, ended.account()), (Some(1), [2, 1, 0, 1]), "{ended:?} {rest}");
}

#[test]
fn an_interrupt_is_heard_while_the_buffer_is_full() {
    let cluster = cluster();
    cluster.create_topic("t", 1, 1).unwrap();
    cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Silence).always());
    let args = [
        "produce",
        "--topic",
        "t",
        "--bootstrap",
        &cluster.bootstrap(),
        "--json",
        "-X",
        "max.request.size=2000",
        "-X",
        "buffer.memory=4000",
        "/dev/zero",
    ];
    // A line that never ends makes no record; lines that never end do.
    let mut child = milena(&args[..args.len() - 1]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || while stdin.write_all(b"line after line after line\n").is_ok() {});
    wait_until("a request is sent", || cluster.requests().get(&ApiKey::PRODUCE).is_some_and(|sent| *sent > 0));
    interrupt(&child);
    let stderr = hear(child.stderr.take().unwrap(), HEARD);
    interrupt(&child);
    let ended = end(child);
    feeder.join().unwrap();
    drop(stderr);
    let [queued, delivered, not_written, maybe_written] = ended.account();
    assert_eq!((ended.status, delivered), (Some(1), 0), "{ended:?}");
    assert!(maybe_written > 0 && not_written + maybe_written == queued, "{ended:?}");
}

#[test]
fn an_interrupt_is_heard_while_no_cluster_answers() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bootstrap = silent.local_addr().unwrap().to_string();
    let child = milena(&["produce", "--topic", "t", "--bootstrap", &bootstrap, "--json"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // The connection shows that it is up and listens to signals.
    let connection = silent.accept().unwrap();
    interrupt(&child);
    let ended = end_with_open_input(child);
    drop(connection);
    assert_eq!((ended.status, ended.account()), (Some(1), [0, 0, 0, 0]), "{ended:?}");
}
