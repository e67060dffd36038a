//! A producer from a property file under Java's or librdkafka's names: `cargo run -p milena --example properties FILE.properties`
//!
//! It produces one record to the topic `orders` of the cluster that the file names. Without a file it writes one, for a broker within this process.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use milena::property::Properties;
use milena::{Producer, Record};
use milena_broker::EmbeddedCluster;

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(file) => produce(file.as_ref()),
        None => by_a_file_of_its_own(),
    }
}

pub(crate) fn by_a_file_of_its_own() -> Result<(), Box<dyn Error>> {
    let cluster = EmbeddedCluster::builder().start_blocking()?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("producer.properties");
    std::fs::write(&file, format!("bootstrap.servers={}\nlinger.ms=20\ncompression.type=zstd\n", cluster.bootstrap()))?;
    produce(&file)
}

fn produce(file: &Path) -> Result<(), Box<dyn Error>> {
    // All that is wrong with the file is said at once, and nothing in it is dropped in silence. `resolve()` before `settings()` would put
    // files and variables in the place of ${file:…} and ${env:…}.
    let settings = Properties::new().add_file(file)?.settings()?;
    for warning in settings.warnings() {
        println!("{warning}");
    }
    let producer = Producer::from_settings(&settings).build()?;
    println!("{}", producer.config());
    let receipt = producer.blocking().send(Record::to("orders").value("12.50"))?;
    println!("partition {} offset {:?}", receipt.partition, receipt.offset);
    producer.blocking().close(Duration::from_secs(30))?;
    Ok(())
}
