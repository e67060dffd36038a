//! What is accepted, and what each refusal is called.

use std::sync::Arc;

use milena_tls::issue::{Authority, Issued, Validity};
use milena_tls::{Identity, Store, TlsClient, TlsConfig, TlsServer, TlsServerConfig, TlsVersion, default_provider};
use milena_wire::{TlsError, TlsFault};
use rustls::CipherSuite;
use rustls::server::Acceptor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::LazyConfigAcceptor;

use crate::{client, exchange, fault, meet, server};

struct Scene {
    authority: Authority,
    broker: Issued,
}

impl Scene {
    fn new() -> Self {
        Self::valid(Validity::default())
    }

    fn valid(validity: Validity) -> Self {
        let authority = Authority::new("milena tests").unwrap();
        let broker = authority.server(&["broker.example", "10.0.0.7", "::1"], validity).unwrap();
        Self { authority, broker }
    }

    fn trusting(&self) -> TlsConfig {
        TlsConfig::new().trust(self.authority.trust())
    }

    fn serving(&self) -> TlsServerConfig {
        TlsServerConfig::new(self.broker.identity())
    }

    async fn result(&self, config: TlsConfig, serving: TlsServerConfig) -> std::io::Result<()> {
        exchange(meet(&client(config), "broker.example", &server(serving)).await).await
    }
}

const BOTH: [TlsVersion; 2] = [TlsVersion::V1_2, TlsVersion::V1_3];

