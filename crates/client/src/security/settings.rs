//! What properties say about TLS, before anything of it is read.

use milena_sasl::Secret;

/// TLS as properties have it, in Java's and librdkafka's words. A field is `Some` only if it was set.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TlsSettings {
    /// `ssl.truststore.location`, `ssl.truststore.certificates`, `ssl.ca.location` or `ssl.ca.pem`.
    pub trust: Option<Source>,
    /// `ssl.truststore.type`.
    pub trust_type: Option<StoreType>,
    /// `ssl.truststore.password`.
    pub trust_password: Option<Secret>,
    /// `ssl.keystore.location`: certificates and key in one.
    pub key_store: Option<Source>,
    /// `ssl.keystore.type`.
    pub key_store_type: Option<StoreType>,
    /// `ssl.keystore.password`.
    pub key_store_password: Option<Secret>,
    /// `ssl.keystore.certificate.chain`, `ssl.certificate.location` or `ssl.certificate.pem`.
    pub chain: Option<Source>,
    /// `ssl.keystore.key`, `ssl.key.location` or `ssl.key.pem`.
    pub key: Option<Source>,
    /// `ssl.key.password`.
    pub key_password: Option<Secret>,
    /// `ssl.endpoint.identification.algorithm`: whether the host's name is checked.
    pub check_host_name: Option<bool>,
    /// `ssl.enabled.protocols` or `ssl.protocol`: whether TLS 1.2 and 1.3 may be used.
    pub versions: Option<(bool, bool)>,
    /// `ssl.cipher.suites`.
    pub cipher_suites: Option<Vec<String>>,
}

/// Where something is.
#[derive(Clone, Debug)]
pub enum Source {
    /// In this file, or the files of this folder.
    File(String),
    /// Here.
    Text(Secret),
    /// In the operating system's store.
    System,
}

/// Kafka's names of store formats.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoreType {
    /// `JKS`, which Java's own `KeyStore` also takes for `PKCS12`, so that it says nothing.
    Jks,
    /// `PKCS12`.
    Pkcs12,
    /// `PEM`.
    Pem,
}

impl TlsSettings {
    /// What contradicts itself or is half there, with the property to blame.
    pub(crate) fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut problems = Vec::new();
        let mut rule = |holds: bool, property, problem| {
            if !holds {
                problems.push((property, problem));
            }
        };
        rule(
            self.key_store.is_none() || (self.key.is_none() && self.chain.is_none()),
            "ssl.keystore.location",
            "is set, and the certificate and key are given in another way too; leave one of them out",
        );
        rule(
            self.chain.is_none() || self.key.is_some(),
            "ssl.keystore.certificate.chain",
            "is a certificate without its key (ssl.keystore.key, ssl.key.location, ssl.key.pem)",
        );
        rule(
            self.key.is_none() || self.chain.is_some(),
            "ssl.keystore.key",
            "is a key without its certificate (ssl.keystore.certificate.chain, ssl.certificate.location, ssl.certificate.pem)",
        );
        problems
    }
}
