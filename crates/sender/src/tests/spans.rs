//! What is told, and inside what.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::world::*;

/// Writes down every event with the spans it happened in.
#[derive(Clone, Default)]
struct Scribe {
    names: Arc<Mutex<Vec<&'static str>>>,
    inside: Arc<Mutex<Vec<u64>>>,
    told: Arc<Mutex<Vec<String>>>,
    spans: Arc<AtomicU64>,
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Scribe {
    fn listens_to(run: impl FnOnce()) -> Self {
        // While there is only one, tracing asks the subscriber of whichever thread comes first whether an event matters to anybody.
        let _second = tracing::Dispatch::new(Self::default());
        let scribe = Self::default();
        tracing::subscriber::with_default(scribe.clone(), run);
        scribe
    }
}

impl Subscriber for Scribe {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.names.lock().unwrap().push(span.metadata().name());
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let names = self.names.lock().unwrap();
        let inside: Vec<_> =
            self.inside.lock().unwrap().iter().map(|id| names[usize::try_from(*id).unwrap() - 1]).collect();
        self.told.lock().unwrap().push(format!("{}: {}", inside.join("/"), text.0));
    }

    fn enter(&self, id: &Id) {
        self.inside.lock().unwrap().push(id.into_u64());
    }

    fn exit(&self, _: &Id) {
        self.inside.lock().unwrap().pop();
    }
}

#[test]
fn what_is_told_of_a_requests_answer_is_told_inside_that_request() {
    let scribe = Scribe::listens_to(|| {
        let mut world = World::new().warm();
        world.fault(Fault::Refuse(19));
        let a = world.send("a");
        world.run_for(1_000);
        delivered(a);
    });
    let told = scribe.told.lock().unwrap();
    assert!(told.iter().any(|line| line == "produce: a batch is sent again"), "{told:?}");
    assert!(scribe.inside.lock().unwrap().is_empty());
}

#[test]
fn a_noisy_topic_does_not_hide_another_ones_first_error() {
    let scribe = Scribe::listens_to(|| {
        let mut world = World::new().warm();
        world.add_topic("u", 1);
        for _ in 0..3 {
            world.fault(Fault::Refuse(42));
            failed(world.send("a"));
        }
        world.partition("u", 0).faults.push_back(Fault::Refuse(42));
        let other = world.send_to("u", 0, "b");
        world.run_for(500);
        failed(other);
    });
    let told = scribe.told.lock().unwrap();
    assert_eq!(told.iter().filter(|line| line.ends_with("a batch failed")).count(), 2, "{told:?}");
}
