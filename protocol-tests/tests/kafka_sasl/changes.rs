//! Passwords, tokens and certificates that change under load.

use std::time::{Duration, Instant};

use milena::{ConnErrorKind, Producer, sasl::SaslErrorKind};
use protocol_tests::cluster::Cluster as _;
use protocol_tests::kafka::Kafka;

use crate::load::{
    LONG, Load, MTLS, SASL, SASL_SSL, SSL, delegated, fixture, judge, login, new_token, ports, producer, scratch, tool,
    user, words,
};

/// Whether a broker refuses who this producer says it is.
fn is_refused(producer: &Producer) -> bool {
    let is_refusal =
        |error: &milena::LastError| matches!(error.error.what, ConnErrorKind::Authentication(SaslErrorKind::Refused));
    producer.health().brokers.iter().filter_map(|broker| broker.last_error.as_ref()).any(is_refusal)
}

async fn refused(load: &mut Load) {
    // A session lasts for ten seconds.
    for _ in 0..600 {
        if is_refused(&load.producer) {
            return;
        }
        load.enqueue(5).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no broker refuses: {:?}", load.producer.health());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_changes_under_load_costs_no_record() {
    let kafka = Kafka::running();
    kafka.create_topic("open-password", 3, 3);
    let file = scratch("bob-secret");
    let mut settings = login("SCRAM-SHA-512", "bob", "");
    settings.pop();
    settings.push(("milena.sasl.password.file", file.to_str().expect("a plain path").to_owned()));
    let mut load = Load::new(producer(&kafka, SASL_SSL, &settings), "open-password", None, "password");
    load.enqueue(100).await;
    let server = kafka.bootstrap();
    let change = format!("--bootstrap-server {server} --alter --entity-type users --entity-name bob --add-config");
    let mut change = words(&change);
    change.push("SCRAM-SHA-512=[password=another]".to_owned());
    let _ = tool("kafka.admin.ConfigCommand", change).await;
    // The brokers know first, as it is when somebody forgets the clients.
    refused(&mut load).await;
    let open = load.open();
    std::fs::write(&file, "another").expect("the file");
    load.settled().await;
    load.enqueue(100).await;
    let account = judge(&kafka, "open-password", &[load.finish().await]);
    std::fs::remove_file(file).expect("the file");
    assert_eq!((account.delivered, account.stored), (account.sent, account.sent), "{account:?}");
    println!("{open} records waited for the password, {account:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegation_token_that_expires_is_named_and_its_records_wait() {
    let kafka = Kafka::running();
    kafka.create_topic("open-token", 3, 3);
    let token = new_token(&kafka).await;
    let builder = producer(&kafka, SASL, &delegated("SCRAM-SHA-256", &token));
    let builder = builder.request_timeout(Duration::from_secs(10)).delivery_timeout(Duration::from_secs(12));
    let mut load = Load::new(builder, "open-token", None, "token");
    load.producer.prepare(&["open-token"], LONG).await.expect("let in");
    load.enqueue(100).await;
    load.settled().await;
    // Only its owner may end it.
    let module = "org.apache.kafka.common.security.scram.ScramLoginModule";
    let config = scratch(&format!(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-256\n\
         sasl.jaas.config={module} required username=\"alice\" password=\"alice-secret\";\n"
    ));
    let expire = format!(
        "--bootstrap-server {} --command-config {} --expire --expiry-time-period -1 --hmac {}",
        ports(&kafka, SASL),
        config.to_str().expect("a plain path"),
        token.1
    );
    let _ = tool("org.apache.kafka.tools.DelegationTokenCommand", words(&expire)).await;
    std::fs::remove_file(config).expect("the file");
    refused(&mut load).await;
    // The refusal may be as old as the tool was slow, and another broker's session may go on for its ten seconds.
    let end = Instant::now() + LONG;
    while load.one().await.is_ok() {
        assert!(Instant::now() < end, "a session outlives its token");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A session that ends before it can be renewed may take requests along, on a machine that is slow enough.
    let lost = load.producer.metrics().requests_lost;
    let account = judge(&kafka, "open-token", &[load.finish().await]);
    assert!(account.delivered >= 100 && account.not_written > 0, "{account:?}");
    assert!(account.maybe_written == 0 || lost > 0, "{account:?}");
    println!("{account:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_both_sides_change_under_load_and_cost_no_record() {
    let kafka = Kafka::running();
    kafka.create_topic("open-certificates", 6, 3);
    let read = |names: [&str; 2]| -> String {
        names.map(|name| std::fs::read_to_string(fixture(name)).expect("a fixture")).concat()
    };
    let own = scratch(&read(["ec.key", "ec.pem"]));
    let path = own.to_str().expect("a plain path").to_owned();
    // Connections that are idle for as long as a pause are made again, with what the files hold then.
    let idle = ("connections.max.idle.ms", "20".to_owned());
    let mut settings = vec![("ssl.keystore.location", path), idle.clone()];
    let mut loads = Vec::new();
    let apart = ["ssl.certificate.location", "ssl.key.location"];
    let mtls: Vec<_> = crate::load::listener(MTLS).into_iter().filter(|(name, _)| !apart.contains(name)).collect();
    settings.extend(mtls);
    let mut properties = milena::property::Properties::new();
    for (name, value) in &settings {
        properties.set(name, value);
    }
    let builder = Producer::builder(ports(&kafka, MTLS)).settings(&properties.settings().expect("settings"));
    loads.push(Load::new(builder, "open-certificates", None, "mutual"));
    for (listener, mut settings) in [(SSL, Vec::new()), (SASL_SSL, user("SCRAM-SHA-256", "alice"))] {
        settings.push(idle.clone());
        let name = format!("{listener}");
        loads.push(Load::new(producer(&kafka, listener, &settings), "open-certificates", None, &name));
    }

    let nodes = kafka.nodes();
    let server = kafka.bootstrap();
    let store = read(["ec.key", "ec.pem"]) + &std::fs::read_to_string(fixture("ca.pem")).expect("a fixture");
    let stores: Vec<_> = nodes.iter().map(|node| kafka.log_dir(*node).join("../tls.pem")).collect();
    let rotation = tokio::spawn(async move {
        for (node, file) in nodes.iter().zip(stores) {
            std::fs::write(&file, &store).expect("a node's folder");
            let set = |listener: &str| {
                let prefix = format!("listener.name.{listener}.ssl.keystore");
                format!("{prefix}.type=PEM,{prefix}.location={}", file.display())
            };
            let place = format!("--bootstrap-server {server} --entity-type brokers --entity-name {node} --alter");
            let mut args = words(&place);
            args.extend(["--add-config".to_owned(), ["mtls", "ssl", "sasltls"].map(set).join(",")]);
            let _ = tool("kafka.admin.ConfigCommand", args).await;
        }
    });
    let mut rounds = 0;
    while !rotation.is_finished() || rounds < 60 {
        if rounds == 20 {
            std::fs::write(&own, read(["rsa.key", "rsa.pem"])).expect("the file");
        }
        for load in &mut loads {
            load.enqueue(10).await;
            load.settled().await;
        }
        rounds += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    rotation.await.expect("all nodes are told");
    let mut sessions = Vec::new();
    for mut load in loads {
        load.enqueue(100).await;
        sessions.push(load.finish().await);
    }
    std::fs::remove_file(own).expect("the file");
    let account = judge(&kafka, "open-certificates", &sessions);
    assert_eq!((account.delivered, account.stored), (account.sent, account.sent), "{account:?}");
    println!("{account:?}");
}
