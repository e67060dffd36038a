//! `milena broker`: a cluster for others, and a log that outlives it.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Child;

use milena_broker::EmbeddedCluster;

use crate::kit::{end, interrupt, milena, run, terminate, values};

/// Starts it and reads where it listens.
fn start(args: &[&str]) -> (Child, String) {
    let mut child = milena(args).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut addresses = String::new();
    stdout.read_line(&mut addresses).unwrap();
    (child, addresses.trim_end().to_owned())
}

#[test]
fn a_broker_started_again_on_its_folder_has_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    for line in ["one\n", "two\n"] {
        let (child, address) = start(&["broker", "--listen", "127.0.0.1:0", "--data", data]);
        let ended = run(&["produce", "--topic", "t", "--bootstrap", &address], line.as_bytes());
        assert_eq!(ended.status, Some(0), "{ended:?}");
        terminate(&child);
        assert_eq!(end(child).status, Some(0));
    }
    let cluster = EmbeddedCluster::builder().data_dir(dir.path()).start_blocking().unwrap();
    assert_eq!(values(&cluster, "t"), [Some(b"one".to_vec()), Some(b"two".to_vec())]);
}

#[test]
fn every_node_has_an_address_and_topics_the_partitions_asked_for() {
    let (child, addresses) = start(&["broker", "--listen", "127.0.0.1:0", "--nodes", "3", "--partitions", "5"]);
    assert_eq!(addresses.split(',').count(), 3, "{addresses}");
    for address in addresses.split(',') {
        let args = ["produce", "--topic", "t", "--partition", "4", "--bootstrap", address];
        let ended = run(&args, b"one\n");
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
    let ended = run(&["produce", "--topic", "t", "--partition", "5", "--bootstrap", &addresses], b"one\n");
    assert_eq!(ended.status, Some(1), "{ended:?}");
    interrupt(&child);
    assert_eq!(end(child).status, Some(0));
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(&["broker", "--listen", &address], b"");
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains(&address) && ended.stderr.contains("in use"), "{ended:?}");
}

#[test]
fn a_folder_that_another_broker_has_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["broker", "--listen", "127.0.0.1:0", "--data", dir.path().to_str().unwrap()];
    let (first, _) = start(&args);
    let second = run(&args, b"");
    assert_eq!((second.status, second.stdout.as_str()), (Some(1), ""), "{second:?}");
    assert!(second.stderr.contains("another broker"), "{second:?}");
    terminate(&first);
    assert_eq!(end(first).status, Some(0));
}
