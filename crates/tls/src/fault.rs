//! From rustls' errors to the few things that a person can do something about.

use std::io;

use milena_wire::{TlsError, TlsFault};
use rustls::{AlertDescription, CertificateError, Error};

/// Where in a connection's life an error came up, and what this side had shown by then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// During the handshake.
    pub(crate) opening: bool,
    /// This side has a certificate of its own to show.
    pub(crate) has_identity: bool,
}

/// `error` with its [`TlsError`] inside, if it is TLS' business.
pub(crate) fn explain(error: io::Error, moment: Moment) -> io::Error {
    if TlsError::of(&error).is_some() {
        return error;
    }
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return TlsError::new(fault(tls, moment), tls.to_string()).into();
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
            if moment.opening =>
        {
            TlsError::new(TlsFault::NoAnswer, error.to_string()).into()
        }
        _ => error,
    }
}

fn fault(error: &Error, moment: Moment) -> TlsFault {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => alerted(*alert, moment),
        // The first bytes that come back are no TLS record: nobody else sends such things.
        Error::InvalidMessage(_) if moment.opening => TlsFault::NotTls,
        Error::PeerIncompatible(_) => TlsFault::NothingInCommon,
        _ => TlsFault::Protocol,
    }
}

fn certificate(error: &CertificateError) -> TlsFault {
    match error {
        // A bad signature: somebody trusted has the issuer's name, but not its key. An authority that was made anew, most often.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFault::UnknownIssuer,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => TlsFault::WrongName,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFault::NotYetValid,
        _ => TlsFault::BadCertificate,
    }
}

/// What the other side's last word means. Those about certificates can only be about this side's.
fn alerted(alert: AlertDescription, moment: Moment) -> TlsFault {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired | A::NoCertificate => TlsFault::CertificateMissing,
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::AccessDenied => {
            if moment.has_identity {
                TlsFault::CertificateRefused
            } else {
                TlsFault::CertificateMissing
            }
        }
        // The signature that the key was to make, or the one on the certificate, does not hold.
        A::DecryptError if moment.has_identity => TlsFault::CertificateRefused,
        A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity | A::MissingExtension => {
            TlsFault::NothingInCommon
        }
        _ => TlsFault::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: Error, opening: bool, has_identity: bool) -> Option<TlsFault> {
        let error = io::Error::new(io::ErrorKind::InvalidData, error);
        TlsError::of(&explain(error, Moment { opening, has_identity })).map(|error| error.fault)
    }

    #[test]
    fn an_alert_about_a_certificate_depends_on_whether_one_was_shown() {
        let refused = Error::AlertReceived(AlertDescription::BadCertificate);
        assert_eq!(told(refused.clone(), false, true), Some(TlsFault::CertificateRefused));
        assert_eq!(told(refused, false, false), Some(TlsFault::CertificateMissing));
        let required = Error::AlertReceived(AlertDescription::CertificateRequired);
        assert_eq!(told(required, false, true), Some(TlsFault::CertificateMissing));
    }

    #[test]
    fn a_lost_connection_is_tlss_business_only_before_it_is_secure() {
        for kind in [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset] {
            let moment = |opening| Moment { opening, has_identity: false };
            let opening = explain(kind.into(), moment(true));
            assert_eq!(TlsError::of(&opening).map(|error| error.fault), Some(TlsFault::NoAnswer));
            assert!(TlsError::of(&explain(kind.into(), moment(false))).is_none());
        }
        let odd = Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        assert_eq!(told(odd.clone(), true, false), Some(TlsFault::NotTls));
        assert_eq!(told(odd, false, false), Some(TlsFault::Protocol));
    }
}
