//! Runtimes of the caller's that end in the middle of traffic: every record has its outcome, and it is true.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use milena_broker::EmbeddedCluster;
use milena_producer::{EnqueueError, FailureKind, Fate, Io, Producer, ProducerState, Record};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::support::*;

/// How a runtime ends.
type End = fn(Runtime);

const ENDS: [End; 3] = [Runtime::shutdown_background, drop, |runtime| runtime.shutdown_timeout(LONG)];

/// A runtime that is driven by a thread until that is told to end it.
fn driven(mut builder: Builder, end: End) -> (Handle, mpsc::Sender<()>, JoinHandle<()>) {
    let runtime = builder.enable_all().build().unwrap();
    let handle = runtime.handle().clone();
    let (stop, stopped) = mpsc::channel();
    let (told, heard) = tokio::sync::oneshot::channel();
    let listener = thread::spawn(move || {
        stopped.recv().unwrap();
        told.send(()).unwrap();
    });
    let driver = thread::spawn(move || {
        runtime.block_on(heard).unwrap();
        end(runtime);
        listener.join().unwrap();
    });
    (handle, stop, driver)
}

/// What one caller was told of its records, by value.
type Told = BTreeMap<String, Option<Fate>>;

/// Produces until the producer takes no more, on a plain thread, and then waits for each outcome.
fn produce(producer: &Producer, caller: usize) -> Told {
    let mut told = Told::new();
    let mut open = Vec::new();
    for n in 0.. {
        let value = format!("{caller}-{n}");
        match producer.blocking().enqueue(Record::to("t").value(&value)) {
            Ok(delivery) => open.push((value, delivery)),
            Err(error) => {
                assert_eq!(error, EnqueueError::Closed);
                break;
            }
        }
        if open.len() == 500 {
            for (value, delivery) in open.drain(..) {
                told.insert(value, fate(delivery.wait()));
            }
        }
    }
    told.extend(open.into_iter().map(|(value, delivery)| (value, fate(delivery.wait()))));
    told
}

fn fate<T>(outcome: Result<T, milena_producer::DeliveryError>) -> Option<Fate> {
    let error = outcome.err()?;
    assert_eq!(error.kind(), FailureKind::RuntimeGone, "{error}");
    Some(error.fate())
}

fn settles_everything(flavour: fn() -> Builder) {
    for end in ENDS {
        let cluster = EmbeddedCluster::builder().partitions(2).start_blocking().unwrap();
        let (handle, stop, driver) = driven(flavour(), end);
        let small = builder(&cluster).buffer_memory(256 * 1024).batch_size(4 * 1024).max_record_size(16 * 1024);
        let producer = small.io(Io::Runtime(handle)).build().unwrap();
        let callers: Vec<_> = (0..3)
            .map(|caller| {
                let producer = producer.clone();
                thread::spawn(move || produce(&producer, caller))
            })
            .collect();
        let flusher = {
            let producer = producer.clone();
            thread::spawn(move || while producer.blocking().flush().is_ok() {})
        };
        while producer.metrics().total.delivered.records < 2_000 {
            thread::yield_now();
        }
        stop.send(()).unwrap();
        driver.join().unwrap();
        flusher.join().unwrap();
        let told: Told = callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect();
        let health = producer.health();
        assert_eq!(health.producer, ProducerState::CutShort, "{health}");
        assert!(producer.blocking().close(HOUR).unwrap_err().cut_short);
        run(until("all memory is back", || producer.metrics().buffer.used == 0));
        let mut log: Vec<String> = (0..2).flat_map(|partition| values(&cluster, "t", partition)).collect();
        log.sort_unstable();
        assert!(log.windows(2).all(|pair| pair[0] != pair[1]), "something is there twice");
        for (value, fate) in told {
            let written = log.binary_search(&value).is_ok();
            match fate {
                None => assert!(written, "{value} was delivered"),
                Some(Fate::NotWritten) => assert!(!written, "{value} was not written"),
                Some(_) => {}
            }
        }
    }
}

#[test]
fn a_runtime_of_many_threads_that_ends_settles_every_delivery() {
    settles_everything(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2);
        builder
    });
}

#[test]
fn a_runtime_of_one_thread_that_ends_settles_every_delivery() {
    settles_everything(Builder::new_current_thread);
}

#[test]
fn who_waits_for_memory_when_the_runtime_ends_is_told_that_the_producer_is_closed() {
    let cluster = EmbeddedCluster::builder().start_blocking().unwrap();
    let (handle, stop, driver) = driven(Builder::new_current_thread(), Runtime::shutdown_background);
    let small = builder(&cluster).buffer_memory(64 * 1024).batch_size(4 * 1024).max_record_size(16 * 1024);
    let producer = small.io(Io::Runtime(handle)).max_block(HOUR).build().unwrap();
    producer.blocking().send(Record::to("t")).unwrap();
    cluster.pause_node(milena_producer::BrokerId(1));
    let caller = {
        let producer = producer.clone();
        thread::spawn(move || {
            let mut open = Vec::new();
            loop {
                match producer.blocking().enqueue(Record::to("t").value(vec![b'x'; 3_000])) {
                    Ok(delivery) => open.push(delivery),
                    Err(error) => return (open, error),
                }
            }
        })
    };
    run(until("it waits", || producer.metrics().buffer.waiting == 1));
    stop.send(()).unwrap();
    let (open, error) = caller.join().unwrap();
    assert_eq!(error, EnqueueError::Closed);
    assert!(open.into_iter().all(|delivery| delivery.wait().is_err()));
    driver.join().unwrap();
}
