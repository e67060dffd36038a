//! `milena produce`: lines become records.

use milena_broker::{Reaction, Rule};
use milena_wire::{ApiKey, ErrorCode};

use crate::kit::{cluster, end, milena, records, run, values};

#[test]
fn every_line_of_a_file_becomes_one_record_in_order() {
    let cluster = cluster();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lines.txt");
    let lines: Vec<String> = (0..10_000).map(|n| format!("line {n}")).collect();
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();

    let args = ["produce", "--topic", "t", "--bootstrap", &cluster.bootstrap(), "--json", path.to_str().unwrap()];
    let ended = run(&args, b"");

    assert_eq!((ended.status, ended.account()), (Some(0), [10_000, 10_000, 0, 0]), "{ended:?}");
    assert!(ended.stdout.starts_with(r#"{"queued":10000,"delivered":10000,"failed":{"not_written":0,"#), "{ended:?}");
    assert_eq!(ended.stderr, "", "progress is for terminals");
    let expected: Vec<_> = lines.into_iter().map(|line| Some(line.into_bytes())).collect();
    assert!(values(&cluster, "t") == expected);
}

#[test]
fn the_account_is_for_people_unless_json_is_asked_for() {
    let cluster = cluster();
    let ended = run(&["produce", "--topic", "t", "--bootstrap", &cluster.bootstrap()], b"one\ntwo\n");
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), ""));
    assert!(ended.stderr.contains("queued 2, delivered 2, failed 0"), "{ended:?}");
}

#[test]
fn lines_are_bytes_and_their_ends_are_not_part_of_them() {
    let cluster = cluster();
    let input = b"unix\nwindows\r\n\n\xff\x00\xfe binary\r\rx\nno end";
    let ended = run(&["produce", "--topic", "t", "--bootstrap", &cluster.bootstrap(), "--json"], input);
    assert_eq!((ended.status, ended.account()), (Some(0), [5, 5, 0, 0]), "{ended:?}");
    let expected = [&b"unix"[..], b"windows\r", b"", b"\xff\x00\xfe binary\r\rx", b"no end"];
    assert_eq!(values(&cluster, "t"), expected.map(|value| Some(value.to_vec())));
}

#[test]
fn no_line_is_no_record_and_no_failure() {
    let cluster = cluster();
    let ended = run(&["produce", "--topic", "t", "--bootstrap", &cluster.bootstrap(), "--json"], b"");
    assert_eq!((ended.status, ended.account()), (Some(0), [0, 0, 0, 0]), "{ended:?}");
}

#[test]
fn key_value_headers_and_partition_are_as_told() {
    let cluster = cluster();
    cluster.create_topic("t", 3, 1).unwrap();
    let bootstrap = cluster.bootstrap();
    let args = [
        "produce",
        "--topic",
        "t",
        "--bootstrap",
        &bootstrap,
        "--json",
        "--partition",
        "2",
        "--key-separator",
        "::",
        "--null-value",
        "NULL",
        "--header",
        "a=1",
        "--header",
        "b=x=y",
        "--header",
        "a=",
        "-",
    ];
    let ended = run(&args, b"k::v::w\nk::NULL\nNULL\n::\n");
    assert_eq!((ended.status, ended.account()), (Some(0), [4, 4, 0, 0]), "{ended:?}");
    assert_eq!(cluster.end_offset("t", milena_wire::PartitionId(2)).unwrap().0, 4);
    let stored = records(&cluster, "t");
    let keys: Vec<_> = stored.iter().map(|record| record.key.as_deref()).collect();
    assert_eq!(keys, [Some(&b"k"[..]), Some(b"k"), None, Some(b"")]);
    let values: Vec<_> = stored.iter().map(|record| record.value.as_deref()).collect();
    assert_eq!(values, [Some(&b"v::w"[..]), None, None, Some(b"")]);
    for record in &stored {
        let headers: Vec<_> = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        assert_eq!(headers, [("a", Some(&b"1"[..])), ("b", Some(b"x=y")), ("a", Some(b""))]);
    }
}

