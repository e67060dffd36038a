//! One record on its way into its batch.

use divan::{Bencher, counter::ItemsCount};
use milena_accumulator::{AccumulatorConfig, Delivery};
use milena_benches::{Queues, Shape};

/// Records of one round, within the memory at every size below.
const ROUND: usize = 10_000;
const SHAPES: [&str; 6] = ["100 B", "100 B keyed", "100 B 3 headers", "1000 B", "1000 B keyed", "1000 B 3 headers"];

fn main() {
    divan::main();
}

fn shape(name: &str) -> Shape {
    let shape = Shape::value(if name.starts_with("1000") { 1000 } else { 100 });
    match name.split_once("B ") {
        Some((_, "keyed")) => shape.keyed(),
        Some(_) => shape.with_headers(),
        None => shape,
    }
}

fn queues() -> Queues {
    Queues::new(AccumulatorConfig::default(), 6)
}

#[divan::bench(args = SHAPES)]
fn append_for_a_handle(bencher: Bencher<'_, '_>, name: &str) {
    let shape = shape(name);
    let mut queues = queues();
    let mut deliveries: Vec<Delivery> = Vec::with_capacity(ROUND);
    bencher.counter(ItemsCount::new(ROUND)).bench_local(|| {
        (0..ROUND).for_each(|_| deliveries.push(queues.append(&shape)));
        Queues::settle(queues.seal_all());
        deliveries.drain(..).for_each(|delivery| drop(delivery.wait()));
    });
}

#[divan::bench(args = SHAPES)]
fn append_for_a_token(bencher: Bencher<'_, '_>, name: &str) {
    let shape = shape(name);
    let mut queues = queues();
    bencher.counter(ItemsCount::new(ROUND)).bench_local(|| {
        (0..ROUND as u64).for_each(|token| queues.append_with_token(&shape, token));
        Queues::settle(queues.seal_all());
    });
}
