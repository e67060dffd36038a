//! The settings of the pages on SASL, through the command, against a real Kafka that `scripts/test-kafka sasl` starts; Kafka's own consumer is the judge.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[allow(dead_code, reason = "what the tests of the command need beyond this")]
#[path = "cli/pages.rs"]
mod pages;

#[path = "cli/kafka.rs"]
mod kafka;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kafka::{bootstrap, consumed, script};
use pages::{SASL, config};

/// The listener with SASL and TLS is that many ports higher than the plain one.
const SASL_SSL: u16 = 50;

fn higher(bootstrap: &str, by: u16) -> String {
    let one = |address: &str| {
        let (host, port) = address.rsplit_once(':').unwrap();
        format!("{host}:{}", port.parse::<u16>().unwrap() + by)
    };
    bootstrap.split(',').map(one).collect::<Vec<_>>().join(",")
}

fn ca() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tls/tests/fixtures/ca.pem")
}

#[test]
fn the_settings_of_each_page_deliver_to_kafka() {
    const LINES: usize = 500;
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let bootstrap = bootstrap();
    let partitions = SASL.len().to_string();
    let create = ["tool", "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", &bootstrap, "--create"];
    script(
        &[&create[..], &["--topic", "open-pages", "--partitions", &partitions, "--replication-factor", "3"]].concat(),
    );

    let module = "org.apache.kafka.common.security.scram.ScramLoginModule";
    let alice = format!(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-256\n\
         sasl.jaas.config={module} required username=\"alice\" password=\"alice-secret\";\n"
    );
    let (alice, sasl) = (write("alice", &alice), higher(&bootstrap, 40));
    let create = ["tool", "org.apache.kafka.tools.DelegationTokenCommand", "--bootstrap-server", &sasl, "--create"];
    let token = script(&[&create[..], &["--max-life-time-period", "-1", "--command-config", &alice]].concat());
    let mut cells = token.lines().find(|line| line.contains("User:alice")).unwrap().split_whitespace();
    let (id, hmac) = (cells.next().unwrap(), cells.next().unwrap());
    // {"alg":"none"}, {"sub":"alice","iat":1700000000,"exp":4102444800}
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjo0MTAyNDQ0ODAwfQ.";

    let put_in = [
        ("kafka-1:9094", higher(&bootstrap, SASL_SSL)),
        ("/etc/kafka/ca.pem", ca().to_str().unwrap().to_owned()),
        ("/run/secrets/kafka", write("password", "alice-secret\n")),
        ("/run/secrets/token", write("token", unsigned)),
        ("/run/secrets/hmac", write("hmac", hmac)),
        ("ADaVX24qR4q1sS9te-aQ3g", id.to_owned()),
    ];
    let put_in: Vec<(&str, &str)> = put_in.iter().map(|(example, real)| (*example, real.as_str())).collect();
    for (partition, page) in SASL.iter().enumerate() {
        let lines: String = (0..LINES).map(|line| format!("{page} {line}\n")).collect();
        let mut child = Command::new(env!("CARGO_BIN_EXE_milena"))
            .args(["produce", "--topic", "open-pages", "--partition", &partition.to_string()])
            .args(["--config", &config(page, dir.path(), &put_in)])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{page}: {ended:?}");
    }

    for (partition, page) in SASL.iter().enumerate() {
        let expected: Vec<String> = (0..LINES).map(|line| format!("{page} {line}")).collect();
        assert_eq!(consumed("open-pages", partition), expected, "{page}: once and in order");
    }
}