#[test]
fn a_line_above_the_limit_fails_alone_and_is_kept() {
    let cluster = cluster();
    let dir = tempfile::tempdir().unwrap();
    let failed = dir.path().join("failed.txt");
    let long = "x".repeat(5_000);
    let input = format!("before\n{long}\nafter\n");
    let args = [
        "produce",
        "--topic",
        "t",
        "--bootstrap",
        &cluster.bootstrap(),
        "--json",
        "-X",
        "max.request.size=4000",
        "--failed",
        failed.to_str().unwrap(),
    ];
    let ended = run(&args, input.as_bytes());
    assert_eq!((ended.status, ended.account()), (Some(1), [3, 2, 1, 0]), "{ended:?}");
    assert_eq!(values(&cluster, "t"), [Some(b"before".to_vec()), Some(b"after".to_vec())]);
    assert_eq!(std::fs::read_to_string(&failed).unwrap(), long + "\n");
    assert!(ended.stderr.contains("limit is 4000"), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
}

#[test]
fn lines_for_a_topic_or_partition_that_is_not_there_fail_and_are_kept() {
    let cluster = milena_broker::EmbeddedCluster::builder().auto_create_topics(false).start_blocking().unwrap();
    cluster.create_topic("small", 1, 1).unwrap();
    let bootstrap = cluster.bootstrap();
    let dir = tempfile::tempdir().unwrap();
    let failed = dir.path().join("failed.txt");
    let to = |topic: &str, partition: &str| {
        let args = [
            "produce",
            "--topic",
            topic,
            "--partition",
            partition,
            "--bootstrap",
            &bootstrap,
            "--json",
            "--failed",
            failed.to_str().unwrap(),
            "-X",
            "topic.metadata.propagation.max.ms=100",
        ];
        let ended = run(&args, b"one\ntwo");
        assert_eq!((ended.status, ended.account()), (Some(1), [2, 0, 2, 0]), "{ended:?}");
        // In the order in which they failed: the second may be refused while the first still waits for the topic.
        let kept = std::fs::read_to_string(&failed).unwrap();
        let mut lines: Vec<_> = kept.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["one", "two"]);
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        ended.stderr
    };
    assert!(to("missing", "0").contains("missing"));
    assert!(to("small", "1").contains("partition 1"));
}

#[test]
fn failed_lines_go_to_a_dead_letter_topic_by_option_or_property() {
    for option in [["--dead-letter-topic", "dead"], ["-X", "milena.dead.letter.topic=dead"]] {
        let cluster = cluster();
        let bootstrap = cluster.bootstrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let refused = Reaction::Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
        cluster.script(Rule::on(ApiKey::PRODUCE, refused).topic("t").always());
        let args = [&["produce", "--topic", "t", "--bootstrap", &bootstrap, "--json"][..], &option].concat();
        let ended = run(&args, b"one\ntwo\n");
        assert_eq!((ended.status, ended.account()), (Some(1), [2, 0, 2, 0]), "{ended:?}");
        assert_eq!(values(&cluster, "dead"), [Some(b"one".to_vec()), Some(b"two".to_vec())]);
        assert!(ended.stderr.contains("dead letters 2"), "{ended:?}");
    }
}

#[test]
fn who_stops_reading_the_account_does_not_change_the_exit_status() {
    let cluster = cluster();
    let mut child = milena(&["produce", "--topic", "t", "--bootstrap", &cluster.bootstrap(), "--json", "/dev/null"])
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = end(child);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn an_embedded_broker_needs_no_cluster() {
    let ended = run(&["produce", "--topic", "t", "--embedded", "--json"], b"one\ntwo");
    assert_eq!((ended.status, ended.account()), (Some(0), [2, 2, 0, 0]), "{ended:?}");
}

#[test]
fn a_full_buffer_refuses_lines_only_if_the_user_wants_it() {
    let cluster = cluster();
    cluster.create_topic("t", 1, 1).unwrap();
    cluster.script(
        milena_broker::Rule::on(
            milena_wire::ApiKey::PRODUCE,
            milena_broker::Reaction::DelayAnswer(std::time::Duration::from_millis(200)),
        )
        .times(2),
    );
    let input = "0123456789".repeat(10).as_bytes().repeat(10);
    let input: Vec<u8> = input.chunks(10).flat_map(|line| [line, b"\n"].concat()).collect::<Vec<u8>>().repeat(100);
    let bootstrap = cluster.bootstrap();
    let small = ["-X", "max.request.size=2000", "-X", "buffer.memory=4000"];
    let args = ["produce", "--topic", "t", "--bootstrap", &bootstrap, "--json"];
    let ended = run(&[&args[..], &small].concat(), &input);
    assert_eq!((ended.status, ended.account()), (Some(0), [10_000, 10_000, 0, 0]), "{ended:?}");

    cluster.script(
        milena_broker::Rule::on(
            milena_wire::ApiKey::PRODUCE,
            milena_broker::Reaction::DelayAnswer(std::time::Duration::from_millis(200)),
        )
        .times(2),
    );
    let ended = run(&[&args[..], &small, &["-X", "max.block.ms=1"]].concat(), &input);
    let [queued, delivered, not_written, maybe_written] = ended.account();
    assert_eq!((ended.status, queued, maybe_written), (Some(1), 10_000, 0), "{ended:?}");
    assert!(not_written > 0 && delivered + not_written == queued, "{ended:?}");
}
