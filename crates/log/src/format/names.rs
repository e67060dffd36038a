use milena_wire::{Offset, PartitionId, TopicName};

/// What a file of a segment holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FileKind {
    /// The batches.
    Log,
    /// Offset to position.
    OffsetIndex,
    /// Timestamp to offset.
    TimeIndex,
}

impl FileKind {
    const ALL: [Self; 3] = [Self::Log, Self::OffsetIndex, Self::TimeIndex];

    const fn suffix(self) -> &'static str {
        match self {
            Self::Log => ".log",
            Self::OffsetIndex => ".index",
            Self::TimeIndex => ".timeindex",
        }
    }
}

/// Name of a segment's file: the offset of its first record in twenty digits, and a suffix.
#[must_use]
pub fn segment_name(base: Offset, kind: FileKind) -> String {
    format!("{:020}{}", base.0, kind.suffix())
}

/// The base offset and kind in a file's name; `None` if it is no segment's.
#[must_use]
pub fn parse_segment_name(name: &str) -> Option<(Offset, FileKind)> {
    let (kind, digits) = FileKind::ALL.iter().find_map(|kind| Some((*kind, name.strip_suffix(kind.suffix())?)))?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten().map(|base| (Offset(base), kind))
}

/// Name of a partition's folder.
#[must_use]
pub fn partition_dir(topic: &str, partition: PartitionId) -> String {
    format!("{topic}-{partition}")
}

/// Topic and partition in a folder's name; `None` for a folder that is no partition's, such as one being deleted.
#[must_use]
pub fn parse_partition_dir(name: &str) -> Option<(TopicName, PartitionId)> {
    let (topic, digits) = name.rsplit_once('-')?; // topics may hold dashes themselves
    let canonical = digits == "0" || (digits.starts_with(|c: char| ('1'..='9').contains(&c)));
    let partition: i32 = digits.parse().ok().filter(|p| *p >= 0 && canonical)?;
    (!topic.is_empty()).then(|| (TopicName::new(topic), PartitionId(partition)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_names_round_trip_and_others_are_refused() {
        assert_eq!(segment_name(Offset(42), FileKind::Log), "00000000000000000042.log");
        for kind in FileKind::ALL {
            let name = segment_name(Offset(i64::MAX), kind);
            assert_eq!(parse_segment_name(&name), Some((Offset(i64::MAX), kind)));
        }
        for other in ["42.log", "partition.metadata", "0000000000000000000x.log", "99999999999999999999.log", ".log"] {
            assert_eq!(parse_segment_name(other), None, "{other}");
        }
    }

    #[test]
    fn partition_folders_round_trip_although_topics_hold_dashes() {
        assert_eq!(partition_dir("a-b", PartitionId(12)), "a-b-12");
        assert_eq!(parse_partition_dir("a-b-12"), Some((TopicName::new("a-b"), PartitionId(12))));
        for other in ["a", "-1", "a-", "a-x", "a-01", "a-+1", "a-99999999999", "t-0.3f2a-delete"] {
            assert_eq!(parse_partition_dir(other), None, "{other}");
        }
    }
}