#[tokio::test]
async fn a_trusted_broker_is_spoken_to_under_each_of_its_names() {
    let scene = Scene::new();
    for version in BOTH {
        for host in ["broker.example", "10.0.0.7", "::1", "::1%eth0"] {
            let client = client(scene.trusting().versions([version]));
            let ends = meet(&client, host, &server(scene.serving())).await;
            let agreed = ends.0.as_ref().map(milena_tls::TlsStream::agreed).unwrap();
            let expected = if version == TlsVersion::V1_2 { "TLSv1_2" } else { "TLSv1_3" };
            assert!(agreed.starts_with(expected), "{agreed}");
            exchange(ends).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_given_is_used_and_not_the_one_that_comes_along() {
    let scene = Scene::new();
    let mut provider = default_provider().unwrap();
    let only = CipherSuite::TLS13_CHACHA20_POLY1305_SHA256;
    Arc::make_mut(&mut provider).cipher_suites.retain(|suite| suite.suite() == only);
    let ends = meet(&client(scene.trusting().provider(provider)), "broker.example", &server(scene.serving())).await;
    let agreed = ends.0.as_ref().map(milena_tls::TlsStream::agreed).unwrap();
    assert!(agreed.contains("CHACHA20"), "{agreed}");
    exchange(ends).await.unwrap();
}

#[tokio::test]
async fn the_name_is_told_in_the_hello_and_an_address_is_not() {
    let scene = Scene::new();
    for (host, told) in [("broker.example", Some("broker.example")), ("10.0.0.7", None), ("::1", None)] {
        let client = client(scene.trusting());
        let (ours, theirs) = tokio::io::duplex(16 * 1024);
        let connecting = tokio::spawn(async move { client.connect(host, ours).await.map(drop) });
        let hello = LazyConfigAcceptor::new(Acceptor::default(), theirs).await.unwrap();
        assert_eq!(hello.client_hello().server_name(), told, "{host}");
        connecting.abort();
    }
}

#[tokio::test]
async fn a_broker_with_a_strange_issuer_is_refused() {
    let (scene, other) = (Scene::new(), Scene::new());
    assert_eq!(fault(scene.result(other.trusting(), scene.serving()).await), TlsFault::UnknownIssuer);
}

#[tokio::test]
async fn a_broker_under_another_name_is_refused() {
    let scene = Scene::new();
    for host in ["elsewhere.example", "10.0.0.8"] {
        let ends = meet(&client(scene.trusting()), host, &server(scene.serving())).await;
        let error = ends.0.unwrap_err();
        let error = TlsError::of(&error).unwrap();
        assert_eq!(error.fault, TlsFault::WrongName);
        assert!(error.detail.contains("broker.example"), "{error}");
    }
    let (ours, _theirs) = tokio::io::duplex(64);
    let error = client(scene.trusting()).connect("no name", ours).await.unwrap_err();
    assert_eq!(TlsError::of(&error).unwrap().fault, TlsFault::WrongName);
}

#[tokio::test]
async fn a_name_that_does_not_count_leaves_everything_else_checked() {
    let careless = |scene: &Scene| scene.trusting().dangerously_accept_any_host_name();
    let scene = Scene::new();
    for version in BOTH {
        let client = client(careless(&scene).versions([version]));
        exchange(meet(&client, "elsewhere.example", &server(scene.serving())).await).await.unwrap();
    }
    let other = Scene::new();
    assert_eq!(fault(scene.result(careless(&other), scene.serving()).await), TlsFault::UnknownIssuer);
    let expired = Scene::valid(Validity { from: -10, to: -5 });
    assert_eq!(fault(expired.result(careless(&expired), expired.serving()).await), TlsFault::Expired);
}

#[tokio::test]
async fn a_certificate_has_its_time() {
    let expired = Scene::valid(Validity { from: -10, to: -5 });
    assert_eq!(fault(expired.result(expired.trusting(), expired.serving()).await), TlsFault::Expired);
    let early = Scene::valid(Validity { from: 5, to: 10 });
    assert_eq!(fault(early.result(early.trusting(), early.serving()).await), TlsFault::NotYetValid);
}

#[tokio::test]
async fn a_certificate_for_clients_is_none_for_a_broker() {
    let scene = Scene::new();
    let wrong = scene.authority.client("broker.example", Validity::default()).unwrap();
    let serving = TlsServerConfig::new(wrong.identity());
    assert_eq!(fault(scene.result(scene.trusting(), serving).await), TlsFault::BadCertificate);
}

#[tokio::test]
async fn a_client_shows_who_it_is_when_it_is_asked() {
    let scene = Scene::new();
    let alice = scene.authority.client("alice", Validity::default()).unwrap();
    for version in BOTH {
        let known = scene.trusting().identity(alice.identity()).versions([version]);
        let required = scene.serving().require_clients(scene.authority.trust());
        let ends = meet(&client(known), "broker.example", &server(required)).await;
        assert_eq!(ends.1.as_ref().unwrap().peer_certificates().len(), 1);
        exchange(ends).await.unwrap();

        let asked = scene.serving().ask_clients(scene.authority.trust());
        scene.result(scene.trusting().versions([version]), asked).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_is_told_that_one_is_missing() {
    let scene = Scene::new();
    for version in BOTH {
        let required = scene.serving().require_clients(scene.authority.trust());
        let result = scene.result(scene.trusting().versions([version]), required).await;
        assert_eq!(fault(result), TlsFault::CertificateMissing, "{version:?}");
    }
}

#[tokio::test]
async fn a_client_with_a_certificate_of_no_worth_is_told_so() {
    let (scene, other) = (Scene::new(), Scene::new());
    let mallory = other.authority.client("mallory", Validity::default()).unwrap();
    let late = scene.authority.client("late", Validity { from: -10, to: -5 }).unwrap();
    for version in BOTH {
        for shown in [&mallory, &late] {
            let required = scene.serving().require_clients(scene.authority.trust());
            let shown = scene.trusting().identity(shown.identity()).versions([version]);
            assert_eq!(fault(scene.result(shown, required).await), TlsFault::CertificateRefused, "{version:?}");
        }
    }
}

#[tokio::test]
async fn versions_and_suites_without_overlap_are_told() {
    let scene = Scene::new();
    let serving = || scene.serving().versions([TlsVersion::V1_3]);
    let old = scene.trusting().versions([TlsVersion::V1_2]);
    assert_eq!(fault(scene.result(old, serving()).await), TlsFault::NothingInCommon);
    let suites = |name: &str| scene.trusting().cipher_suites([name]);
    scene.result(suites("TLS_AES_256_GCM_SHA384"), serving()).await.unwrap();
    let error = TlsClient::new(suites("TLS_RSA_WITH_NULL_MD5")).unwrap_err().to_string();
    assert!(error.contains("TLS_RSA_WITH_NULL_MD5") && error.contains("TLS_AES_128_GCM_SHA256"), "{error}");
}

#[tokio::test]
async fn a_server_agrees_to_no_suite_but_those_that_it_was_given() {
    let scene = Scene::new();
    let serving = || scene.serving().cipher_suites(["TLS_AES_128_GCM_SHA256"]);
    let (client, _server) = meet(&client(scene.trusting()), "broker.example", &server(serving())).await;
    assert_eq!(client.unwrap().agreed(), "TLSv1_3 TLS13_AES_128_GCM_SHA256");
    let other = scene.trusting().cipher_suites(["TLS_AES_256_GCM_SHA384"]);
    assert_eq!(fault(scene.result(other, serving()).await), TlsFault::NothingInCommon);
    let error = TlsServer::new(scene.serving().cipher_suites(["TLS_NULL"])).unwrap_err().to_string();
    assert!(error.contains("TLS_NULL"), "{error}");
}

#[tokio::test]
async fn a_port_without_tls_is_told_apart() {
    let client = client(Scene::new().trusting());
    let (ours, mut theirs) = tokio::io::duplex(16 * 1024);
    let answers = async move {
        theirs.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        theirs
    };
    let (result, _theirs) = tokio::join!(client.connect("broker.example", ours), answers);
    assert_eq!(fault(result.map(drop)), TlsFault::NotTls);

    let (ours, mut theirs) = tokio::io::duplex(16 * 1024);
    // As a Kafka listener does with a frame of 350 MB, which is what a TLS greeting looks like to it.
    let closes = async move {
        theirs.read_exact(&mut [0; 4]).await.unwrap();
    };
    let (result, ()) = tokio::join!(client.connect("broker.example", ours), closes);
    assert_eq!(fault(result.map(drop)), TlsFault::NoAnswer);
}

#[tokio::test]
async fn a_key_of_another_certificate_is_refused_before_anybody_is_connected_to() {
    let scene = Scene::new();
    let (alice, bob) = (
        scene.authority.client("alice", Validity::default()).unwrap(),
        scene.authority.client("bob", Validity::default()).unwrap(),
    );
    let mixed = Identity::apart(Store::bytes(alice.certificate), Store::bytes(bob.key));
    let error = TlsClient::new(scene.trusting().identity(mixed)).unwrap_err().to_string();
    assert!(error.contains("own certificate and key"), "{error}");
}
