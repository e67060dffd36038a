//! What any client may be told, and what has no counterpart here.

use std::time::Duration;

use super::{Known, applied, ignored, only, refused};
use crate::bootstrap::bootstrap_list;
use crate::property::value::{Wrong, boolean, millis, millis_from, size, whole};

const INT_MAX: u32 = i32::MAX.unsigned_abs();

pub(super) static CLIENT: &[Known] = &[
    applied("bootstrap.servers", "", |draft, value| {
        let servers = bootstrap_list(value).map_err(|error| Wrong::new(format!("cannot be read: {error}")))?;
        draft.settings.client.bootstrap = Some(servers);
        Ok(())
    })
    .alias(&["metadata.broker.list"])
    .note("`host:port` of some brokers, separated by commas; required"),
    applied("client.id", "milena", |draft, value| {
        if i16::try_from(value.len()).is_err() {
            return Err(Wrong::new("is longer than the 32767 bytes that a request can carry"));
        }
        draft.settings.client.client_id = Some(value.to_owned());
        Ok(())
    })
    .note("named in every request, in the brokers' logs and quotas"),
    applied("request.timeout.ms", "30000", |draft, value| {
        draft.settings.client.request_timeout = Some(millis_from(value, 1)?);
        Ok(())
    })
    .note("longest wait for an answer; a broker waits as long for its replicas"),
    applied("socket.timeout.ms", "", |draft, value| {
        let timeout = millis_from(value, 1)?;
        draft.set_socket_timeout(timeout);
        Ok(())
    })
    .note("librdkafka's wait for an answer: stands for `request.timeout.ms` where that is not set"),
    applied("retry.backoff.ms", "100", |draft, value| {
        draft.settings.client.retry_backoff = Some(millis(value)?);
        Ok(())
    })
    .note("wait before a retry; doubles, ±20 %; a tenth of it before a batch's first one"),
    applied("retry.backoff.max.ms", "1000", |draft, value| {
        draft.settings.client.retry_backoff_max = Some(millis(value)?);
        Ok(())
    })
    .note("longest wait before a retry"),
    applied("reconnect.backoff.ms", "50", |draft, value| {
        draft.settings.client.reconnect_backoff = Some(millis(value)?);
        Ok(())
    })
    .note("wait before a broker is connected to again; doubles, ±20 %"),
    applied("reconnect.backoff.max.ms", "1000, or `reconnect.backoff.ms` if that is set", |draft, value| {
        draft.settings.client.reconnect_backoff_max = Some(millis(value)?);
        Ok(())
    })
    .note("longest wait before a broker is connected to again"),
    applied("socket.connection.setup.timeout.ms", "10000", |draft, value| {
        draft.settings.client.connect_timeout = Some(millis_from(value, 1)?);
        Ok(())
    })
    .note("longest time for a connection to become usable; doubles (KIP-601)"),
    applied("socket.connection.setup.timeout.max.ms", "30000", |draft, value| {
        draft.settings.client.connect_timeout_max = Some(millis_from(value, 1)?);
        Ok(())
    })
    .note("what that time grows to"),
    applied("connections.max.idle.ms", "540000", |draft, value| {
        draft.settings.client.idle_timeout = Some(match whole(value, i64::from(i32::MIN), i64::from(i32::MAX))? {
            ..0 => Duration::MAX,
            0 => {
                return Err(Wrong::new("is at once to Java and never to librdkafka").hint("-1 is never"));
            }
            _ => millis(value)?,
        });
        Ok(())
    })
    .note("an unused connection is closed after that long; negative for never"),
    applied("metadata.max.age.ms", "300000", |draft, value| {
        let age = millis_from(value, 1)?;
        draft.bound_metadata_age(age);
        Ok(())
    })
    .note("metadata is asked for again after that long without a reason"),
    applied("topic.metadata.refresh.interval.ms", "", |draft, value| {
        if value == "-1" {
            return Err(Wrong::new("would never look for changes in the cluster").hint("the longest is 2147483647"));
        }
        let age = millis_from(value, 1)?;
        draft.bound_metadata_age(age);
        Ok(())
    })
    .note("librdkafka's name for `metadata.max.age.ms`; of the two the shorter one counts"),
    applied("metadata.max.idle.ms", "300000", |draft, value| {
        draft.settings.client.metadata_max_idle = Some(millis_from(value, 5000)?);
        Ok(())
    })
    .note("a topic not used for that long is forgotten; at least 5000"),
    applied("metadata.recovery.strategy", "rebootstrap", |draft, value| {
        draft.settings.client.rebootstrap = Some(match value.to_ascii_lowercase().as_str() {
            "rebootstrap" => true,
            "none" => false,
            _ => return Err(Wrong::new("is neither none nor rebootstrap")),
        });
        Ok(())
    })
    .note(
        "`rebootstrap` starts again from `bootstrap.servers` when no known broker answers (KIP-899); `none` does not",
    ),
    applied("metadata.recovery.rebootstrap.trigger.ms", "300000", |draft, value| {
        draft.settings.client.rebootstrap_trigger = Some(millis(value)?);
        Ok(())
    })
    .note("how long no metadata arrives before that (KIP-1102)"),
    applied("allow.auto.create.topics", "true", |draft, value| {
        draft.settings.client.auto_create_topics = Some(boolean(value)?);
        Ok(())
    })
    .note("whether asking for a topic may create it, where the broker allows it"),
    applied("send.buffer.bytes", "-1", |draft, value| {
        draft.settings.client.send_buffer = buffer(value)?;
        Ok(())
    })
    .alias(&["socket.send.buffer.bytes"])
    .note("the socket's send buffer; -1 or 0 leaves it to the system"),
    applied("receive.buffer.bytes", "-1", |draft, value| {
        draft.settings.client.receive_buffer = buffer(value)?;
        Ok(())
    })
    .alias(&["socket.receive.buffer.bytes"])
    .note("the socket's receive buffer; -1 or 0 leaves it to the system"),
    applied("socket.nagle.disable", "true", |draft, value| {
        draft.settings.client.nodelay = Some(boolean(value)?);
        Ok(())
    })
    .note("`TCP_NODELAY`"),
    applied("socket.keepalive.enable", "true", |draft, value| {
        draft.settings.client.keepalive = Some(boolean(value)?);
        Ok(())
    })
    .note("`SO_KEEPALIVE`"),
    applied("receive.message.max.bytes", "104857600", |draft, value| {
        draft.settings.client.max_frame = Some(size(value, 1000, INT_MAX)?);
        Ok(())
    })
    .note("largest answer taken from a broker"),
    only(
        "client.dns.lookup",
        &["use_all_dns_ips"],
        "all addresses of a name are tried; canonical names are for Kerberos alone, and the first address alone is less safe",
    ),
    ignored("client.rack", "it tells a consumer where to fetch from"),
];

