//! Handlers that asked to be called where the sockets are driven.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use milena_broker::EmbeddedCluster;
use milena_producer::{BatchReport, DeliveryHandler, HandlerThread, Io, Producer, Record};
use parking_lot::Mutex;

use crate::support::*;

type Call = dyn Fn(&Producer, usize) + Send + Sync;

/// Does something in each call, with the producer and the number of the call.
struct Prompt {
    call: Box<Call>,
    producer: OnceLock<Producer>,
    /// Calls that have returned.
    calls: AtomicUsize,
    records: AtomicUsize,
    /// The names of the threads that called.
    threads: Mutex<Vec<String>>,
}

impl DeliveryHandler for Prompt {
    fn on_batch(&self, report: BatchReport) {
        self.threads.lock().push(thread::current().name().unwrap_or_default().to_owned());
        self.records.fetch_add(report.records().len(), Ordering::Relaxed);
        (self.call)(self.producer.wait(), self.calls.load(Ordering::Relaxed));
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    fn thread(&self) -> HandlerThread {
        HandlerThread::Io
    }
}

fn start(cluster: &EmbeddedCluster, io: Io, call: impl Fn(&Producer, usize) + Send + Sync + 'static) -> Arc<Prompt> {
    let prompt = Arc::new(Prompt {
        call: Box::new(call),
        producer: OnceLock::new(),
        calls: AtomicUsize::new(0),
        records: AtomicUsize::new(0),
        threads: Mutex::default(),
    });
    let producer = builder(cluster).client_id("p").io(io).delivery_handler(Arc::clone(&prompt)).build().unwrap();
    assert!(prompt.producer.set(producer).is_ok());
    prompt
}

impl Prompt {
    fn producer(&self) -> &Producer {
        self.producer.wait()
    }

    async fn enqueue(&self, token: u64) {
        self.producer().enqueue_with(Record::to("t").value("v"), token).await.unwrap();
    }

    async fn called(&self, calls: usize) {
        until("called often enough", || self.calls.load(Ordering::Relaxed) >= calls).await;
    }
}

#[test]
fn flush_returns_when_the_thread_that_drives_the_sockets_has_told_of_all() {
    run(async {
        let cluster = one_node().await;
        let prompt = start(&cluster, Io::OwnThread, |_, _| {});
        for round in 1..=50 {
            for token in 0..20 {
                prompt.enqueue(token).await;
            }
            prompt.producer().flush().await.unwrap();
            assert_eq!(prompt.records.load(Ordering::Relaxed), round * 20);
        }
        prompt.producer().close(LONG).await.unwrap();
        let threads = prompt.threads.lock();
        assert!(!threads.is_empty() && threads.iter().all(|name| name == "p-io"), "{threads:?}");
    });
}

#[test]
fn it_is_called_on_the_runtime_that_was_given() {
    let mut own = tokio::runtime::Builder::new_multi_thread();
    let own = own.worker_threads(1).thread_name("mine").enable_all().build().unwrap();
    run(async {
        let cluster = one_node().await;
        let prompt = start(&cluster, Io::Runtime(own.handle().clone()), |_, _| {});
        prompt.enqueue(1).await;
        prompt.called(1).await;
        assert_eq!(*prompt.threads.lock(), ["mine"]);
        prompt.producer().close(LONG).await.unwrap();
    });
}

#[test]
fn a_call_may_produce_and_may_panic() {
    run(async {
        let cluster = one_node().await;
        let prompt = start(&cluster, Io::OwnThread, |producer, call| {
            if call < 40 {
                producer.blocking().enqueue_with(Record::to("t").value("again"), 1).unwrap();
            }
        });
        prompt.enqueue(1).await;
        prompt.called(41).await;
        prompt.producer().close(LONG).await.unwrap();

        let prompt = start(&cluster, Io::OwnThread, |_, _| panic!("the handler broke"));
        for _ in 0..3 {
            prompt.enqueue(1).await;
            prompt.producer().flush().await.unwrap();
        }
        assert_eq!(prompt.threads.lock().len(), 3);
        prompt.producer().close(LONG).await.unwrap();
    });
}

#[test]
fn what_would_wait_for_itself_panics_and_the_producer_goes_on() {
    let waits: [fn(&Producer); 5] = [
        |producer| producer.blocking().flush().unwrap(),
        |producer| drop(producer.blocking().send(Record::to("t"))),
        |producer| drop(producer.blocking().enqueue(Record::to("t")).unwrap().wait()),
        |producer| drop(producer.blocking().enqueue(Record::to("t")).unwrap().wait_timeout(HOUR)),
        |producer| producer.blocking().close(LONG).unwrap(),
    ];
    let said = Arc::new(Mutex::new(Vec::new()));
    let call = {
        let said = Arc::clone(&said);
        move |producer: &Producer, call: usize| {
            let Some(wait) = waits.get(call) else { return };
            let panic = catch_unwind(AssertUnwindSafe(|| wait(producer))).unwrap_err();
            said.lock().push(panic.downcast_ref::<&str>().copied().unwrap_or_default().to_owned());
        }
    };
    run(async move {
        let cluster = one_node().await;
        let prompt = start(&cluster, Io::OwnThread, call);
        for calls in 1..waits.len() {
            prompt.enqueue(1).await;
            prompt.called(calls).await;
        }
        prompt.producer().flush().await.unwrap();
        prompt.enqueue(1).await;
        prompt.called(waits.len()).await;
        let said = said.lock();
        assert!(said.len() == waits.len() && said.iter().all(|why| why.contains("HandlerThread::Own")), "{said:?}");
        assert_eq!(log(&cluster, "t", 0).len(), waits.len() + 3, "what was queued before it waited is delivered");
    });
}
