//! What can go wrong with TLS, in the words that all crates share: who encrypts finds out, who decides acts on it.

use std::fmt;

/// What is wrong with a TLS connection, seen from this side.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TlsFault {
    /// The other side's certificate is signed by nobody who is trusted here.
    UnknownIssuer,
    /// The other side's certificate is for other names than the one that was connected to.
    WrongName,
    /// The other side's certificate, or one it depends on, is valid no more.
    Expired,
    /// The other side's certificate, or one it depends on, is not valid yet.
    NotYetValid,
    /// The other side's certificate is unusable for another reason.
    BadCertificate,
    /// The other side wants a certificate, and this side has none to show.
    CertificateMissing,
    /// The other side does not accept the certificate it was shown.
    CertificateRefused,
    /// No version, cipher suite or signature scheme in common.
    NothingInCommon,
    /// What came back is not TLS.
    NotTls,
    /// The other side closed the connection without a word that explains it, before it was secure.
    NoAnswer,
    /// The handshake did not end in time.
    TimedOut,
    /// The other side broke the protocol, or says that this side did.
    Protocol,
}

/// A [`TlsFault`] with what the TLS library says about it. Inside an [`io::Error`](std::io::Error) it tells whoever owns the
/// connection what a mere kind cannot.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TlsError {
    /// What is wrong.
    pub fault: TlsFault,
    /// The details, in words for people; may be empty.
    pub detail: String,
}

impl TlsError {
    /// An error of these parts.
    pub fn new(fault: TlsFault, detail: impl Into<String>) -> Self {
        Self { fault, detail: detail.into() }
    }

    /// The TLS error inside `error`, if that is what it is.
    #[must_use]
    pub fn of(error: &std::io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.detail.is_empty() { write!(f, "TLS: {:?}", self.fault) } else { f.write_str(&self.detail) }
    }
}

impl std::error::Error for TlsError {}

impl From<TlsError> for std::io::Error {
    fn from(error: TlsError) -> Self {
        Self::other(error)
    }
}
