//! What is said to consumers, topics and brokers, and turns up in files that producers read too.

use super::{Known, ignored, refused};

const CONSUMER_ONLY: &str = "it is for consumers";
const TOPIC: &str = "it is a topic's setting, which is made on the cluster and not in a client";

pub(super) static CONSUMER: &[Known] = &[
    ignored("group.id", CONSUMER_ONLY),
    ignored("group.instance.id", CONSUMER_ONLY),
    ignored("group.protocol", CONSUMER_ONLY),
    ignored("group.protocol.type", CONSUMER_ONLY),
    ignored("group.remote.assignor", CONSUMER_ONLY),
    ignored("partition.assignment.strategy", CONSUMER_ONLY),
    ignored("session.timeout.ms", CONSUMER_ONLY),
    ignored("heartbeat.interval.ms", CONSUMER_ONLY),
    ignored("coordinator.query.interval.ms", CONSUMER_ONLY),
    ignored("max.poll.interval.ms", CONSUMER_ONLY),
    ignored("max.poll.records", CONSUMER_ONLY),
    ignored("enable.auto.commit", CONSUMER_ONLY),
    ignored("auto.commit.enable", CONSUMER_ONLY),
    ignored("auto.commit.interval.ms", CONSUMER_ONLY),
    ignored("enable.auto.offset.store", CONSUMER_ONLY),
    ignored("auto.offset.reset", CONSUMER_ONLY),
    ignored("queued.min.messages", CONSUMER_ONLY),
    ignored("queued.max.messages.kbytes", CONSUMER_ONLY),
    ignored("fetch.wait.max.ms", CONSUMER_ONLY),
    ignored("fetch.max.wait.ms", CONSUMER_ONLY),
    ignored("fetch.queue.backoff.ms", CONSUMER_ONLY),
    ignored("fetch.message.max.bytes", CONSUMER_ONLY),
    ignored("max.partition.fetch.bytes", CONSUMER_ONLY),
    ignored("fetch.max.bytes", CONSUMER_ONLY),
    ignored("fetch.min.bytes", CONSUMER_ONLY),
    ignored("fetch.error.backoff.ms", CONSUMER_ONLY),
    ignored("offset.store.method", CONSUMER_ONLY),
    ignored("offset.store.path", CONSUMER_ONLY),
    ignored("offset.store.sync.interval.ms", CONSUMER_ONLY),
    ignored("isolation.level", CONSUMER_ONLY),
    ignored("enable.partition.eof", CONSUMER_ONLY),
    ignored("check.crcs", CONSUMER_ONLY),
    ignored("consume.callback.max.messages", CONSUMER_ONLY),
    ignored("key.deserializer", CONSUMER_ONLY),
    ignored("value.deserializer", CONSUMER_ONLY),
    ignored("exclude.internal.topics", CONSUMER_ONLY),
    ignored("default.api.timeout.ms", CONSUMER_ONLY),
    ignored("share.acknowledgement.mode", CONSUMER_ONLY),
    ignored("share.acquire.mode", CONSUMER_ONLY),
];

pub(super) static NOT_FOR_CLIENTS: &[Known] = &[
    refused("min.insync.replicas", TOPIC),
    refused("max.message.bytes", TOPIC),
    refused("message.timestamp.type", TOPIC),
    refused("cleanup.policy", TOPIC),
    refused("retention.ms", TOPIC),
    refused("retention.bytes", TOPIC),
    refused("segment.bytes", TOPIC),
    refused("replication.factor", TOPIC),
    refused("num.partitions", TOPIC),
    refused("listeners", "it is a broker's setting"),
    refused("advertised.listeners", "it is a broker's setting"),
];
