//! Why authentication fails.

use std::fmt;

/// What went wrong, for programs to match on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SaslErrorKind {
    /// There are no credentials to authenticate with: their provider failed, or they cannot be used as they are.
    NoCredentials,
    /// The broker does not offer the mechanism.
    NotOffered,
    /// The broker refuses the credentials.
    Refused,
    /// The broker refuses the token.
    TokenRefused,
    /// Whoever issues tokens refuses this client: its name, its password, or what it asks for. To be told by a provider of tokens whose
    /// issuer gave a definite no; an issuer that is away, overloaded or broken is [`NoCredentials`](Self::NoCredentials).
    IssuerRefused,
    /// The broker did not expect authentication at this point.
    IllegalState,
    /// The broker wants keys to be derived with fewer iterations than are safe, or with more than are sensible.
    Iterations,
    /// The broker answers a challenge that was not put to it.
    Nonce,
    /// The broker could not prove that it knows the password either.
    ServerSignature,
    /// What the broker says makes no sense in this mechanism.
    Challenge,
    /// The mechanism failed in a way of its own.
    Mechanism,
}

impl SaslErrorKind {
    /// What happened, in words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::NoCredentials => "there are no credentials to authenticate with",
            Self::NotOffered => "the broker does not offer the SASL mechanism",
            Self::Refused => "the broker refuses the credentials",
            Self::TokenRefused => "the broker refuses the token",
            Self::IssuerRefused => "the issuer of tokens refuses this client",
            Self::IllegalState => "the broker did not expect SASL at this point",
            Self::Iterations => "the broker asks for an iteration count that is not acceptable",
            Self::Nonce => "the broker answers a SASL challenge that was not put to it",
            Self::ServerSignature => "the broker could not prove that it knows the password",
            Self::Challenge => "the broker's part of the SASL exchange makes no sense",
            Self::Mechanism => "the SASL mechanism failed",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::NoCredentials => {
                "check sasl.username and sasl.password or sasl.jaas.config, the file that the password or token comes from, the token endpoint, or the token provider"
            }
            Self::NotOffered => {
                "set sasl.mechanism to one that the broker offers, or add this one to sasl.enabled.mechanisms of that listener"
            }
            Self::Refused => {
                "check user name and password, that the user exists on the broker for this very mechanism, and that the credentials have not been changed or deleted"
            }
            Self::TokenRefused => {
                "check issuer, audience and scope of the token, that it has not expired, and both clocks"
            }
            Self::IssuerRefused => {
                "check the client's id and secret with the token endpoint, that the client may use the grant client_credentials there, and the scope"
            }
            Self::IllegalState => {
                "check that security.protocol fits the listener: SASL_PLAINTEXT or SASL_SSL where the listener has SASL, PLAINTEXT or SSL where it has not"
            }
            Self::Iterations => {
                "create the user's SCRAM credentials anew with at least 4096 iterations; a count beyond reason may come from an impostor"
            }
            Self::Nonce | Self::ServerSignature => {
                "it may be an impostor, or something in between changes the exchange: check the address, and use TLS (security.protocol=SASL_SSL)"
            }
            Self::Challenge => "check that the port belongs to a Kafka listener with this mechanism",
            Self::Mechanism => "",
        }
    }
}

/// Why an exchange failed. Holds no part of the credentials.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SaslError {
    /// What went wrong.
    pub kind: SaslErrorKind,
    /// The particulars, in words; may be empty.
    pub detail: String,
}

impl SaslError {
    /// An error with its particulars, which must not hold any part of the credentials.
    #[must_use]
    pub fn new(kind: SaslErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// There is nothing to authenticate with.
    #[must_use]
    pub fn no_credentials(detail: impl Into<String>) -> Self {
        Self::new(SaslErrorKind::NoCredentials, detail)
    }

    pub(crate) fn challenge(detail: impl Into<String>) -> Self {
        Self::new(SaslErrorKind::Challenge, detail)
    }
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.text())?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, " ({})", self.detail) }
    }
}

impl std::error::Error for SaslError {}
