//! `milena demo`: the account it prints.

use std::collections::HashMap;

use crate::kit::{Ended, run};

/// Label to the first number behind it.
fn lines(ended: &Ended) -> HashMap<&str, u64> {
    let numbers = ended.stdout.lines().filter_map(|line| {
        let (label, rest) = line.split_once("  ")?;
        Some((label, rest.split_whitespace().next()?.parse().ok()?))
    });
    numbers.collect()
}

#[test]
fn the_account_is_whole_whatever_the_cluster_suffers() {
    let ended = run(&["demo", "--records", "30000"], b"");
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let lines = lines(&ended);
    for (label, count) in
        [("queued", 30_000), ("delivered", 30_000), ("failed", 0), ("lost", 0), ("duplicated", 0), ("out of order", 0)]
    {
        assert_eq!(lines.get(label), Some(&count), "{label}: {ended:?}");
    }
    assert!(lines.get("records/s").is_some_and(|rate| *rate > 0), "{ended:?}");
    assert!(ended.stdout.contains("leaders moved"), "{ended:?}");
}

#[test]
fn a_text_of_ones_own_may_be_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text");
    std::fs::write(&path, b"\xff\x00\n\nlast").unwrap();
    let ended = run(&["demo", "--records", "1000", "--calm", "--text", path.to_str().unwrap()], b"");
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

#[test]
fn records_that_are_refused_make_the_account_partial() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text");
    std::fs::write(&path, [&b"short\n"[..], &[b'x'; 2_000_000]].concat()).unwrap();
    let ended = run(&["demo", "--records", "10", "--calm", "--text", path.to_str().unwrap()], b"");
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let lines = lines(&ended);
    assert_eq!((lines["delivered"], lines["failed"], lines["lost"]), (5, 5, 0), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
}