fn buffer(value: &str) -> Result<Option<u32>, Wrong> {
    // -1 is Java's word for the system's choice and 0 librdkafka's.
    let bytes = whole(value, -1, i64::from(INT_MAX))?;
    Ok(u32::try_from(bytes).ok().filter(|bytes| *bytes > 0))
}

const BYTES: &str = "records are bytes here; a program turns its types into bytes itself";
const METRICS: &str = "counters are read from the producer (metrics()) and not reported by it";
const NO_CLASSES: &str = "a Java class cannot be loaded here";

pub(super) static JAVA_ONLY: &[Known] = &[
    ignored("key.serializer", BYTES),
    ignored("value.serializer", BYTES),
    ignored("metric.reporters", METRICS),
    ignored("auto.include.jmx.reporter", METRICS),
    ignored("metrics.num.samples", METRICS),
    ignored("metrics.sample.window.ms", METRICS),
    ignored("metrics.recording.level", METRICS),
    ignored("metrics.context.*", METRICS),
    ignored("enable.metrics.push", "no telemetry is pushed to brokers (KIP-714)"),
    ignored(
        "bootstrap.resolve.timeout.ms",
        "names are resolved again for as long as nothing answers; wait_ready() takes a deadline",
    ),
    only("metadata.cluster.check.enable", &["false"], "the cluster's identity is not checked"),
    only("interceptor.classes", &[""], NO_CLASSES),
    only("config.providers", &[""], "no provider is asked for values; there are `${env:NAME}` and `${file:PATH}`"),
    refused("config.providers.*", "no provider is asked for values; there are `${env:NAME}` and `${file:PATH}`"),
];

