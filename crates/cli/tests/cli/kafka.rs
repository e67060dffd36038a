//! A real Kafka that `scripts/test-kafka` started, through its own tools.

use std::path::Path;
use std::process::Command;

/// What `scripts/kafka` prints.
pub(crate) fn script(args: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/kafka");
    let output = Command::new(script).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn bootstrap() -> String {
    script(&["bootstrap"]).trim().to_owned()
}

/// The values of a partition, by Kafka's consumer. It ends after as many as there are; the timeout only bounds what goes wrong.
pub(crate) fn consumed(topic: &str, partition: usize) -> Vec<String> {
    let (bootstrap, partition) = (bootstrap(), partition.to_string());
    let place = ["--bootstrap-server", &bootstrap, "--topic", topic];
    let offsets = ["tool", "org.apache.kafka.tools.GetOffsetShell"];
    let printed = script(&[&offsets[..], &place, &["--partitions", &partition]].concat());
    // "topic:partition:offset"
    let count = printed.trim().rsplit(':').next().unwrap();
    if count.parse::<u64>().expect("an offset") == 0 {
        return Vec::new();
    }
    let consume = ["tool", "org.apache.kafka.tools.consumer.ConsoleConsumer"];
    let what = ["--partition", &partition, "--offset", "earliest", "--max-messages", count, "--timeout-ms", "60000"];
    let values: Vec<String> = script(&[&consume[..], &place, &what].concat()).lines().map(ToOwned::to_owned).collect();
    assert_eq!(values.len().to_string(), count, "the consumer showed another number of records than there are");
    values
}
