//! Stores as openssl and keytool write them; `tests/fixtures/make` made them.

use std::path::PathBuf;

use milena_tls::{Format, Identity, Store, TlsClient, TlsConfig, TlsServerConfig, Trust};

use crate::{client, exchange, meet, server};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn store(name: &str) -> Store {
    Store::file(fixture(name))
}

fn trusting(stores: Vec<Store>) -> TlsConfig {
    TlsConfig::new().trust(Trust::Stores(stores))
}

fn text(names: &[&str]) -> String {
    names.iter().map(|name| std::fs::read_to_string(fixture(name)).unwrap()).collect()
}

async fn works(identity: Identity) {
    let server = server(TlsServerConfig::new(identity));
    exchange(meet(&client(trusting(vec![store("ca.pem")])), "localhost", &server).await).await.unwrap();
}

fn refused(identity: Identity) -> String {
    let config = trusting(vec![store("ca.pem")]).identity(identity);
    TlsClient::new(config).unwrap_err().to_string()
}

#[tokio::test]
async fn keys_of_every_kind_and_wrapping_are_read() {
    for (chain, key) in [
        ("rsa.pem", "rsa.key"),
        ("rsa.pem", "rsa.pkcs1.key"),
        ("rsa.pem", "rsa.aes.key"),
        ("ec.pem", "ec.key"),
        ("ec.pem", "ec.sec1.key"),
        ("ec.pem", "ec.sha1.key"),
        ("ec.pem", "ec.scrypt.key"),
        ("ed.pem", "ed.key"),
    ] {
        println!("{key}");
        works(Identity::apart(store(chain), store(key).password("secret"))).await;
        let together = Store::bytes(text(&[key, chain, "ca.pem"])).password("secret");
        works(Identity::store(together.only(Format::Pem))).await;
    }
}

#[tokio::test]
async fn a_text_whose_line_breaks_became_spaces_is_read() {
    let squeezed = text(&["rsa.aes.key", "rsa.pem"]).replace('\n', " ");
    works(Identity::store(Store::bytes(squeezed).password("secret"))).await;
}

#[tokio::test]
async fn pkcs12_stores_of_openssl_and_keytool_are_read() {
    for name in ["openssl3.p12", "openssl1.p12", "keytool.p12"] {
        println!("{name}");
        works(Identity::store(store(name).password("secret").only(Format::Pkcs12))).await;
    }
    let trust = trusting(vec![store("trust.p12").password("secret")]);
    let server = server(TlsServerConfig::new(Identity::apart(store("rsa.pem"), store("rsa.key"))));
    exchange(meet(&client(trust), "localhost", &server).await).await.unwrap();
}

#[test]
fn a_wrong_or_missing_password_is_said_to_be_that() {
    for (identity, hint) in [
        (Identity::store(store("openssl3.p12").password("wrong")), "password"),
        (Identity::store(store("keytool.p12")), "password"),
        (Identity::apart(store("rsa.pem"), store("rsa.aes.key").password("wrong")), "ssl.key.password"),
        (Identity::apart(store("rsa.pem"), store("rsa.aes.key")), "ssl.key.password"),
    ] {
        let told = refused(identity);
        assert!(told.contains(hint) && told.contains("fixtures/") && !told.contains("wrong or missing x"), "{told}");
    }
}

#[test]
fn a_key_that_would_take_for_ever_or_all_memory_is_refused_at_once() {
    for key in ["ec.rounds.key", "ec.memory.key"] {
        let told = refused(Identity::apart(store("ec.pem"), store(key).password("secret")));
        assert!(told.contains("more work or memory than any key is worth"), "{key}: {told}");
    }
    let many = text(&["ec.scrypt.key"; 5]);
    let told = refused(Identity::apart(store("ec.pem"), Store::bytes(many).password("secret")));
    assert!(told.contains("more than 4 keys"), "{told}");
}

#[test]
fn a_damaged_text_is_refused_without_a_word_of_the_key_in_it() {
    let whole = text(&["ec.key"]);
    let secret = whole.lines().nth(1).unwrap();
    for (from, to) in [("KEY-----\n", "KEY\n"), ("KEY-----\n", "KEY ")] {
        let damaged = whole.replacen(from, to, 1);
        let told = refused(Identity::store(Store::bytes(damaged.clone() + &text(&["ec.pem"]))));
        assert!(told.contains("BEGIN line that does not end") && !told.contains(secret), "{told}");
        assert!(!refused(Identity::store(Store::bytes(damaged))).contains(secret));
    }
    let damaged = whole.replacen("-----END PRIVATE KEY-----", "-----END ", 1).replace('\n', " ");
    assert!(!refused(Identity::store(Store::bytes(damaged + &whole))).contains(secret));
}

#[test]
fn what_cannot_be_read_says_how_to_convert_it() {
    for (identity, hint) in [
        (Identity::store(store("trust.jks").password("secret")), "keytool -importkeystore"),
        (Identity::apart(store("rsa.pem"), store("rsa.old.key").password("secret")), "openssl pkcs8 -topk8"),
        (Identity::apart(store("ec.pem"), store("ec.pbes1.key").password("secret")), "openssl pkcs8 -topk8"),
    ] {
        let told = refused(identity);
        assert!(told.contains(hint), "{told}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    let pem = |names: &[&str]| Identity::store(Store::bytes(text(names)));
    for (identity, hint) in [
        (pem(&["rsa.pem"]), "no private key"),
        (pem(&["rsa.key"]), "no certificate"),
        (pem(&["rsa.key", "ec.key", "rsa.pem"]), "more than one private key"),
        (Identity::store(Store::bytes("")), "neither PEM nor PKCS#12"),
        (Identity::store(Store::bytes("0 is how a PKCS#12 store begins").password("secret")), "no PKCS#12 store"),
        (
            Identity::store(Store::bytes("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----")),
            "not valid base64",
        ),
        (Identity::store(Store::bytes("-----BEGIN CERTIFICATE-----\nAAAA")), "has no end"),
        (Identity::store(store("openssl3.p12").only(Format::Pem)), "PKCS#12, where PEM is said to be"),
        (Identity::store(store("nowhere.pem")), "nowhere.pem"),
    ] {
        let told = refused(identity);
        assert!(told.contains(hint), "{hint}: {told}");
    }
    let none = TlsClient::new(trusting(vec![Store::bytes(text(&["rsa.key"]))])).unwrap_err().to_string();
    assert!(none.contains("there are none"), "{none}");
}

#[tokio::test]
async fn a_folder_of_trusted_certificates_is_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("README"), "what is this?").unwrap();
    std::fs::copy(fixture("ca.pem"), folder.path().join("ca.pem")).unwrap();
    let server = server(TlsServerConfig::new(Identity::apart(store("rsa.pem"), store("rsa.key"))));
    let client = client(trusting(vec![Store::file(folder.path())]));
    exchange(meet(&client, "localhost", &server).await).await.unwrap();
}

#[test]
fn neither_keys_nor_passwords_are_printed() {
    let identity = Identity::apart(store("rsa.pem"), Store::bytes(text(&["rsa.aes.key"])).password("secret"));
    let config = trusting(vec![store("trust.p12").password("secret")]).identity(identity);
    let printed = format!("{config:?} {:?}", TlsClient::new(config.clone()).unwrap());
    assert!(!printed.contains("secret") && !printed.contains("PRIVATE"), "{printed}");
}
