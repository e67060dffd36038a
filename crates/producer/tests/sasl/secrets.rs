//! Nothing that is logged, printed or told shows a password, a key or a token.

use std::io::Write;
use std::sync::{Arc, Mutex};

use milena_producer::Record;
use milena_producer::property::Properties;

use super::*;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn logs_at_their_loudest_show_no_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    // This test's process is its own, or shares it with tests that do not mind.
    let _another_test_was_first = tracing::subscriber::set_global_default(subscriber.finish());
    let server = SaslServer::new(ALL).user("alice", "s3cr3t-one").tokens(|_| false);
    let cluster = cluster(server).await;
    for (mechanism, password) in [("PLAIN", "s3cr3t-one"), ("PLAIN", "s3cr3t-two"), ("SCRAM-SHA-256", "s3cr3t-one")] {
        let builder = by(mechanism, password)
            .on(producer(&cluster))
            .delivery_timeout(Duration::from_secs(1))
            .request_timeout(Duration::from_millis(500))
            .max_block(Duration::from_millis(500));
        log.clone().write_all(format!("{builder:?}").as_bytes()).unwrap();
        let producer = builder.build().unwrap();
        let outcome = producer.send(Record::to("topic").value("1")).await;
        log.clone().write_all(format!("{outcome:?} {:?} {}", producer.config(), producer.config()).as_bytes()).unwrap();
        producer.close(LONG).await.unwrap();
    }
    // By properties, from every place that they can name.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "s3cr3t-one\n").unwrap();
    let path = file.display();
    let jaas = "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"alice\"";
    for line in [
        "sasl.password=s3cr3t-one".to_owned(),
        format!("sasl.password=${{file:{path}}}"),
        format!("milena.sasl.password.file={path}"),
        format!("sasl.jaas.config={jaas} password=\"s3cr3t-one\";"),
    ] {
        let text =
            format!("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\nsasl.username=alice\n{line}");
        let mut properties = Properties::new();
        properties.add_text("p", &text).resolve();
        let settings = properties.settings().unwrap();
        let producer = producer(&cluster).settings(&settings).build().unwrap();
        producer.send(Record::to("topic").value("1")).await.unwrap();
        producer.close(LONG).await.unwrap();
        let wrong = properties.clone().set("sasl.mechanism", "NONE").settings().unwrap_err();
        let shown =
            format!("{properties:?} {settings:?} {:?} {} {wrong} {wrong:?}", producer.config(), producer.config());
        log.clone().write_all(shown.as_bytes()).unwrap();
    }
    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(text.contains("connected") && text.contains("sasl.mechanism = PLAIN"), "something is told: {}", text.len());
    assert!(!text.contains("s3cr3t"), "a secret is shown");
}
