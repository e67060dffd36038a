use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::fail;

/// What is to be done, and with what settings.
#[derive(Clone, Debug)]
pub struct Work {
    /// `host:port`, several separated by commas.
    pub bootstrap: String,
    /// The file, in PEM, with whom to trust. None: plain text.
    pub tls: Option<String>,
    /// stream, batches, tasks, rate, first or idle.
    pub mode: String,
    /// The topics, that records go to in turn.
    pub topics: Vec<String>,
    /// Partitions of each topic.
    pub partitions: i32,
    /// Bytes of a value.
    pub size: usize,
    /// Whether records have a key, of 8 bytes.
    pub keyed: bool,
    /// Whether records have three headers.
    pub headers: bool,
    /// none, gzip, snappy, lz4 or zstd.
    pub codec: String,
    /// `linger.ms`.
    pub linger_ms: u64,
    /// `batch.size`; 0 leaves it, and the buffer's size, to the client's defaults.
    pub batch: usize,
    /// `buffer.memory`.
    pub buffer: usize,
    /// Records without an outcome at most.
    pub window: usize,
    /// Threads that produce.
    pub threads: u64,
    /// Whether the one thread that produces drives the sockets, too.
    pub alone: bool,
    /// Tasks that send.
    pub tasks: usize,
    /// Records per second.
    pub rate: u64,
    /// How long it is measured.
    pub seconds: f64,
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Until {
    deadline: Instant,
    /// The clock is asked once in so many records.
    every: u64,
}

impl Until {
    /// Whether record number `record`, counted from zero, is to be produced.
    #[inline]
    pub fn more(&self, record: u64) -> bool {
        record % self.every != 0 || Instant::now() < self.deadline
    }

    /// Whether the time is up, asked of the clock.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }
}

impl Work {
    pub(crate) fn from_args(args: impl Iterator<Item = String>) -> Self {
        let mut given: HashMap<String, String> = args
            .map(|arg| match arg.split_once('=') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                None => fail(format_args!("not name=value: {arg}")),
            })
            .collect();
        let topic = take(&mut given, "topic", "bench".to_owned());
        let topics = match take(&mut given, "topics", 1usize) {
            1 => vec![topic],
            count => (0..count).map(|index| format!("{topic}-{index}")).collect(),
        };
        let work = Self {
            bootstrap: take(&mut given, "bootstrap", "127.0.0.1:9092".to_owned()),
            tls: given.remove("tls"),
            mode: take(&mut given, "mode", "stream".to_owned()),
            topics,
            partitions: take(&mut given, "partitions", 6),
            size: take(&mut given, "size", 100),
            keyed: take(&mut given, "keyed", 0) != 0,
            headers: take(&mut given, "headers", 0) != 0,
            codec: take(&mut given, "codec", "none".to_owned()),
            linger_ms: take(&mut given, "linger_ms", 5),
            batch: take(&mut given, "batch", 16 * 1024),
            buffer: take(&mut given, "buffer", 32 * 1024 * 1024),
            window: take(&mut given, "window", 65_536),
            threads: take(&mut given, "threads", 1),
            alone: take(&mut given, "alone", 0) != 0,
            tasks: take(&mut given, "tasks", 1_000),
            rate: take(&mut given, "rate", 10_000),
            seconds: take(&mut given, "seconds", 2.0),
        };
        if let Some(name) = given.keys().next() {
            fail(format_args!("no such setting: {name}"));
        }
        if work.alone && (work.mode != "stream" || work.threads != 1 || work.keyed || work.headers) {
            fail("one thread for all is measured with mode=stream, threads=1, and neither keys nor headers");
        }
        work
    }

    /// The topic of a record.
    #[inline]
    pub fn topic(&self, record: u64) -> &str {
        match &self.topics[..] {
            [only] => only,
            all => &all[record as usize % all.len()],
        }
    }

    pub(crate) fn warmup_seconds(&self) -> f64 {
        (self.seconds / 4.0).min(1.0)
    }

    pub(crate) fn warmup(&self) -> Until {
        self.until(self.warmup_seconds())
    }

    pub(crate) fn measured(&self) -> Until {
        self.until(self.seconds)
    }

    fn until(&self, seconds: f64) -> Until {
        let every = if self.size < 4096 { 64 } else { 1 };
        Until { deadline: Instant::now() + Duration::from_secs_f64(seconds), every }
    }
}

fn take<T: std::str::FromStr>(given: &mut HashMap<String, String>, name: &str, default: T) -> T {
    match given.remove(name) {
        Some(value) => value.parse().unwrap_or_else(|_| fail(format_args!("{name} cannot be {value}"))),
        None => default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_plain_unless_there_is_somebody_to_trust() {
        let work = |args: &[&str]| Work::from_args(args.iter().map(ToString::to_string));
        let both = work(&["tls=/tmp/a=b.pem", "size=1000"]);
        assert_eq!((both.tls.as_deref(), both.size), (Some("/tmp/a=b.pem"), 1000));
        assert_eq!(work(&["size=1000"]).tls, None);
    }
}
