//! TLS and SASL, which are not there yet.

use super::{Known, applied, ignored, refused};
use crate::property::value::Wrong;
use crate::security::{SecurityProtocol, UnknownProtocol};

/// What is accepted without effect stays so when security.protocol is PLAINTEXT, in Java and librdkafka as well; and
/// any other protocol is refused.
const TLS: &str = "it counts with security.protocol=SSL or SASL_SSL alone, which are not in this build yet";
const SASL: &str = "it counts with security.protocol=SASL_PLAINTEXT or SASL_SSL alone, which are not in this build yet";
const IN_CODE: &str = "it is set in code and not by a property";

pub(super) static SECURITY: &[Known] = &[
    applied("security.protocol", "PLAINTEXT", |draft, value| {
        let protocol =
            value.parse().map_err(|unknown: UnknownProtocol| Wrong::new("is no protocol").hint(unknown.to_string()))?;
        draft.settings.client.security_protocol = Some(protocol);
        match protocol {
            SecurityProtocol::Plaintext => Ok(()),
            SecurityProtocol::Ssl => Err(Wrong::new("is TLS, which is not in this build yet")),
            SecurityProtocol::SaslPlaintext => Err(Wrong::new("is SASL, which is not in this build yet")),
            SecurityProtocol::SaslSsl => Err(Wrong::new("is SASL over TLS, which is not in this build yet")),
        }
    })
    .note("`PLAINTEXT` alone; TLS and SASL are not in this build yet"),
    ignored("security.providers", TLS),
    ignored("ssl.protocol", TLS),
    ignored("ssl.provider", TLS),
    ignored("ssl.providers", TLS),
    ignored("ssl.cipher.suites", TLS),
    ignored("ssl.curves.list", TLS),
    ignored("ssl.sigalgs.list", TLS),
    ignored("ssl.enabled.protocols", TLS),
    ignored("ssl.endpoint.identification.algorithm", TLS),
    ignored("ssl.keystore.type", TLS),
    ignored("ssl.keystore.location", TLS),
    ignored("ssl.keystore.password", TLS),
    ignored("ssl.keystore.key", TLS),
    ignored("ssl.keystore.certificate.chain", TLS),
    ignored("ssl.key.location", TLS),
    ignored("ssl.key.password", TLS),
    ignored("ssl.key.pem", TLS),
    ignored("ssl.certificate.location", TLS),
    ignored("ssl.certificate.pem", TLS),
    ignored("ssl.truststore.type", TLS),
    ignored("ssl.truststore.location", TLS),
    ignored("ssl.truststore.password", TLS),
    ignored("ssl.truststore.certificates", TLS),
    ignored("ssl.ca.location", TLS),
    ignored("ssl.ca.pem", TLS),
    ignored("ssl.ca.certificate.stores", TLS),
    ignored("ssl.crl.location", TLS),
    ignored("ssl.keymanager.algorithm", TLS),
    ignored("ssl.trustmanager.algorithm", TLS),
    ignored("ssl.secure.random.implementation", TLS),
    ignored("ssl.engine.factory.class", TLS),
    ignored("ssl.engine.location", TLS),
    ignored("ssl.engine.id", TLS),
    ignored("enable.ssl.certificate.verification", TLS),
    ignored("https.ca.location", SASL),
    ignored("https.ca.pem", SASL),
    ignored("sasl.mechanism", SASL).alias(&["sasl.mechanisms"]),
    ignored("sasl.jaas.config", SASL),
    ignored("sasl.username", SASL),
    ignored("sasl.password", SASL),
    ignored("sasl.client.callback.handler.class", SASL),
    ignored("sasl.login.callback.handler.class", SASL),
    ignored("sasl.login.class", SASL),
    ignored("sasl.login.connect.timeout.ms", SASL),
    ignored("sasl.login.read.timeout.ms", SASL),
    ignored("sasl.login.retry.backoff.ms", SASL),
    ignored("sasl.login.retry.backoff.max.ms", SASL),
    ignored("sasl.login.refresh.window.factor", SASL),
    ignored("sasl.login.refresh.window.jitter", SASL),
    ignored("sasl.login.refresh.min.period.seconds", SASL),
    ignored("sasl.login.refresh.buffer.seconds", SASL),
    ignored("sasl.kerberos.*", SASL),
    ignored("sasl.oauthbearer.*", SASL),
    ignored("enable.sasl.oauthbearer.unsecure.jwt", SASL),
    refused("oauthbearer_token_refresh_cb", IN_CODE),
    refused("ssl_key", IN_CODE),
    refused("ssl_certificate", IN_CODE),
    refused("ssl_ca", IN_CODE),
    refused("ssl_engine_callback_data", IN_CODE),
    refused("ssl.certificate.verify_cb", IN_CODE),
];
