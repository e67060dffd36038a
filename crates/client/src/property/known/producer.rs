//! What a producer may be told.

use milena_wire::Codec;

use super::{Known, applied, ignored, only, refused};
use crate::property::draft::Draft;
use crate::property::settings::{Acks, OnRefusedIdentity, Partitioner, SpoolFsync};
use crate::property::value::{Wrong, boolean, millis, millis_from, millis_with_fraction, size, whole};

const INT_MAX: u32 = i32::MAX.unsigned_abs();
const NO_TRANSACTIONS: &str = "transactions are not in this build yet";

pub(super) static PRODUCER: &[Known] = &[
    applied("acks", "all", acks)
        .alias(&["request.required.acks"])
        .note("`all` (or `-1`), `1` or `0`. Anything but `all` gives up idempotence, with a warning unless `enable.idempotence=false` is given, too"),
    applied("enable.idempotence", "true", |draft, value| {
        draft.settings.producer.enable_idempotence = Some(boolean(value)?);
        Ok(())
    })
    .note("no duplicates, and order kept across retries; needs `acks=all`"),
    applied("linger.ms", "5", |draft, value| {
        draft.settings.producer.linger = Some(millis_with_fraction(value)?);
        Ok(())
    })
    .alias(&["queue.buffering.max.ms"])
    .note("longest a record waits for others; may have a fraction"),
    applied("batch.size", "262144", |draft, value| {
        draft.settings.producer.batch_size = Some(size(value, 0, INT_MAX)?);
        Ok(())
    })
    .note("bytes of one batch, its header included, before compression; a larger record gets a batch of its own"),
    applied("buffer.memory", "33554432", |draft, value| {
        let bytes = usize::try_from(whole(value, 0, i64::MAX)?);
        draft.settings.producer.buffer_memory = Some(bytes.map_err(|_| Wrong::new("is more than this machine can hold"))?);
        Ok(())
    })
    .note("bytes held for records that have no outcome yet"),
    applied("queue.buffering.max.kbytes", "32768", |draft, value| {
        draft.settings.producer.buffer_memory = size(value, 1, INT_MAX)?.checked_mul(1024);
        draft.settings.producer.buffer_memory.map(drop).ok_or_else(|| Wrong::new("is more than this machine can hold"))
    })
    .sets("buffer.memory")
    .note("`buffer.memory` in units of 1024 bytes"),
    applied("max.request.size", "1048576 a record, 8388608 a request", |draft, value| {
        draft.settings.producer.max_request_size = Some(size(value, 0, INT_MAX)?);
        Ok(())
    })
    .alias(&["message.max.bytes"])
    .note("largest record and largest request, in bytes before compression; sets both, which are set apart in code"),
    applied("max.block.ms", "60000", |draft, value| {
        draft.settings.producer.max_block = Some(millis(value)?);
        Ok(())
    })
    .note("longest wait for room in the buffer; the command `milena` waits for 24 h unless told otherwise"),
    applied("delivery.timeout.ms", "120000", |draft, value| {
        if value == "0" {
            return Err(Wrong::new("is no time at all to Java and without limit to librdkafka; here every record has a deadline")
                .hint("the longest is 2147483647"));
        }
        draft.settings.producer.delivery_timeout = Some(millis_from(value, 1)?);
        Ok(())
    })
    .alias(&["message.timeout.ms"])
    .note("every record has its outcome by then; at least `linger.ms` + `request.timeout.ms`"),
    applied("retries", "2147483647", |draft, value| {
        let retries = whole(value, 0, i64::from(INT_MAX))?;
        draft.settings.producer.retries = u32::try_from(retries).ok();
        Ok(())
    })
    .alias(&["message.send.max.retries"])
    .note("`delivery.timeout.ms` is the better bound"),
    applied("max.in.flight.requests.per.connection", "5", |draft, value| {
        draft.settings.producer.max_in_flight = Some(size(value, 1, INT_MAX)?);
        Ok(())
    })
    .alias(&["max.in.flight"])
    .note("unanswered requests per broker; unanswered batches per partition are bounded apart from it"),
    applied("compression.type", "none", |draft, value| {
        let codec = value.to_ascii_lowercase().parse::<Codec>().map_err(|_| {
            Wrong::new("is no codec").hint("there are none, gzip, snappy, lz4 and zstd")
        })?;
        draft.set_codec(codec);
        Ok(())
    })
    .alias(&["compression.codec"])
    .note("`none`, `gzip`, `snappy`, `lz4` or `zstd`"),
    applied("compression.gzip.level", "-1", |draft, value| level(draft, Some(Codec::Gzip), value))
        .note("1 to 9, or -1 for zlib's own default; counts with `compression.type=gzip` alone"),
    applied("compression.lz4.level", "9", |draft, value| level(draft, Some(Codec::Lz4), value))
        .note("9 alone, which is Kafka's name for the fast compressor: lz4_flex has no other"),
    applied("compression.zstd.level", "3", |draft, value| level(draft, Some(Codec::Zstd), value))
        .note("-131072 to 22; counts with `compression.type=zstd` alone"),
    applied("compression.level", "-1", |draft, value| level(draft, None, value))
        .note("librdkafka's: for whichever codec is chosen; -1 for its default"),
    applied("partitioner.class", "murmur2 of the key, sticky without one", partitioner_class)
        .note("Java's `RoundRobinPartitioner`, `DefaultPartitioner` and `UniformStickyPartitioner` have a counterpart; other classes cannot be loaded"),
    applied("partitioner", "`murmur2_random`", partitioner)
        .sets("partitioner.class")
        .note("librdkafka's names; its own default is `consistent_random`, sarama's is `fnv1a_random`"),
    applied("partitioner.ignore.keys", "false", |draft, value| {
        draft.set_ignore_keys(boolean(value)?);
        Ok(())
    })
    .note("records with a key are spread like those without; counts with the built-in partitioner alone"),
    applied("partitioner.adaptive.partitioning.enable", "true", |draft, value| {
        draft.settings.producer.adaptive = Some(boolean(value)?);
        Ok(())
    })
    .note("records without a key prefer partitions with short queues (KIP-794)"),
    applied("sticky.partitioning.linger.ms", "", |draft, value| {
        if millis(value)?.is_zero() {
            return Err(Wrong::new("asks for a new partition for each record without a key")
                .hint("set partitioner=random if that is meant; it ignores keys as well"));
        }
        draft.ignore("records without a key change partition by bytes and not by time");
        Ok(())
    })
    .note("accepted without effect, as partitions change by bytes and not by time; 0 is refused, because stickiness cannot be left off"),
    applied("topic.metadata.propagation.max.ms", "10000", |draft, value| {
        draft.settings.producer.unknown_topic_grace = Some(millis(value)?);
        Ok(())
    })
    .note("how long records wait for a topic that the cluster does not know"),
    applied("milena.refused.identity", "`wait`", refused_identity)
        .note("milena's own: what becomes of waiting records when brokers or the token endpoint refuse who the producer is, or brokers cannot prove who they are: `wait` until delivery.timeout.ms, `fail` at once, or `fail-at-start`: at once as long as no broker has ever accepted it, which is what the command `milena` does unless told otherwise"),
    applied("milena.dead.letter.topic", "", |draft, value| {
        if value.is_empty() {
            return Err(Wrong::new("names no topic").hint("leave it out if failed records are to go nowhere"));
        }
        draft.settings.producer.dead_letter_topic = Some(value.to_owned());
        Ok(())
    })
    .note("milena's own: failed records are produced to this topic, with the reason in headers"),
    applied("milena.spool.dir", "", |draft, value| {
        if value.is_empty() {
            return Err(Wrong::new("names no folder").hint("leave it out if nothing is to be kept on disk"));
        }
        draft.settings.producer.spool.dir = Some(value.into());
        Ok(())
    })
    .note("milena's own: records that cannot be delivered are kept in this folder, and sent when the cluster is back"),
    applied("milena.spool.max.bytes", "1073741824", |draft, value| {
        draft.settings.producer.spool.max_bytes = Some(whole(value, 1, i64::MAX)?.unsigned_abs());
        Ok(())
    })
    .note("most bytes in the spool; what comes then fails as it would without one"),
    applied("milena.spool.fsync", "always", spool_fsync)
        .note("`always`, `never`, or the milliseconds from one to the next: when what is kept survives a crash of the machine"),
    applied("milena.spool.accept.duplicates", "false", |draft, value| {
        draft.settings.producer.spool.accept_duplicates = Some(boolean(value)?);
        Ok(())
    })
    .note("whether also that is sent which may be written already and cannot be resolved"),
    applied("milena.spool.broker.memory.ms", "82800000", |draft, value| {
        draft.settings.producer.spool.broker_memory = Some(millis(value)?);
        Ok(())
    })
    .note("how long brokers certainly remember a silent producer: less than their `producer.id.expiration.ms`"),
    ignored("partitioner.availability.timeout.ms", "adaptive partitioning goes by the length of queues alone"),
    only("partitioner.rack.aware", &["false"], "there is no partitioner that knows racks (KIP-1123)"),
    only("transaction.two.phase.commit.enable", &["false"], NO_TRANSACTIONS),
    refused("transactional.id", NO_TRANSACTIONS),
    ignored("transaction.timeout.ms", "it counts with transactional.id alone"),
    ignored("batch.num.messages", "batches are bounded by bytes (batch.size) and not by a number of records"),
    ignored("queue.buffering.max.messages", "the buffer is bounded by bytes (buffer.memory) and not by a number of records"),
    ignored("queue.buffering.backpressure.threshold", "batches always grow while a connection has unsent requests"),
    only("enable.gapless.guarantee", &["false"], "a failed record never stops the producer; its outcome tells whether it was written"),
    only("queuing.strategy", &["fifo"], "records are sent in the order in which they were enqueued"),
    ignored("produce.offset.report", "every delivered record has its offset, if the broker told it"),
    ignored("delivery.report.only.error", "every record has an outcome; a program that does not look at successes pays nothing for them"),
    ignored("message.copy.max.bytes", "records are encoded once, into the batch that is sent"),
];

