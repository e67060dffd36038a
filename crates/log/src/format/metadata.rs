use milena_wire::TopicId;

/// Name of the file in a partition's folder that holds the topic's id.
pub const PARTITION_METADATA: &str = "partition.metadata";

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The content of [`PARTITION_METADATA`], as Kafka writes it: the id in URL-safe base 64 without padding.
#[must_use]
pub fn encode_partition_metadata(id: TopicId) -> String {
    let bits = u128::from_be_bytes(id.0);
    // 128 bits are 21 digits of six bits and one of two, padded with four zero bits on the right.
    let digit = |i: u32| {
        let six = if i < 21 { bits >> (122 - 6 * i) } else { bits << 4 } & 63;
        char::from(DIGITS[usize::try_from(six).unwrap_or(0)])
    };
    let text: String = (0..22).map(digit).collect();
    format!("version: 0\ntopic_id: {text}\n")
}

/// The topic's id in the content of [`PARTITION_METADATA`]; `None` if there is none.
#[must_use]
pub fn decode_partition_metadata(content: &str) -> Option<TopicId> {
    let text = content.lines().find_map(|line| line.strip_prefix("topic_id: "))?.trim_end();
    if text.len() != 22 {
        return None;
    }
    let mut bits: u128 = 0;
    for (i, byte) in text.bytes().enumerate() {
        let six = DIGITS.iter().position(|digit| *digit == byte)? as u128;
        bits = if i < 21 { (bits << 6) | six } else { (bits << 2) | (six >> 4) };
    }
    Some(TopicId(bits.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_ids_are_written_as_kafka_writes_them() {
        // Uuid.METADATA_TOPIC_ID of Kafka, whose toString() is this.
        let mut one = [0; 16];
        one[15] = 1;
        assert_eq!(encode_partition_metadata(TopicId(one)), "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\n");
        for id in [[0xff; 16], [0; 16], *b"0123456789abcdef"] {
            assert_eq!(decode_partition_metadata(&encode_partition_metadata(TopicId(id))), Some(TopicId(id)));
        }
        assert_eq!(decode_partition_metadata("version: 0\n"), None);
        assert_eq!(decode_partition_metadata("topic_id: AAAA\n"), None);
    }
}
