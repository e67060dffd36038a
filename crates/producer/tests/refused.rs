//! A producer that the operating system refuses what it needs. Alone in its process, because the limit is the whole process's.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::error::Error;
use std::fs;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use milena_producer::{BatchReport, Codec, Compression, DeliveryHandler, FailurePolicy, Producer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Longer than anything takes; whoever waits for this long waits for ever.
const LONG: Duration = Duration::from_secs(30);

/// Dropped when the thread that owns it ends.
struct Owned(Sender<&'static str>, &'static str);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.send(self.1).unwrap();
    }
}

impl Owned {
    fn on_letter(&self) {
        unreachable!("nothing is produced that could come to {}", self.1);
    }
}

impl DeliveryHandler for Owned {
    fn on_batch(&self, _: BatchReport) {}
}

fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    // One that ends meanwhile has no name any more.
    tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok()).collect()
}

#[test]
fn a_producer_that_cannot_be_built_says_why_and_leaves_no_thread() {
    let (tx, dropped) = mpsc::channel();
    let letters = Owned(tx.clone(), "letters");
    let builder = Producer::builder("127.0.0.1:1")
        .client_id("unbuilt")
        .compression(Compression::new(Codec::Lz4))
        .on_failure(FailurePolicy::callback(move |_| letters.on_letter()))
        .delivery_handler(Owned(tx, "handler"));
    let before = getrlimit(Resource::Nofile);
    // All that are open have smaller numbers, or are none of the producer's.
    setrlimit(Resource::Nofile, Rlimit { current: Some(3), ..before }).unwrap();
    let built = builder.build();
    setrlimit(Resource::Nofile, before).unwrap();

    let error = built.unwrap_err();
    assert!(error.source().unwrap().to_string().contains("Too many open files"), "{error}");
    let mut gone = [dropped.recv_timeout(LONG).unwrap(), dropped.recv_timeout(LONG).unwrap()];
    gone.sort_unstable();
    assert_eq!(gone, ["handler", "letters"]);
    // Those that compress own nothing that could be heard of. A name is cut off after 15 bytes.
    let end = Instant::now() + LONG;
    while threads().iter().any(|name| name.starts_with("unbuilt")) {
        assert!(Instant::now() < end, "{:?}", threads());
        std::thread::yield_now();
    }
}
