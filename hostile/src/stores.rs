//! Certificates and keys: PEM texts and PKCS#12 stores.

use std::sync::LazyLock;

use milena_tls::{Identity, Store, TlsClient, TlsConfig, Trust};

use crate::budget::Budget;

/// A key's derivation and checks have tables of their own; a certificate is copied a few times.
const STORE: Budget = Budget { per_byte: 256, at_least: 4 << 20 };

/// What opens the fixtures.
const PASSWORD: &str = "secret";

static TRUST: LazyLock<Vec<u8>> = LazyLock::new(|| include_bytes!("../../crates/tls/tests/fixtures/ca.pem").to_vec());

/// `[0 trust, 1 identity, 2 identity with a password] store`, as PEM.
pub fn pem(data: &[u8]) {
    let Some((how, store)) = data.split_first() else { return };
    if contains(store, b"-----BEGIN ") {
        open(*how, store);
    }
}

/// The same, as PKCS#12. Inputs that ask for more than 1023 rounds of hashing are passed over, since ten million of them would take weeks.
pub fn pkcs12(data: &[u8]) {
    let Some((how, store)) = data.split_first() else { return };
    let many = |at: &[u8]| matches!(at, [2, 2, 4..=255, _, ..] | [2, 3 | 4, _, _, ..]);
    if store.first() == Some(&0x30)
        && !contains(store, b"-----BEGIN ")
        && !(0..store.len()).any(|at| many(&store[at..]))
    {
        open(*how, store);
    }
}

fn open(how: u8, bytes: &[u8]) {
    let (trust, identity) = match how % 3 {
        0 => (Store::bytes(bytes), None),
        1 => (Store::bytes(TRUST.clone()), Some(Store::bytes(bytes))),
        _ => (Store::bytes(TRUST.clone()), Some(Store::bytes(bytes).password(PASSWORD))),
    };
    STORE.hold("a store", bytes.len(), || {
        let mut config = TlsConfig::new().trust(Trust::Stores(vec![trust]));
        if let Some(identity) = identity {
            config = config.identity(Identity::store(identity));
        }
        if let Err(error) = TlsClient::new(config) {
            let told = error.to_string();
            assert!(!told.contains(PASSWORD) || contains(bytes, PASSWORD.as_bytes()), "a password is told");
            // No part of the store is shown that could be a key.
            let is_packed = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
            let longest = told.as_bytes().split(|b| !is_packed(*b)).map(<[u8]>::len).max();
            assert!(longest < Some(48), "what may be a key is told: {told}");
        }
    });
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// What openssl and keytool wrote.
pub(crate) fn pem_seeds() -> Vec<Vec<u8>> {
    macro_rules! fixtures {
        ($($file:literal),*) => { [$(&include_bytes!(concat!("../../crates/tls/tests/fixtures/", $file))[..]),*] };
    }
    let both = |key: &[u8], chain: &[u8]| [chain, key].concat();
    let [ca, ec, ec_key, ed, ed_key, sec1, pbes1] =
        fixtures!("ca.pem", "ec.pem", "ec.key", "ed.pem", "ed.key", "ec.sec1.key", "ec.pbes1.key");
    let mut seeds = vec![[&[0], ca].concat()];
    for identity in [both(ec_key, ec), both(ed_key, ed), both(sec1, ec), both(pbes1, ec)] {
        seeds.push([&[1], &identity[..]].concat());
    }
    seeds
}

/// Stores whose keys are derived in a round or two, and one without any.
pub(crate) fn pkcs12_seeds() -> Vec<Vec<u8>> {
    macro_rules! fixtures {
        ($($file:literal),*) => { [$(&include_bytes!(concat!("fixtures/", $file))[..]),*] };
    }
    let stores = fixtures!("clear.p12", "pbes2.p12", "pbes1.p12", "trust.p12");
    stores.iter().flat_map(|store| [0, 2].map(|how| [&[how], *store].concat())).collect()
}
