//! What TLS faults mean for people, and what to do about each.

use milena_wire::TlsFault as F;

/// What happened, in words.
pub(super) fn text(fault: F) -> &'static str {
    match fault {
        F::UnknownIssuer => "the broker's certificate is signed by nobody who is trusted here",
        F::WrongName => "the broker's certificate is not for this host",
        F::Expired => "the broker's certificate has expired",
        F::NotYetValid => "the broker's certificate is not valid yet",
        F::BadCertificate => "the broker's certificate cannot be used",
        F::CertificateMissing => "the broker wants a certificate of this client, and there is none",
        F::CertificateRefused => "the broker does not accept this client's certificate",
        F::NothingInCommon => "the broker and this client agree on no TLS version, cipher suite or signature",
        F::NotTls => "this port does not speak TLS",
        F::NoAnswer => "the other side closed the connection instead of answering in TLS",
        F::TimedOut => "the other side accepted the connection and did not finish the TLS handshake in time",
        _ => "the TLS connection failed",
    }
}

/// Whether one side does not believe the other, or they do not understand each other; a port without TLS may be a broker that restarts.
pub(super) fn is_refusal(fault: F) -> bool {
    !matches!(fault, F::NotTls | F::NoAnswer | F::TimedOut | F::Protocol)
}

/// What to do about it, for an address from the configuration and for one that the cluster advertises.
pub(super) fn advice(fault: F) -> (&'static str, &'static str) {
    let same = |advice| (advice, advice);
    match fault {
        F::UnknownIssuer => same(
            "name the issuer's certificate in ssl.ca.location or ssl.truststore.location; if that is there already, it is another issuer's, or an intermediate certificate is missing on the broker",
        ),
        F::WrongName => (
            "use a name in bootstrap.servers that the certificate has, or have one issued with this name among its subjectAltName",
            "advertised.listeners on the broker has to use a name that its certificate has among its subjectAltName",
        ),
        F::Expired => same("renew it on the broker, and check this machine's clock"),
        F::NotYetValid => same("check this machine's clock, and the broker's certificate"),
        F::BadCertificate => {
            same("have another one issued, with serverAuth among its uses if it names any, and no CA flag")
        }
        F::CertificateMissing => same(
            "set ssl.keystore.location, or ssl.certificate.location and ssl.key.location, to a certificate that the broker trusts",
        ),
        F::CertificateRefused => same(
            "the broker's log says why; its ssl.truststore has to have this certificate's issuer, and the certificate must not be expired",
        ),
        F::NothingInCommon => same(
            "milena speaks TLS 1.2 and 1.3; check ssl.enabled.protocols and ssl.cipher.suites on both sides, and whether the broker requires a client certificate",
        ),
        F::NotTls => {
            same("use the broker's TLS port, or security.protocol=PLAINTEXT or SASL_PLAINTEXT if there is none")
        }
        F::NoAnswer => same(
            "often this is a listener without TLS: check security.protocol and the port; the broker may also be restarting",
        ),
        F::TimedOut => same(
            "often this is a listener without TLS, or not a Kafka listener: check security.protocol and the port; the broker may also be overloaded",
        ),
        _ => same("the broker's log may say more; something in between may damage what is sent"),
    }
}

#[cfg(test)]
mod tests {
    use milena_wire::BrokerId;

    use super::F;
    use crate::errors::{ConnError, ConnErrorKind, LostCause};

    #[test]
    fn faults_say_where_what_and_what_to_do() {
        let faults = [
            F::UnknownIssuer,
            F::WrongName,
            F::Expired,
            F::NotYetValid,
            F::BadCertificate,
            F::CertificateMissing,
            F::CertificateRefused,
            F::NothingInCommon,
            F::NotTls,
            F::NoAnswer,
            F::TimedOut,
            F::Protocol,
        ];
        let mut lines = Vec::new();
        for fault in faults {
            for broker in [None, Some(BrokerId(3))] {
                let (what, address) = (ConnErrorKind::Tls(fault), "kafka-1:9093".to_owned());
                lines.push(ConnError { what, address, broker, detail: "detail".to_owned() }.to_string());
            }
        }
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn what_only_people_can_mend_is_a_refusal() {
        for (fault, refusal) in
            [(F::Expired, true), (F::CertificateMissing, true), (F::NoAnswer, false), (F::TimedOut, false)]
        {
            assert_eq!(ConnErrorKind::Tls(fault).is_refusal_of_identity(), refusal, "{fault:?}");
        }
    }

    #[test]
    fn a_fault_is_itself_whenever_it_comes_up() {
        for (connecting, silent) in [(true, false), (false, true), (false, false)] {
            let cause = LostCause::Tls { fault: F::CertificateRefused, text: "x".to_owned() };
            assert_eq!(cause.judge(connecting, silent), (ConnErrorKind::Tls(F::CertificateRefused), "x".to_owned()));
        }
    }
}
