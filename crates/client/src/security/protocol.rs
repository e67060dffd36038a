//! How a listener is spoken to.

use std::fmt;
use std::str::FromStr;

/// What lies between the client and a listener: Kafka's `security.protocol`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated. The default.
    #[default]
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL, not encrypted.
    SaslPlaintext,
    /// SASL inside TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// Whether connections are encrypted.
    #[must_use]
    pub fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// Whether the client authenticates with SASL before anything else.
    #[must_use]
    pub fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    /// Kafka's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no [`SecurityProtocol`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnknownProtocol;

impl fmt::Display for UnknownProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there are PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL")
    }
}

impl std::error::Error for UnknownProtocol {}

impl FromStr for SecurityProtocol {
    type Err = UnknownProtocol;

    /// Upper or lower case, as Java and librdkafka take it.
    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        let all = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];
        all.into_iter().find(|protocol| protocol.name().eq_ignore_ascii_case(text)).ok_or(UnknownProtocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_and_written_as_kafka_does() {
        for (text, protocol, tls, sasl) in [
            ("PLAINTEXT", SecurityProtocol::Plaintext, false, false),
            ("ssl", SecurityProtocol::Ssl, true, false),
            ("Sasl_Plaintext", SecurityProtocol::SaslPlaintext, false, true),
            ("SASL_SSL", SecurityProtocol::SaslSsl, true, true),
        ] {
            assert_eq!(text.parse(), Ok(protocol));
            assert_eq!(protocol.to_string(), text.to_uppercase());
            assert_eq!((protocol.has_tls(), protocol.has_sasl()), (tls, sasl));
        }
        assert_eq!("TLS".parse::<SecurityProtocol>(), Err(UnknownProtocol));
    }
}