fn refused_identity(draft: &mut Draft, value: &str) -> Result<(), Wrong> {
    draft.settings.producer.refused_identity = Some(match value.to_ascii_lowercase().as_str() {
        "wait" => OnRefusedIdentity::Wait,
        "fail-at-start" => OnRefusedIdentity::FailAtStart,
        "fail" => OnRefusedIdentity::Fail,
        _ => return Err(Wrong::new("is not wait, fail-at-start or fail")),
    });
    Ok(())
}

fn acks(draft: &mut Draft, value: &str) -> Result<(), Wrong> {
    draft.settings.producer.acks = Some(match value.to_ascii_lowercase().as_str() {
        "all" | "-1" => Acks::All,
        "1" => Acks::Leader,
        "0" => Acks::None,
        _ => {
            return Err(Wrong::new("is not all, -1, 1 or 0")
                .hint("how many replicas must have a batch is the topic's min.insync.replicas, with acks=all"));
        }
    });
    Ok(())
}

fn spool_fsync(draft: &mut Draft, value: &str) -> Result<(), Wrong> {
    draft.settings.producer.spool.fsync = Some(match value.to_ascii_lowercase().as_str() {
        "always" => SpoolFsync::Always,
        "never" => SpoolFsync::Never,
        _ => SpoolFsync::Interval(
            millis_from(value, 1).map_err(|wrong| wrong.hint("it is always, never, or milliseconds"))?,
        ),
    });
    Ok(())
}

