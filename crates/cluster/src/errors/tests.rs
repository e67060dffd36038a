use std::io::ErrorKind;

use super::*;

fn io(kind: ErrorKind, text: &str) -> LostCause {
    LostCause::Io { kind, text: text.to_owned() }
}

fn failed(kind: ErrorKind, text: &str) -> LostCause {
    LostCause::ConnectFailed { kind, text: text.to_owned() }
}

#[test]
fn every_way_to_lose_a_connection_has_its_name() {
    use ConnErrorKind as K;
    let http = K::NotKafka { looks_like: LooksLike::Http };
    let tls = K::NotKafka { looks_like: LooksLike::Tls };
    let bad = |first_bytes| LostCause::BadSize { first_bytes };
    let closed = |bytes_received| LostCause::Closed { bytes_received };
    // (cause, while connecting, before the first answer, after it)
    let cases = [
        (failed(ErrorKind::ConnectionRefused, "x"), Some(K::Refused), None, None),
        (failed(ErrorKind::HostUnreachable, "x"), Some(K::Unreachable), None, None),
        (failed(ErrorKind::NetworkUnreachable, "x"), Some(K::Unreachable), None, None),
        (failed(ErrorKind::TimedOut, "x"), Some(K::TimedOut), None, None),
        (failed(ErrorKind::PermissionDenied, "x"), Some(K::Io), None, None),
        (io(ErrorKind::ConnectionReset, "x"), Some(K::Io), Some(K::ClosedEarly), Some(K::Closed)),
        (io(ErrorKind::BrokenPipe, "x"), Some(K::Io), Some(K::ClosedEarly), Some(K::Closed)),
        (io(ErrorKind::Other, "x"), Some(K::Io), Some(K::Io), Some(K::Io)),
        (closed(0), None, Some(K::ClosedEarly), None),
        (closed(3), None, Some(K::Closed), Some(K::Closed)),
        (bad(*b"HTTP"), None, Some(http), Some(K::BadSize)),
        (bad([0x15, 3, 3, 0]), None, Some(tls), Some(K::BadSize)),
        (bad([0x15, 3, 1, 0]), None, Some(tls), Some(K::BadSize)),
        (bad([0xff; 4]), None, Some(K::BadSize), Some(K::BadSize)),
        (bad([0x7f, 0xff, 0xff, 0xff]), None, Some(K::BadSize), Some(K::BadSize)),
    ];
    for (cause, connecting, silent, later) in cases {
        let judge = |connecting, silent| cause.clone().judge(connecting, silent).0;
        assert!(connecting.is_none_or(|kind| judge(true, false) == kind), "{cause:?} while connecting");
        assert!(silent.is_none_or(|kind| judge(false, true) == kind), "{cause:?} before the first answer");
        assert!(later.is_none_or(|kind| judge(false, false) == kind), "{cause:?} after it");
    }
}

#[test]
fn errors_say_where_what_and_what_to_do() {
    use ConnErrorKind as K;
    let kinds = [
        K::Resolve,
        K::Refused,
        K::Unreachable,
        K::TimedOut,
        K::NotKafka { looks_like: LooksLike::Http },
        K::NotKafka { looks_like: LooksLike::Tls },
        K::NotKafka { looks_like: LooksLike::Ssh },
        K::NotKafka { looks_like: LooksLike::Redis },
        K::ClosedEarly,
        K::ClosedAtFirstRequest,
        K::Closed,
        K::BadSize,
        K::Malformed,
        K::CorrelationMismatch,
        K::Unasked,
        K::RequestTimeout,
        K::Idle,
        K::VersionsUnsupported,
        K::Refusal,
        K::Rebootstrap,
        K::NotReady,
        K::Io,
    ];
    let mut lines = Vec::new();
    for what in kinds {
        for broker in [None, Some(BrokerId(3))] {
            let address = "kafka-1:9092 (10.0.0.5:9092)".to_owned();
            lines.push(ConnError { what, address, broker, detail: "detail".to_owned() }.to_string());
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}