const CALLBACK: &str = "a callback is set in code and not by a property";
const LOGS: &str = "what is logged is for the program's tracing subscriber to filter";
const ALWAYS_NEGOTIATED: &str =
    "brokers are always asked which versions they speak; those older than 2.1 are not supported";

pub(super) static LIBRDKAFKA_ONLY: &[Known] = &[
    ignored("builtin.features", "it asks what librdkafka was built with"),
    ignored("debug", LOGS),
    ignored("log_level", LOGS),
    ignored("log.queue", LOGS),
    ignored("log.thread.name", LOGS),
    ignored("log.connection.close", LOGS),
    ignored("statistics.interval.ms", METRICS),
    ignored("enabled_events", "outcomes are futures here and not events on a queue"),
    ignored("topic.metadata.refresh.fast.interval.ms", "retry.backoff.ms paces all retries"),
    ignored("topic.metadata.refresh.fast.cnt", "retry.backoff.ms paces all retries"),
    only("topic.metadata.refresh.sparse", &["true", "t", "1"], "only topics in use are ever asked for"),
    only("topic.blacklist", &[""], "topics are used by name and not found by pattern"),
    ignored("reconnect.backoff.jitter.ms", "backoff always varies by 20 %"),
    ignored("socket.blocking.max.ms", "sockets never block"),
    ignored("socket.max.fails", "a request that times out always ends its connection"),
    ignored("broker.address.ttl", "a name is resolved whenever its broker is connected to"),
    only(
        "broker.address.family",
        &["any"],
        "addresses are tried in the resolver's order; give the client a Resolver of your own to leave some out",
    ),
    only("api.version.request", &["true", "t", "1"], ALWAYS_NEGOTIATED),
    ignored("api.version.request.timeout.ms", "socket.connection.setup.timeout.ms covers it"),
    ignored("api.version.fallback.ms", ALWAYS_NEGOTIATED),
    ignored("broker.version.fallback", ALWAYS_NEGOTIATED),
    ignored("enable.random.seed", "there is no C library to seed"),
    ignored("internal.termination.signal", "no system call has to be interrupted to stop"),
    only("plugin.library.paths", &[""], "there are no plugins"),
    refused("interceptors", CALLBACK),
    refused("opaque", CALLBACK),
    refused("default_topic_conf", "a topic's properties are given with all others"),
    refused("error_cb", CALLBACK),
    refused("throttle_cb", CALLBACK),
    refused("stats_cb", CALLBACK),
    refused("log_cb", CALLBACK),
    refused("background_event_cb", CALLBACK),
    refused("socket_cb", CALLBACK),
    refused("connect_cb", CALLBACK),
    refused("closesocket_cb", CALLBACK),
    refused("open_cb", CALLBACK),
    refused("resolve_cb", CALLBACK),
    refused("dr_cb", CALLBACK),
    refused("dr_msg_cb", CALLBACK),
    refused("partitioner_cb", CALLBACK),
    refused("msg_order_cmp", CALLBACK),
    refused("consume_cb", CALLBACK),
    refused("rebalance_cb", CALLBACK),
    refused("offset_commit_cb", CALLBACK),
];
