//! What the pages on security say works.

use milena_broker::{EmbeddedCluster, SaslServer};
use milena_tls::issue::{Authority, Validity};
use milena_tls::{TlsServer, TlsServerConfig};

use crate::kit::{run, values};
use crate::pages::{SASL, blocks, config};

#[test]
fn the_settings_of_each_page_on_sasl_deliver() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("the command's tests").unwrap();
    let issued = authority.server(&["127.0.0.1"], Validity::default()).unwrap();
    let tls = TlsServer::new(TlsServerConfig::new(issued.identity())).unwrap();
    let sasl = SaslServer::new(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"])
        .user("alice", "pencil")
        .user("the-id", "the-hmac")
        .tokens(|token| token == "a-token");
    let cluster = EmbeddedCluster::builder().tls(tls).sasl(sasl).start_blocking().unwrap();
    let write = |name: &str, text: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let bootstrap = cluster.bootstrap();
    let put_in = [
        ("kafka-1:9094", bootstrap.to_string()),
        ("/etc/kafka/ca.pem", write("ca.pem", authority.certificate())),
        ("/run/secrets/kafka", write("password", "pencil\n")),
        ("/run/secrets/token", write("token", "a-token")),
        ("/run/secrets/hmac", write("hmac", "the-hmac")),
        ("ADaVX24qR4q1sS9te-aQ3g", "the-id".to_owned()),
    ];
    let put_in: Vec<(&str, &str)> = put_in.iter().map(|(example, real)| (*example, real.as_str())).collect();
    for page in SASL {
        let config = config(page, dir.path(), &put_in);
        let ended = run(&["produce", "--topic", page, "--json", "--config", &config], b"one\ntwo\n");
        assert_eq!((ended.status, ended.account()), (Some(0), [2, 2, 0, 0]), "{page}: {ended:?}");
        assert_eq!(values(&cluster, page), [Some(b"one".to_vec()), Some(b"two".to_vec())], "{page}");
    }
}

#[test]
fn all_settings_in_the_pages_on_security_are_known_and_fit_together() {
    let services = blocks("managed-services.md");
    assert!(services.len() >= 9, "{}", services.len());
    assert!(services.iter().any(|block| block.contains("milena.sasl.aws.region")), "IAM of MSK");
    let security = blocks("security.md");
    assert!(security.iter().any(|block| block.contains("token.endpoint.url")), "client credentials");
    let pages = SASL.iter().flat_map(|page| blocks(&format!("sasl/{page}.md")));
    for block in services.into_iter().chain(security).chain(pages) {
        let mut properties = milena::property::Properties::new();
        properties.add_text("the page", &block);
        let settings = properties.settings().unwrap_or_else(|error| panic!("{error}: {block}"));
        assert!(settings.ignored.is_empty(), "{block}");
    }
}
