//! Ways into the cluster, and producers that remember all they were given.

use std::path::{Path, PathBuf};
use std::time::Duration;

use milena::property::Properties;
use milena::{Delivery, DeliveryError, Producer, ProducerBuilder};
use protocol_tests::account::{Account, Content, Sent, ToSend, check};
use protocol_tests::cluster::Cluster as _;
use protocol_tests::facade;
use protocol_tests::kafka::{Kafka, Tools};

/// How many ports higher than its plain one each node has its other listeners.
pub(crate) const SSL: u16 = 20;
pub(crate) const MTLS: u16 = 30;
pub(crate) const SASL: u16 = 40;
pub(crate) const SASL_SSL: u16 = 50;

pub(crate) const LONG: Duration = Duration::from_secs(120);

pub(crate) type Pairs = Vec<(&'static str, String)>;

pub(crate) fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/tls/tests/fixtures").join(name);
    path.to_str().expect("a plain path").to_owned()
}

pub(crate) fn ports(kafka: &Kafka, higher: u16) -> String {
    let higher = |address: &str| {
        let (host, port) = address.rsplit_once(':').expect("a port");
        format!("{host}:{}", port.parse::<u16>().expect("a port") + higher)
    };
    kafka.bootstrap().split(',').map(higher).collect::<Vec<_>>().join(",")
}

/// One of Kafka's tools; it takes a second or two, so not on a thread that a producer may need.
pub(crate) async fn tool(class: &'static str, args: Vec<String>) -> String {
    let run = move || Tools::of("4.3.1").run(class, &args.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.expect("the tool")
}

/// The words of a command line.
pub(crate) fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// What a listener asks for before any mechanism does.
pub(crate) fn listener(higher: u16) -> Pairs {
    let protocol = match higher {
        SSL | MTLS => "SSL",
        SASL => "SASL_PLAINTEXT",
        SASL_SSL => "SASL_SSL",
        _ => "PLAINTEXT",
    };
    let mut pairs = vec![("security.protocol", protocol.to_owned())];
    if matches!(higher, SSL | MTLS | SASL_SSL) {
        pairs.push(("ssl.ca.location", fixture("ca.pem")));
    }
    if higher == MTLS {
        pairs.push(("ssl.certificate.location", fixture("ec.pem")));
        pairs.push(("ssl.key.location", fixture("ec.key")));
    }
    pairs
}

/// A user whose password is its name and `-secret`, as `scripts/kafka` sets it up.
pub(crate) fn user(mechanism: &str, name: &str) -> Pairs {
    login(mechanism, name, &format!("{name}-secret"))
}

pub(crate) fn login(mechanism: &str, name: &str, password: &str) -> Pairs {
    vec![
        ("sasl.mechanism", mechanism.to_owned()),
        ("sasl.username", name.to_owned()),
        ("sasl.password", password.to_owned()),
    ]
}

/// A token that nobody signed; these listeners take it.
pub(crate) fn bearer(name: &str) -> Pairs {
    let module = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";
    vec![
        ("sasl.mechanism", "OAUTHBEARER".to_owned()),
        ("sasl.jaas.config", format!("{module} required unsecuredLoginStringClaim_sub=\"{name}\";")),
    ]
}

/// A delegation token that alice was just given by Kafka, and that all nodes know: its id and HMAC.
pub(crate) async fn new_token(kafka: &Kafka) -> (String, String) {
    let module = "org.apache.kafka.common.security.scram.ScramLoginModule";
    let config = format!(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-256\n\
         sasl.jaas.config={module} required username=\"alice\" password=\"alice-secret\";\n"
    );
    let file = scratch(&config);
    let server = ports(kafka, SASL);
    let line = format!(
        "--bootstrap-server {server} --command-config {} --create --max-life-time-period -1",
        file.to_str().expect("a plain path")
    );
    let printed = tool("org.apache.kafka.tools.DelegationTokenCommand", words(&line)).await;
    std::fs::remove_file(file).expect("the file");
    // Of the table's only row.
    let row = printed.lines().find(|line| line.contains("User:alice")).expect("a token");
    let mut cells = row.split_whitespace().map(str::to_owned);
    let token = (cells.next().expect("an id"), cells.next().expect("an HMAC"));
    // The tool ends when the controller knows it; the nodes hear of it a moment later.
    for node in ports(kafka, SASL).split(',') {
        let mut properties = Properties::new();
        for (name, value) in listener(SASL).iter().chain(&delegated("SCRAM-SHA-256", &token)) {
            properties.set(name, value);
        }
        let builder = Producer::builder(node).settings(&properties.settings().expect("settings that fit together"));
        let producer = builder.build().expect("a producer");
        producer.wait_ready(LONG).await.expect("let in");
        producer.close(LONG).await.expect("nothing left");
    }
    token
}

pub(crate) fn delegated(mechanism: &str, (id, hmac): &(String, String)) -> Pairs {
    let module = "org.apache.kafka.common.security.scram.ScramLoginModule";
    let login = format!("{module} required username=\"{id}\" password=\"{hmac}\" tokenauth=\"true\";");
    vec![("sasl.mechanism", mechanism.to_owned()), ("sasl.jaas.config", login)]
}

/// A new file of its own.
pub(crate) fn scratch(text: &str) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static FILES: AtomicU32 = AtomicU32::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let file = std::env::temp_dir().join(format!("milena-sasl-{}-{number}", std::process::id()));
    std::fs::write(&file, text).expect("the temporary folder can be written");
    file
}

