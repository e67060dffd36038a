//! Failed records, given back whole: `cargo run -p milena --example failed_records`
//!
//! The embedded broker is told to refuse some, which is also how a program's own tests see what it does when Kafka refuses.

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use milena::{FailurePolicy, Producer, Record};
use milena_broker::{ApiKey, EmbeddedCluster, ErrorCode, PartitionId, Reaction, Rule};

fn main() -> Result<(), Box<dyn Error>> {
    produce_two()
}

pub(crate) fn produce_two() -> Result<(), Box<dyn Error>> {
    let cluster = EmbeddedCluster::builder().start_blocking()?;
    cluster.create_topic("orders", 2, 1)?;
    let refuse = Reaction::Error(ErrorCode::MESSAGE_TOO_LARGE);
    cluster.script(Rule::on(ApiKey::PRODUCE, refuse).partition(PartitionId(1)).always());

    let (give_back, given_back) = mpsc::channel();
    // `FailurePolicy::topic` would produce them to a dead-letter topic.
    let policy = FailurePolicy::callback(move |letter| drop(give_back.send(letter)));
    let producer = Producer::builder(cluster.bootstrap()).on_failure(policy).build()?;
    let taken = Record::to("orders").partition(0).value("to partition 0");
    let refused = Record::to("orders").partition(1).value("to partition 1");
    let mut delivered = 0;
    for outcome in producer.blocking().send_all([taken, refused]) {
        match outcome {
            Ok(receipt) => {
                delivered += 1;
                println!("delivered: partition {} offset {:?}", receipt.partition, receipt.offset);
            }
            Err(error) => println!("not delivered: {error}"),
        }
    }
    producer.blocking().close(Duration::from_secs(30))?;

    let letter = given_back.recv_timeout(Duration::from_secs(30))?;
    println!("given back: {:?}, {:?}, {:?}", letter.record, letter.kind(), letter.fate());
    if delivered == 1 { Ok(()) } else { Err("one of two records should have been delivered".into()) }
}