fn level(draft: &mut Draft, codec: Option<Codec>, value: &str) -> Result<(), Wrong> {
    let level = whole(value, i64::from(i32::MIN), i64::from(i32::MAX))?;
    let level = i32::try_from(level).map_err(|_| Wrong::new("is no level of any codec"))?;
    draft.set_level(codec, level);
    Ok(())
}

fn partitioner(draft: &mut Draft, value: &str) -> Result<(), Wrong> {
    draft.settings.producer.partitioner = Some(match value {
        "random" => Partitioner::Random,
        "consistent" => Partitioner::Consistent,
        "consistent_random" => Partitioner::ConsistentRandom,
        "murmur2" => Partitioner::Murmur2,
        "murmur2_random" => Partitioner::Murmur2Random,
        "fnv1a" => Partitioner::Fnv1a,
        "fnv1a_random" => Partitioner::Fnv1aRandom,
        _ => {
            return Err(Wrong::new("is no partitioner of librdkafka").hint(
                "there are random, consistent, consistent_random, murmur2, murmur2_random, fnv1a and fnv1a_random",
            ));
        }
    });
    Ok(())
}

fn partitioner_class(draft: &mut Draft, value: &str) -> Result<(), Wrong> {
    match value.strip_prefix("org.apache.kafka.clients.producer.").unwrap_or(value) {
        "" | "null" | "internals.DefaultPartitioner" | "DefaultPartitioner" => {
            draft.settings.producer.partitioner = Some(Partitioner::Java);
        }
        "RoundRobinPartitioner" => draft.settings.producer.partitioner = Some(Partitioner::RoundRobin),
        "UniformStickyPartitioner" => draft.settings.producer.partitioner = Some(Partitioner::UniformSticky),
        _ => {
            return Err(Wrong::new("is a Java class, which cannot be loaded here")
                .hint("give the producer a partitioner of your own in code"));
        }
    }
    Ok(())
}
