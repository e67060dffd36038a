//! A producer whose last handle is dropped says in one error event what was lost. Alone in its process, because the events
//! come from the producer's own threads, where only a subscriber of the whole process hears them.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fmt::{Debug, Write};
use std::sync::Mutex;
use std::time::Duration;

use milena_broker::EmbeddedCluster;
use milena_producer::{BatchReport, BrokerId, DeliveryHandler, Fate, Producer, Record};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};

/// Longer than anything takes; whoever waits for this long waits for ever.
const LONG: Duration = Duration::from_secs(30);

static ERRORS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Writes down error events, fields included.
struct Scribe;

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "[{}={value:?}]", field.name()).unwrap();
    }
}

impl Subscriber for Scribe {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        ERRORS.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Hears of everything, so that nothing is said twice.
struct Listener;

impl DeliveryHandler for Listener {
    fn on_batch(&self, _: BatchReport) {}

    fn on_unobserved(&self, _: &std::sync::Arc<milena_producer::Failure>, _: u32) {}
}

#[test]
fn a_producer_that_is_dropped_says_in_one_error_event_what_was_lost_and_nothing_if_nothing_was() {
    tracing::subscriber::set_global_default(Scribe).unwrap();
    let cluster = EmbeddedCluster::builder().start_blocking().unwrap();
    let build = |drop_timeout| {
        Producer::builder(cluster.bootstrap())
            .max_in_flight(1)
            .drop_timeout(drop_timeout)
            .delivery_handler(Listener)
            .build()
            .unwrap()
    };

    let producer = build(LONG);
    let delivery = producer.blocking().enqueue(Record::to("t").partition(0)).unwrap();
    drop(producer);
    delivery.wait().unwrap();

    let producer = build(Duration::from_millis(200));
    producer.blocking().send(Record::to("t").partition(0)).unwrap();
    cluster.pause_node(BrokerId(1));
    let in_flight = producer.blocking().enqueue(Record::to("t").partition(0)).unwrap();
    while producer.metrics().requests_in_flight == 0 {
        std::thread::yield_now();
    }
    let queued = ["t", "u", "u"].map(|topic| producer.blocking().enqueue(Record::to(topic).partition(0)).unwrap());
    drop(producer);
    assert_eq!(in_flight.wait().unwrap_err().fate(), Fate::MaybeWritten);
    for delivery in queued {
        assert_eq!(delivery.wait().unwrap_err().fate(), Fate::NotWritten);
    }
    while ERRORS.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    let errors = ERRORS.lock().unwrap();
    let [error] = &errors[..] else { panic!("{errors:?}") };
    for said in ["[records=4]", "t: 1 not written, 1 maybe written; u: 2 not written, 0 maybe written", "was dropped"] {
        assert!(error.contains(said), "{said:?} is not in {error:?}");
    }
}
