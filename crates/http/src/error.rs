//! Why there is no answer.

use std::fmt;
use std::time::Duration;

use milena_wire::{TlsError, TlsFault};

/// Why there is no answer. Holds no part of the request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HttpError {
    /// There is no cryptography for it, or a store cannot be used.
    NoTls(String),
    /// The host has no address, or none on this machine where that is what counts.
    Unresolved(String),
    /// Nobody answers at the address.
    Unreachable(String),
    /// The other side is not who it should be, or no TLS came about.
    Tls(TlsError),
    /// No connection, with TLS on it, within this time.
    ConnectTimeout(Duration),
    /// No answer, to its end, within this time.
    AnswerTimeout(Duration),
    /// The answer is longer than this many bytes.
    TooLong(usize),
    /// What came is no HTTP, or ended too soon.
    Broken(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTls(why) => write!(f, "TLS cannot be set up: {why}"),
            Self::Unresolved(why) => write!(f, "has no address: {why}"),
            Self::Unreachable(why) => write!(f, "cannot be reached: {why}"),
            Self::Tls(error) => write!(f, "{}: {error}", what_is_wrong(error.fault)),
            Self::ConnectTimeout(after) => write!(f, "was not connected to within {} ms", after.as_millis()),
            Self::AnswerTimeout(after) => write!(f, "did not answer within {} ms", after.as_millis()),
            Self::TooLong(limit) => write!(f, "answers with more than {limit} bytes"),
            Self::Broken(why) => write!(f, "does not answer as HTTP has it: {why}"),
        }
    }
}

impl std::error::Error for HttpError {}

fn what_is_wrong(fault: TlsFault) -> &'static str {
    match fault {
        TlsFault::UnknownIssuer => {
            "shows a certificate of nobody who is trusted here (https.ca.location names other authorities)"
        }
        TlsFault::WrongName => "shows a certificate for other names",
        TlsFault::Expired | TlsFault::NotYetValid => "shows a certificate that is not valid now",
        TlsFault::BadCertificate => "shows a certificate that cannot be used",
        TlsFault::CertificateMissing | TlsFault::CertificateRefused => "wants to be shown another certificate",
        TlsFault::NotTls | TlsFault::NoAnswer => "does not speak TLS",
        _ => "cannot be spoken to in TLS",
    }
}
