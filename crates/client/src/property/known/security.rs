//! TLS and SASL.

use milena_sasl::Secret;

use super::{Known, applied, ignored, only, refused};
use crate::property::value::Wrong;
use crate::sasl::Password;
use crate::security::{Source, StoreType, UnknownProtocol};

pub(super) const JAVA: &str = "it chooses among Java's own classes";
const TRUST: &str = "what is trusted";
const CHAIN: &str = "the certificate";
const KEY: &str = "the key";
pub(super) const IN_CODE: &str = "it is set in code and not by a property";

pub(super) static SECURITY: &[Known] = &[
    applied("security.protocol", "PLAINTEXT", |draft, value| {
        let protocol =
            value.parse().map_err(|unknown: UnknownProtocol| Wrong::new("is no protocol").hint(unknown.to_string()))?;
        draft.settings.client.security_protocol = Some(protocol);
        match protocol {
            secured if !cfg!(feature = "tls") && secured.has_tls() => {
                Err(Wrong::new("is TLS, which this build is without (feature `tls`)"))
            }
            _ => Ok(()),
        }
    })
    .note("`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`"),
    applied("ssl.endpoint.identification.algorithm", "https", |draft, value| {
        let check = match value.to_ascii_lowercase().as_str() {
            "https" => true,
            "" | "none" => false,
            _ => return Err(Wrong::new("is no way to check a name").hint("there are https, and none or an empty value for no check")),
        };
        draft.tls("whether names are checked")?.check_host_name = Some(check);
        Ok(())
    })
    .note("whether the broker's certificate must be for the host that was connected to. Empty or `none` is dangerous: any certificate of any trusted issuer will do"),
    applied("ssl.truststore.location", "", |draft, value| {
        draft.tls(TRUST)?.trust = Some(Source::File(value.into()));
        Ok(())
    })
    .note("the certificates that are trusted: PEM or PKCS#12, a file or a folder. By default those of the operating system"),
    applied("ssl.truststore.certificates", "", |draft, value| {
        draft.tls(TRUST)?.trust = Some(text(value)?);
        Ok(())
    })
    .note("the certificates that are trusted, in PEM"),
    applied("ssl.truststore.type", "by content", |draft, value| {
        draft.tls("the trust store's type")?.trust_type = Some(store_type(value)?);
        Ok(())
    })
    .note("`PEM` or `PKCS12`. A `JKS` store has to be converted"),
    applied("ssl.truststore.password", "", |draft, value| {
        draft.tls("the trust store's password")?.trust_password = Some(Secret::new(value));
        Ok(())
    })
    .note("opens a PKCS#12 trust store"),
    applied("ssl.ca.location", "", |draft, value| {
        draft.tls(TRUST)?.trust = Some(match value {
            "probe" => Source::System,
            path => Source::File(path.into()),
        });
        Ok(())
    })
    .note("librdkafka's `ssl.truststore.location`; `probe` for the operating system's"),
    applied("ssl.ca.pem", "", |draft, value| {
        draft.tls(TRUST)?.trust = Some(text(value)?);
        Ok(())
    })
    .note("librdkafka's `ssl.truststore.certificates`"),
    applied("ssl.keystore.location", "", |draft, value| {
        draft.tls("the key store")?.key_store = Some(Source::File(value.into()));
        Ok(())
    })
    .note("the client's certificate chain and key in one file, PEM or PKCS#12"),
    applied("ssl.keystore.type", "by content", |draft, value| {
        draft.tls("the key store's type")?.key_store_type = Some(store_type(value)?);
        Ok(())
    })
    .note("as `ssl.truststore.type`"),
    applied("ssl.keystore.password", "", |draft, value| {
        draft.tls("the key store's password")?.key_store_password = Some(Secret::new(value));
        Ok(())
    })
    .note("opens a PKCS#12 key store"),
    applied("ssl.keystore.certificate.chain", "", |draft, value| {
        draft.tls(CHAIN)?.chain = Some(text(value)?);
        Ok(())
    })
    .note("the client's certificate chain, in PEM"),
    applied("ssl.keystore.key", "", |draft, value| {
        draft.tls(KEY)?.key = Some(text(value)?);
        Ok(())
    })
    .note("the client's key, in PEM: PKCS#8, encrypted or not, PKCS#1 or SEC1"),
    applied("ssl.certificate.location", "", |draft, value| {
        draft.tls(CHAIN)?.chain = Some(Source::File(value.into()));
        Ok(())
    })
    .note("librdkafka's file with the client's certificate chain"),
    applied("ssl.certificate.pem", "", |draft, value| {
        draft.tls(CHAIN)?.chain = Some(text(value)?);
        Ok(())
    })
    .note("librdkafka's `ssl.keystore.certificate.chain`"),
    applied("ssl.key.location", "", |draft, value| {
        draft.tls(KEY)?.key = Some(Source::File(value.into()));
        Ok(())
    })
    .note("librdkafka's file with the client's key"),
    applied("ssl.key.pem", "", |draft, value| {
        draft.tls(KEY)?.key = Some(text(value)?);
        Ok(())
    })
    .note("librdkafka's `ssl.keystore.key`"),
    applied("ssl.key.password", "", |draft, value| {
        draft.tls("the key's password")?.key_password = Some(Secret::new(value));
        Ok(())
    })
    .note("opens an encrypted key in PEM"),
    applied("ssl.enabled.protocols", "TLSv1.2,TLSv1.3", |draft, value| {
        draft.tls("the protocol versions")?.versions = Some(versions(value)?);
        Ok(())
    })
    .note("`TLSv1.2`, `TLSv1.3` or both; there are no others"),
    applied("ssl.cipher.suites", "", |draft, value| {
        let names: Vec<String> = list(value).map(ToOwned::to_owned).collect();
        let iana = |name: &String| name.starts_with("TLS_");
        if !names.iter().all(iana) {
            return Err(Wrong::new("has a name that is not IANA's").hint("as Java has them, for example TLS_AES_256_GCM_SHA384"));
        }
        draft.tls("the cipher suites")?.cipher_suites = (!names.is_empty()).then_some(names);
        Ok(())
    })
    .note("the suites to offer, best first, by IANA's names; by default all that are safe"),
    only("enable.ssl.certificate.verification", &["true", "1", "t"], "certificates are always checked; trust the broker's issuer with `ssl.ca.location`, and leave out the check of names alone with `ssl.endpoint.identification.algorithm=none`"),
    refused("ssl.crl.location", "lists of revoked certificates are not read, and leaving one out in silence would be wrong"),
    ignored("security.providers", JAVA),
    ignored("ssl.protocol", "`ssl.enabled.protocols` says which versions are used"),
    ignored("ssl.provider", JAVA),
    ignored("ssl.providers", "OpenSSL's providers have no place in a client without OpenSSL"),
    ignored("ssl.curves.list", "the provider's order is used, X25519 with ML-KEM first"),
    ignored("ssl.sigalgs.list", "all that the provider has are offered; none is weak"),
    ignored("ssl.ca.certificate.stores", "the operating system's own stores are used when no other is given"),
    ignored("ssl.keymanager.algorithm", JAVA),
    ignored("ssl.trustmanager.algorithm", JAVA),
    ignored("ssl.secure.random.implementation", JAVA),
    refused("ssl.engine.factory.class", "a Java class has no counterpart here; another cryptography is set in code"),
    refused("ssl.engine.location", "OpenSSL engines have no place in a client without OpenSSL"),
    ignored("ssl.engine.id", "`ssl.engine.location` is refused"),
    applied("sasl.mechanism", "none", |draft, value| {
        draft.sasl().mechanism = Some(value.to_owned());
        Ok(())
    })
    .alias(&["sasl.mechanisms"])
    .note("`PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`; must be set with SASL, since Kafka's default, `GSSAPI`, can only be plugged in in code"),
    applied("sasl.jaas.config", "", |draft, value| {
        draft.sasl().jaas = Some(Secret::new(value));
        Ok(())
    })
    .note("Java's `PlainLoginModule`, `ScramLoginModule` (with `tokenauth=\"true\"` for a delegation token) and `OAuthBearerLoginModule` with their `username` and `password`, or `unsecuredLoginStringClaim_sub`"),
    applied("sasl.username", "", |draft, value| {
        draft.sasl().username = Some(value.to_owned());
        Ok(())
    })
    .note("the user"),
    applied("sasl.password", "", |draft, value| draft.password(Password::from(value)))
    .note("the user's password. Whoever may list processes sees it on a command line: there, one of the next two is better"),
    applied("milena.sasl.password.file", "", |draft, value| draft.password(Password::File(value.into())))
    .note("the file that holds the password; it is read for every authentication, so that a new password needs no restart"),
    applied("milena.sasl.password.env", "", |draft, value| match std::env::var(value) {
        Ok(password) => draft.password(Password::Fixed(password.into())),
        Err(_) => Err(Wrong::new("is not the name of an environment variable that is set")),
    })
    .note("the environment variable that holds the password"),
    ignored("sasl.client.callback.handler.class", JAVA),
    ignored("sasl.login.callback.handler.class", JAVA),
    ignored("sasl.login.class", JAVA),
    ignored("sasl.kerberos.*", "GSSAPI can only be plugged in in code"),
    refused("ssl_key", IN_CODE),
    refused("ssl_certificate", IN_CODE),
    refused("ssl_ca", IN_CODE),
    refused("ssl_engine_callback_data", IN_CODE),
    refused("ssl.certificate.verify_cb", IN_CODE),
];

