//! Kafka's `DumpLogSegments`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Tools;
use crate::cluster::StoredBatch;

/// The batches of some partitions' folders.
pub(super) fn batches(tools: &Tools, folders: impl Iterator<Item = PathBuf>) -> Vec<StoredBatch> {
    let files: Vec<String> = folders.flat_map(|folder| segments(&folder)).collect();
    let class =
        if tools.at_least(4, 0) { "org.apache.kafka.tools.DumpLogSegments" } else { "kafka.tools.DumpLogSegments" };
    let mut batches = parse(&tools.run(class, &["--deep-iteration", "--files", &files.join(",")]));
    batches.sort_by_key(|batch| (batch.partition, batch.base_offset));
    batches
}

/// The segment files of one partition's folder, oldest first.
fn segments(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a partition has a folder");
    let mut files: Vec<String> = entries
        .map(|entry| entry.expect("a folder that can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .map(|path| path.to_str().expect("a plain path").to_owned())
        .collect();
    files.sort();
    files
}

fn parse(printed: &str) -> Vec<StoredBatch> {
    let mut partition = -1;
    let mut batches = Vec::new();
    for line in printed.lines() {
        if let Some(file) = line.strip_prefix("Dumping ") {
            let folder = Path::new(file).parent().and_then(Path::file_name).expect("a file in a folder");
            let name = folder.to_str().expect("a plain name");
            partition = name.rsplit('-').next().and_then(|index| index.parse().ok()).expect("topic-partition");
        } else if line.starts_with("baseOffset: ") {
            batches.push(batch(partition, line));
        } else {
            // It goes on to the next file after saying so, with exit status 0.
            assert!(!line.contains("orrupt") && !line.contains("invalid"), "DumpLogSegments complains: {line}");
        }
    }
    batches
}

/// `baseOffset: 0 lastOffset: 1 count: 2 baseSequence: 0 … compresscodec: none crc: 3885293068 isvalid: true`
fn batch(partition: i32, line: &str) -> StoredBatch {
    let words: Vec<&str> = line.split_whitespace().collect();
    let fields: HashMap<&str, &str> =
        words.chunks(2).filter_map(|pair| Some((pair[0].trim_end_matches(':'), *pair.get(1)?))).collect();
    fn number<T: std::str::FromStr>(fields: &HashMap<&str, &str>, name: &str) -> T {
        let text = fields.get(name).unwrap_or_else(|| panic!("no {name} in the dump"));
        text.parse().unwrap_or_else(|_| panic!("{name} is {text}"))
    }
    let count: i32 = number(&fields, "count");
    let (base, last): (i64, i64) = (number(&fields, "baseOffset"), number(&fields, "lastOffset"));
    assert_eq!(last - base, i64::from(count) - 1, "a batch with holes: {line}");
    StoredBatch {
        partition,
        base_offset: base,
        count,
        producer_id: number(&fields, "producerId"),
        producer_epoch: number(&fields, "producerEpoch"),
        base_sequence: number(&fields, "baseSequence"),
        codec: fields["compresscodec"].to_owned(),
        valid: fields["isvalid"] == "true",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_line_of_the_dump_is_read() {
        let printed = "Dumping /x/data/my-topic-7/00000000000000000000.log\nLog starting offset: 0\n\
            baseOffset: 4 lastOffset: 5 count: 2 baseSequence: 10 lastSequence: 11 producerId: 9 producerEpoch: 3 \
            partitionLeaderEpoch: 0 isTransactional: false isControl: false deleteHorizonMs: OptionalLong.empty position: 0 \
            CreateTime: 1795226978381 size: 109 magic: 2 compresscodec: lz4 crc: 3885293068 isvalid: true\n\
            | offset: 4 CreateTime: 1795226978381 keySize: 2 valueSize: -1 sequence: 10 headerKeys: [a,b,a]";
        let expected = StoredBatch {
            partition: 7,
            base_offset: 4,
            count: 2,
            producer_id: 9,
            producer_epoch: 3,
            base_sequence: 10,
            codec: "lz4".to_owned(),
            valid: true,
        };
        assert_eq!(parse(printed), [expected]);
    }
}