pub(crate) fn producer(kafka: &Kafka, higher: u16, more: &[(&'static str, String)]) -> ProducerBuilder {
    let mut read = Properties::new();
    for (name, value) in listener(higher).iter().chain(more) {
        read.set(name, value);
    }
    Producer::builder(ports(kafka, higher)).settings(&read.settings().expect("settings that fit together"))
}

/// A producer, and each record with what became of it.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) producer: Producer,
    topic: String,
    partition: Option<i32>,
    name: String,
    told: Vec<Told>,
}

#[derive(Debug)]
enum Told {
    Open(ToSend, Delivery),
    Heard(Sent),
}

impl Load {
    /// Records go to one partition, or to all in turns.
    pub(crate) fn new(builder: ProducerBuilder, topic: &str, partition: Option<i32>, name: &str) -> Self {
        let producer = builder.build().expect("a producer");
        Self { producer, topic: topic.to_owned(), partition, name: name.to_owned(), told: Vec::new() }
    }

    pub(crate) async fn enqueue(&mut self, count: usize) {
        for _ in 0..count {
            let (record, delivery) = self.next().await;
            self.told.push(Told::Open(record, delivery));
        }
    }

    /// Sends one record and waits for what comes of it.
    pub(crate) async fn one(&mut self) -> Result<(), DeliveryError> {
        let (record, delivery) = self.next().await;
        let result = delivery.await;
        let heard = result.clone().map(|_| ());
        let outcome = facade::outcome(&record, result);
        self.told.push(Told::Heard(Sent { record, outcome }));
        heard
    }

    async fn next(&self) -> (ToSend, Delivery) {
        let value = format!("{} {}", self.name, self.told.len()).into_bytes();
        let content = Content { value: Some(value), ..Content::default() };
        let to_send = ToSend { content, partition: self.partition, ..ToSend::default() };
        let delivery = self.producer.enqueue(facade::record(&self.topic, &to_send)).await.expect("room");
        (to_send, delivery)
    }

    /// Waits until nothing is open.
    pub(crate) async fn settled(&self) {
        self.producer.flush().await.expect("a producer that is open");
    }

    /// Those without an outcome.
    pub(crate) fn open(&self) -> usize {
        self.told.iter().filter(|told| matches!(told, Told::Open(_, delivery) if !delivery.is_done())).count()
    }

    pub(crate) async fn finish(self) -> Vec<Sent> {
        let mut sent = Vec::new();
        for told in self.told {
            sent.push(match told {
                Told::Heard(sent) => sent,
                Told::Open(record, delivery) => {
                    let outcome = facade::outcome(&record, delivery.await);
                    Sent { record, outcome }
                }
            });
        }
        self.producer.close(LONG).await.expect("nothing left");
        sent
    }
}

/// Holds what producers said against what Kafka's consumer reads.
pub(crate) fn judge(kafka: &Kafka, topic: &str, sessions: &[Vec<Sent>]) -> Account {
    let sessions: Vec<&[Sent]> = sessions.iter().map(Vec::as_slice).collect();
    check(&sessions, &kafka.read(topic)).unwrap_or_else(|wrong| panic!("{topic}: {wrong}"))
}
