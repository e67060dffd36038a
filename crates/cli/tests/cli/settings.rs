//! Bad usage and bad settings end with status 2, before anything is sent.

use crate::kit::{cluster, records, run};

fn refused(args: &[&str], because: &str) {
    let ended = run(args, b"a line\n");
    assert_eq!(ended.status, Some(2), "{args:?}: {ended:?}");
    assert!(ended.stderr.contains(because), "{args:?}: {ended:?}");
    assert_eq!(ended.stdout, "", "{args:?}: {ended:?}");
}

#[test]
fn the_command_line_is_checked() {
    refused(&["produce", "--topic", "t", "--bootstrap", "localhost:1", "--embedded"], "--embedded");
    refused(&["produce", "--topic", "t"], "--bootstrap");
    refused(&["produce", "--bootstrap", "localhost:1"], "--topic");
    refused(&["produce", "--topic", "t", "--embedded", "--header", "no-value"], "NAME=VALUE");
    refused(&["produce", "--topic", "t", "--embedded", "--partition=-1"], "--partition");
    refused(&["produce", "--topic", "t", "--embedded", "--key-separator", ""], "empty");
    refused(&["produce", "--topic", "t", "--embedded", "/no/such/file"], "/no/such/file");
    refused(&["produce", "--topic", "t", "--embedded", "/"], "directory");
    refused(&["produce", "--topic", "t", "--bootstrap", "no-port"], "no-port");
    refused(&["produce", "--topic", "t", "--embedded", "--failed", "/no/such/folder/file"], "failed lines");
    refused(&["bench", "--topic", "t", "--bootstrap", "localhost:1", "--records", "0", "--size", "1"], "--records");
    let large = (1u64 << 40).to_string();
    refused(&["bench", "--topic", "t", "--bootstrap", "localhost:1", "--records", "1", "--size", &large], "--size");
    refused(&["broker", "--listen", "no-port"], "no-port");
    refused(&["demo", "--text", "/no/such/file"], "/no/such/file");
    refused(&["demo", "--text", "/dev/null"], "no line");
    refused(&["sing"], "sing");
}

#[test]
fn an_unknown_property_is_refused_and_the_nearest_named() {
    let args = ["produce", "--topic", "t", "--embedded", "-X"];
    refused(&[&args[..], &["lingr.ms=5"]].concat(), "linger.ms");
    refused(&[&args[..], &["linger.ms=soon"]].concat(), "linger.ms");
    refused(&[&args[..], &["linger.ms"]].concat(), "name=value");
    refused(&[&args[..], &["acks=1", "-X", "enable.idempotence=true"]].concat(), "enable.idempotence");
    let bench = ["bench", "--topic", "t", "--bootstrap", "localhost:1", "--records", "1", "--size", "1"];
    refused(&[&bench[..], &["--compression", "zip"]].concat(), "zip");
}

#[test]
fn a_file_of_properties_is_read_and_the_command_line_wins_over_it() {
    let cluster = cluster();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("producer.properties");
    let bootstrap = cluster.bootstrap();
    std::fs::write(&path, format!("bootstrap.servers = {bootstrap}\n# in short\ncompression.type: gzip\nacks=1\n"))
        .unwrap();
    let config = path.to_str().unwrap();

    let ended = run(&["produce", "--topic", "t", "--json", "--config", config], "again ".repeat(100).as_bytes());
    assert_eq!((ended.status, ended.account()), (Some(0), [1, 1, 0, 0]), "{ended:?}");
    let ended =
        run(&["produce", "--topic", "t", "--json", "--config", config, "-X", "compression.type=none"], b"not\n");
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let codecs: Vec<_> = cluster
        .log("t", milena_wire::PartitionId(0))
        .iter()
        .map(|batch| batch.header().attributes.codec().unwrap().to_string())
        .collect();
    assert_eq!(codecs, ["gzip", "none"]);

    std::fs::write(&path, "compresion.type=gzip\n").unwrap();
    refused(&["produce", "--topic", "t", "--bootstrap", &bootstrap, "--config", config], "compression.type");
    refused(&["produce", "--topic", "t", "--bootstrap", &bootstrap, "--config", "/no/such/file"], "/no/such/file");
}

#[test]
fn a_property_without_effect_is_accepted_with_the_reason() {
    let ended = run(&["produce", "--topic", "t", "--embedded", "--json", "-X", "client.rack=r1"], b"one\n");
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("client.rack has no effect"), "{ended:?}");
    assert!(!ended.stderr.contains("idempotence"), "{ended:?}");
}

#[test]
fn acks_that_give_up_idempotence_say_so_unless_that_is_meant() {
    for (acks, meant, warned) in
        [("1", "", true), ("0", "", true), ("1", "enable.idempotence=false", false), ("all", "", false)]
    {
        let acks = format!("acks={acks}");
        let mut args = vec!["produce", "--topic", "t", "--embedded", "--json", "-X", &acks];
        if !meant.is_empty() {
            args.extend(["-X", meant]);
        }
        let ended = run(&args, b"one\n");
        assert_eq!(
            (ended.status, ended.stderr.contains("gives up idempotence")),
            (Some(0), warned),
            "{args:?} {ended:?}"
        );
    }
}

#[test]
fn what_failed_in_an_earlier_run_stays_if_this_one_does_not_begin() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("failed.txt");
    std::fs::write(&path, "precious\n").unwrap();
    let failed = path.to_str().unwrap();
    let contradiction = ["-X", "delivery.timeout.ms=1"];
    let args = ["produce", "--topic", "t", "--embedded", "--failed", failed];
    refused(&[&args[..], &contradiction].concat(), "delivery.timeout.ms");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious\n");
    assert_eq!(run(&args, b"a line\n").status, Some(0));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
}

#[test]
fn the_input_is_not_overwritten_by_its_own_failed_lines() {
    let cluster = cluster();
    cluster.create_topic("t", 1, 1).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lines.txt");
    std::fs::write(&path, "precious\n").unwrap();
    let path = path.to_str().unwrap();
    refused(&["produce", "--topic", "t", "--bootstrap", &cluster.bootstrap(), "--failed", path, path], "at once");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "precious\n");
    assert!(records(&cluster, "t").is_empty());
}
