//! What is measured.

/// One kind of work, the same for every client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// In a table's first column.
    pub(crate) title: &'static str,
    pub(crate) group: Group,
    /// What the clients' programs are told beside the settings that all cases share.
    pub(crate) args: &'static str,
    /// The topics of the sink.
    pub(crate) topics: &'static str,
    /// Whether the sink speaks TLS, with a cipher that is the same for all.
    pub(crate) tls: bool,
    pub(crate) clients: Clients,
}

/// Cases of one kind share a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Group {
    Throughput,
    Latency,
    Start,
    Idle,
    Kafka,
}

/// Who takes part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Clients {
    /// All, and the floor.
    Everybody,
    /// All but the floor, which has no codec, no keys and no headers.
    Peers,
    /// milena alone, compared with another case of its own.
    Milena,
}

const SIX: &str = "bench=6";
const LARGE: &str = "--nodes=100 bench*500=100";
const LARGE_ARGS: &str = "size=100 keyed=1 topics=500 partitions=100";
const LARGE_IDLE: &str = "mode=idle seconds=10 size=100 keyed=1 topics=500 partitions=100";

const fn throughput(name: &'static str, title: &'static str, args: &'static str, clients: Clients) -> Case {
    Case { name, title, group: Group::Throughput, args, topics: SIX, tls: false, clients }
}

const fn latency(name: &'static str, title: &'static str, args: &'static str) -> Case {
    Case { name, title, group: Group::Latency, args, topics: SIX, tls: false, clients: Clients::Everybody }
}

/// All cases, in the order of the tables. The window is that of 32 MiB of buffer: 65,536 small records, fewer large ones.
pub(crate) const CASES: &[Case] = &[
    throughput("100", "100 B", "size=100", Clients::Everybody),
    throughput("1000", "1000 B", "size=1000 window=24000", Clients::Everybody),
    throughput("100-batches", "100 B, heard by batch", "size=100 mode=batches", Clients::Milena),
    throughput("100-alone", "100 B, one thread for all", "size=100 alone=1", Clients::Milena),
    throughput("1000-alone", "1000 B, one thread for all", "size=1000 window=24000 alone=1", Clients::Milena),
    Case { tls: true, ..throughput("100-tls", "100 B, TLS", "size=100", Clients::Everybody) },
    Case { tls: true, ..throughput("1000-tls", "1000 B, TLS", "size=1000 window=24000", Clients::Everybody) },
    throughput("100-lz4", "100 B, lz4", "size=100 codec=lz4", Clients::Peers),
    throughput("1000-lz4", "1000 B, lz4", "size=1000 codec=lz4 window=24000", Clients::Peers),
    throughput(
        "1000-lz4-256k",
        "1000 B, lz4, 256 KiB batches",
        "size=1000 codec=lz4 window=24000 batch=262144",
        Clients::Peers,
    ),
    throughput("1000-zstd", "1000 B, zstd", "size=1000 codec=zstd window=24000", Clients::Peers),
    throughput("1000-gzip", "1000 B, gzip", "size=1000 codec=gzip window=24000", Clients::Peers),
    throughput("keyed-6", "100 B, keys, 6 partitions", "size=100 keyed=1", Clients::Peers),
    Case {
        topics: "bench=600",
        ..throughput("keyed-600", "100 B, keys, 600 partitions", "size=100 keyed=1 partitions=600", Clients::Peers)
    },
    throughput("headers", "100 B, three headers", "size=100 headers=1", Clients::Peers),
    throughput("1k", "1 KiB", "size=1024 window=24000", Clients::Peers),
    throughput("16k", "16 KiB", "size=16384 window=1500 batch=131072", Clients::Peers),
    throughput("1m", "1 MiB", "size=1048576 window=24 batch=131072", Clients::Peers),
    throughput("tasks", "100 B, 1,000 tasks that await each", "size=100 mode=tasks", Clients::Peers),
    throughput("threads", "100 B, 2 threads", "size=100 threads=2", Clients::Peers),
    Case {
        topics: "bench*10000=1",
        ..throughput("topics", "100 B, 10,000 topics", "size=100 topics=10000 partitions=1", Clients::Peers)
    },
    Case {
        topics: LARGE,
        ..throughput("large", "100 B, keys, 100 brokers, 50,000 partitions", LARGE_ARGS, Clients::Peers)
    },
    latency("rate-10k-0", "10,000/s, linger 0", "mode=rate rate=10000 linger_ms=0"),
    latency("rate-10k-5", "10,000/s, linger 5 ms", "mode=rate rate=10000 linger_ms=5"),
    latency("rate-50k-0", "50,000/s, linger 0", "mode=rate rate=50000 linger_ms=0"),
    latency("rate-50k-5", "50,000/s, linger 5 ms", "mode=rate rate=50000 linger_ms=5"),
    Case { group: Group::Start, ..throughput("first", "first acknowledgement", "mode=first", Clients::Peers) },
    Case { group: Group::Idle, ..throughput("idle", "10 s of nothing", "mode=idle seconds=10", Clients::Peers) },
    Case {
        group: Group::Idle,
        topics: LARGE,
        ..throughput("large-idle", "10 s of nothing, 100 brokers, 50,000 partitions", LARGE_IDLE, Clients::Peers)
    },
    Case {
        group: Group::Kafka,
        ..throughput("kafka-100", "100 B, real Kafka", "size=100 batch=0", Clients::Everybody)
    },
];

impl Case {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        CASES.iter().find(|case| case.name == name)
    }
}