pub(super) fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split([',', ':']).map(str::trim).filter(|name| !name.is_empty())
}

pub(super) fn text(value: &str) -> Result<Source, Wrong> {
    if value.contains("-----BEGIN ") {
        return Ok(Source::Text(Secret::new(value)));
    }
    Err(Wrong::new("is not PEM")
        .hint("the text itself belongs here, beginning with -----BEGIN; a file's name goes into ssl.….location"))
}

fn store_type(value: &str) -> Result<StoreType, Wrong> {
    match value.to_ascii_uppercase().as_str() {
        "PEM" => Ok(StoreType::Pem),
        "PKCS12" => Ok(StoreType::Pkcs12),
        "JKS" => Ok(StoreType::Jks),
        _ => Err(Wrong::new("is no type of store").hint("there are PEM and PKCS12")),
    }
}

/// Whether 1.2 and 1.3 are in a list.
fn versions(value: &str) -> Result<(bool, bool), Wrong> {
    let mut versions = (false, false);
    for name in list(value) {
        match name {
            "TLSv1.2" => versions.0 = true,
            "TLSv1.3" => versions.1 = true,
            _ => return Err(Wrong::new("has a version that is not spoken here").hint("there are TLSv1.2 and TLSv1.3")),
        }
    }
    if versions == (false, false) {
        return Err(Wrong::new("names no version").hint("there are TLSv1.2 and TLSv1.3"));
    }
    Ok(versions)
}
