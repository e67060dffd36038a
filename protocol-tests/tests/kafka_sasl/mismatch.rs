//! Clients and listeners that do not go together, each by its name.

use milena::{ConnErrorKind, LooksLike, TlsFault, sasl::SaslErrorKind};
use protocol_tests::cluster::Cluster as _;
use protocol_tests::facade;
use protocol_tests::kafka::Kafka;

use crate::load::{
    LONG, Pairs, SASL, SASL_SSL, SSL, bearer, delegated, listener, login, ports, producer, scratch, user,
};

/// What a producer for the listener `meant` is told by the one at `there`.
async fn told(kafka: &Kafka, (meant, there): (u16, u16), mechanism: &Pairs) -> (ConnErrorKind, String) {
    let mut properties = milena::property::Properties::new();
    for (name, value) in listener(meant).iter().chain(mechanism) {
        properties.set(name, value);
    }
    let one = ports(kafka, there).split(',').next().expect("a node").to_owned();
    let builder = milena::Producer::builder(one).settings(&properties.settings().expect("settings"));
    let cause = facade::refusal(builder).await;
    (cause.what, cause.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_does_not_go_together_is_named() {
    let kafka = Kafka::running();
    let no_mechanism = Pairs::new();
    let alice = user("SCRAM-SHA-256", "alice");
    for (meant, there) in [(0, SASL), (SSL, SASL_SSL)] {
        let (what, text) = told(&kafka, (meant, there), &no_mechanism).await;
        assert_eq!(what, ConnErrorKind::ClosedAtFirstRequest);
        assert!(text.contains("security.protocol") && text.contains("sasl.mechanism"), "{text}");
    }
    for (meant, there) in [(SASL, 0), (SASL_SSL, SSL)] {
        let (what, text) = told(&kafka, (meant, there), &alice).await;
        assert_eq!(what, ConnErrorKind::Authentication(SaslErrorKind::IllegalState));
        assert!(text.contains("security.protocol"), "{text}");
    }
    let (what, _) = told(&kafka, (SASL, SASL_SSL), &alice).await;
    assert_eq!(what, ConnErrorKind::NotKafka { looks_like: LooksLike::Tls });
    let (what, _) = told(&kafka, (SASL_SSL, SASL), &alice).await;
    assert_eq!(what, ConnErrorKind::Tls(TlsFault::NoAnswer));

    let refused = ConnErrorKind::Authentication(SaslErrorKind::Refused);
    let nobody = ("bm9ib2R5".to_owned(), "bm9uZQ==".to_owned());
    for mechanism in [
        login("PLAIN", "alice", "wrong"),
        login("SCRAM-SHA-256", "alice", "wrong"),
        login("SCRAM-SHA-512", "nobody", "wrong"),
        delegated("SCRAM-SHA-256", &nobody),
    ] {
        let (what, text) = told(&kafka, (SASL, SASL), &mechanism).await;
        assert_eq!(what, refused, "{text}");
        assert!(!text.contains("wrong") && !text.contains("bm9uZQ"), "{text}");
    }
    let file = scratch("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6MX0.");
    let mut expired = bearer("");
    expired.pop();
    expired.push(("milena.sasl.token.file", file.to_str().expect("a plain path").to_owned()));
    let (what, text) = told(&kafka, (SASL, SASL), &expired).await;
    std::fs::remove_file(file).expect("the file");
    let is_told = [SaslErrorKind::TokenRefused, SaslErrorKind::NoCredentials].map(ConnErrorKind::Authentication);
    assert!(is_told.contains(&what), "{text}");

    // And the same with everything right.
    let fits = producer(&kafka, SASL, &alice).build().expect("a producer");
    fits.wait_ready(LONG).await.expect("let in");
    fits.close(LONG).await.expect("nothing left");
    assert!(!kafka.nodes().is_empty());
}
