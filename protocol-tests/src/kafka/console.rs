//! Kafka's `ConsoleConsumer`.

use std::collections::BTreeMap;

use super::Tools;
use crate::account::{Content, Stored};

/// Stands for null; suites send no such bytes, and neither tabs, line ends nor, in headers, commas and colons.
const NULL: &str = "<null>";

/// A whole topic, by a consumer group.
pub(super) fn read(tools: &Tools, bootstrap: &str, topic: &str) -> Vec<Stored> {
    let count = end_offsets(tools, bootstrap, topic).values().sum();
    if count == 0 {
        return Vec::new();
    }
    let mut log = consume(tools, bootstrap, topic, count, &["--from-beginning"]);
    log.sort_by_key(|stored| (stored.partition, stored.offset));
    log
}

/// One partition's first records, without a group.
pub(super) fn read_partition(tools: &Tools, bootstrap: &str, topic: &str, partition: i32, count: i64) -> Vec<Stored> {
    if count == 0 {
        return Vec::new();
    }
    let partition = partition.to_string();
    consume(tools, bootstrap, topic, count, &["--partition", &partition, "--offset", "earliest"])
}

fn consume(tools: &Tools, bootstrap: &str, topic: &str, count: i64, place: &[&str]) -> Vec<Stored> {
    let count = count.to_string();
    // It ends after as many records as there are, duplicates included; the timeout only bounds what goes wrong.
    let mut args = vec!["--bootstrap-server", bootstrap, "--topic", topic];
    args.extend(place);
    args.extend(["--max-messages", &count, "--timeout-ms", "60000"]);
    let property = if tools.at_least(4, 2) { "--formatter-property" } else { "--property" };
    let null = format!("null.literal={NULL}");
    let shown = ["print.timestamp", "print.partition", "print.offset", "print.headers", "print.key", "print.value"];
    let shown = shown.map(|what| format!("{what}=true"));
    for what in shown.iter().chain([&null]) {
        args.extend([property, what]);
    }
    let printed = tools.run("org.apache.kafka.tools.consumer.ConsoleConsumer", &args);
    let log: Vec<Stored> = printed.lines().filter_map(parse).collect();
    assert_eq!(log.len().to_string(), count, "the consumer showed another number of records than there are");
    log
}

fn end_offsets(tools: &Tools, bootstrap: &str, topic: &str) -> BTreeMap<i32, i64> {
    let printed =
        tools.run("org.apache.kafka.tools.GetOffsetShell", &["--bootstrap-server", bootstrap, "--topic", topic]);
    let end = |line: &str| {
        // "topic:partition:offset"
        let mut words = line.rsplit(':');
        let offset = words.next()?.parse().ok()?;
        let partition = words.next()?.parse().ok()?;
        Some((partition, offset))
    };
    printed.lines().filter_map(end).collect()
}

/// `CreateTime:1700000000123\tPartition:2\tOffset:0\ta:1,b:2\tkey\tvalue`, with `NO_HEADERS` where there are none.
fn parse(line: &str) -> Option<Stored> {
    let mut fields = line.split('\t');
    let timestamp = fields.next()?.strip_prefix("CreateTime:")?;
    let mut field = || fields.next().unwrap_or_else(|| panic!("a line with fewer fields than asked for: {line}"));
    let partition = field().strip_prefix("Partition:").expect("a partition");
    let offset = field().strip_prefix("Offset:").expect("an offset");
    let headers = match field() {
        "NO_HEADERS" => Vec::new(),
        headers => headers.split(',').map(header).collect(),
    };
    let content = Content { headers, key: nullable(field()), value: nullable(field()) };
    Some(Stored {
        partition: partition.parse().expect("a partition"),
        offset: offset.parse().expect("an offset"),
        timestamp: timestamp.parse().expect("a timestamp"),
        content,
    })
}

fn header(text: &str) -> (String, Option<Vec<u8>>) {
    let (name, value) = text.split_once(':').expect("name:value");
    (name.to_owned(), nullable(value))
}

fn nullable(text: &str) -> Option<Vec<u8>> {
    (text != NULL).then(|| text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_consumer_is_read_with_nulls_and_headers() {
        let bytes = |text: &str| Some(text.as_bytes().to_vec());
        let stored = parse("CreateTime:1795226978381\tPartition:1\tOffset:7\ta:1,b:,a:<null>\t<null>\tgrüße").unwrap();
        let headers = vec![("a".to_owned(), bytes("1")), ("b".to_owned(), bytes("")), ("a".to_owned(), None)];
        let content = Content { key: None, value: bytes("grüße"), headers };
        assert_eq!(stored, Stored { partition: 1, offset: 7, timestamp: 1_795_226_978_381, content });
        let plain = parse("CreateTime:1\tPartition:0\tOffset:0\tNO_HEADERS\tk\t<null>").unwrap();
        assert_eq!(plain.content, Content { key: bytes("k"), value: None, headers: Vec::new() });
    }

    #[test]
    fn lines_that_are_no_records_are_passed_over() {
        assert_eq!(parse("Processed a total of 4 messages"), None);
    }
}
