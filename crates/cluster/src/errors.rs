//! What can go wrong with a connection, for programs to match on and for people to act on.

mod tls;

use std::fmt;
use std::sync::Arc;

use milena_sasl::SaslErrorKind;
use milena_wire::{BrokerId, ErrorCode, TlsFault};

/// Why the pool ended a connection, or could not make one.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LostCause {
    /// The connection could not be made.
    ConnectFailed {
        /// What the system called it.
        kind: std::io::ErrorKind,
        /// The system's own words.
        text: String,
    },
    /// Reading or writing failed.
    Io {
        /// What the system called it.
        kind: std::io::ErrorKind,
        /// The system's own words.
        text: String,
    },
    /// The connection could not be made secure, or did not stay so.
    Tls {
        /// What is wrong.
        fault: TlsFault,
        /// The details, in words.
        text: String,
    },
    /// The other side closed the connection in an orderly way, between frames or inside one.
    Closed {
        /// Bytes that ever arrived on the connection.
        bytes_received: u64,
    },
    /// Where a frame's size should be were bytes that make a negative or too large number.
    BadSize {
        /// The four bytes.
        first_bytes: [u8; 4],
    },
}

impl LostCause {
    /// What it means for the connection: `connecting` while it was being made, `silent` as long as nothing whole had
    /// arrived on it.
    pub(crate) fn judge(self, connecting: bool, silent: bool) -> (ConnErrorKind, String) {
        use std::io::ErrorKind as E;
        match self {
            Self::BadSize { first_bytes } => match LooksLike::recognise(first_bytes) {
                Some(looks_like) if silent => (ConnErrorKind::NotKafka { looks_like }, String::new()),
                _ => (ConnErrorKind::BadSize, format!("{} bytes", i32::from_be_bytes(first_bytes))),
            },
            Self::Tls { fault, text } => (ConnErrorKind::Tls(fault), text),
            Self::Closed { bytes_received: 0 } if silent => (ConnErrorKind::ClosedEarly, String::new()),
            Self::Closed { .. } => (ConnErrorKind::Closed, String::new()),
            Self::ConnectFailed { kind, text } | Self::Io { kind, text } => match kind {
                E::ConnectionRefused => (ConnErrorKind::Refused, text),
                E::HostUnreachable | E::NetworkUnreachable | E::NetworkDown | E::AddrNotAvailable => {
                    (ConnErrorKind::Unreachable, text)
                }
                E::TimedOut if connecting => (ConnErrorKind::TimedOut, text),
                E::ConnectionReset | E::ConnectionAborted | E::BrokenPipe | E::UnexpectedEof
                    if silent && !connecting =>
                {
                    (ConnErrorKind::ClosedEarly, text)
                }
                E::ConnectionReset | E::ConnectionAborted | E::BrokenPipe | E::UnexpectedEof if !connecting => {
                    (ConnErrorKind::Closed, text)
                }
                _ => (ConnErrorKind::Io, text),
            },
        }
    }
}

/// Whether the broker can have seen a request that got no answer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reached {
    /// No byte of it left this machine.
    NotSent,
    /// It was handed to a connection; the broker may have acted on it, or may act on it still.
    MaybeSent,
}

/// A request that will get no answer.
#[derive(Clone, Debug)]
pub struct RequestLost {
    /// The broker it was meant for, once that was decided.
    pub broker: Option<BrokerId>,
    /// Whether the broker can have seen it.
    pub reached: Reached,
    /// The code that stands for this loss: `REQUEST_TIMED_OUT`, `NETWORK_EXCEPTION` or `UNSUPPORTED_VERSION`.
    pub code: ErrorCode,
    /// What happened.
    pub cause: Arc<ConnError>,
}

/// What else than Kafka a port seems to speak.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LooksLike {
    /// A web server.
    Http,
    /// A TLS listener.
    Tls,
    /// An SSH server.
    Ssh,
    /// A Redis server.
    Redis,
}

impl LooksLike {
    /// Recognises a protocol by the four bytes that stand where the size of a Kafka frame should be.
    pub(crate) fn recognise(bytes: [u8; 4]) -> Option<Self> {
        match &bytes {
            b"HTTP" => Some(Self::Http),
            // A TLS alert or handshake record, of any version.
            [0x15 | 0x16, 0x03, ..] => Some(Self::Tls),
            b"SSH-" => Some(Self::Ssh),
            b"-ERR" => Some(Self::Redis),
            _ => None,
        }
    }
}

/// What went wrong with a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConnErrorKind {
    /// The name could not be resolved.
    Resolve,
    /// Nothing listens on the port.
    Refused,
    /// The network knows no way there.
    Unreachable,
    /// The connection was not usable in time.
    TimedOut,
    /// The other side speaks another protocol.
    NotKafka {
        /// Which, as far as the bytes tell.
        looks_like: LooksLike,
    },
    /// The connection could not be made secure, or did not stay so.
    Tls(TlsFault),
    /// The other side closed the connection before its first answer: often a TLS or SASL listener.
    ClosedEarly,
    /// The other side told its versions and closed the connection at the request after that, and no broker has ever answered more:
    /// most likely its listener wants SASL, and this client has none.
    ClosedAtFirstRequest,
    /// The other side closed the connection.
    Closed,
    /// A frame's size was negative or above the limit.
    BadSize,
    /// A response could not be understood.
    Malformed,
    /// A response answered another request than the oldest.
    CorrelationMismatch,
    /// A response arrived although nothing was asked.
    Unasked,
    /// A request got no answer in time.
    RequestTimeout,
    /// Closed by this side after nothing happened on it for long.
    Idle,
    /// The broker and this client have no version of a needed request in common.
    VersionsUnsupported,
    /// The broker answered a request about the connection or the cluster with an error.
    Refusal,
    /// The broker and this client could not authenticate each other by SASL.
    Authentication(SaslErrorKind),
    /// Closed by this side, to look for the cluster anew.
    Rebootstrap,
    /// A request was made without a usable connection to the broker, or with too many in flight on it.
    NotReady,
    /// Reading or writing failed otherwise.
    Io,
}

/// Why a connection could not be made, or ended. Its `Display` is for people: where, what, and what to do.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConnError {
    /// What went wrong.
    pub what: ConnErrorKind,
    /// The server as configured or advertised, with the address tried where it differs.
    pub address: String,
    /// The broker's id; `None` for a bootstrap address.
    pub broker: Option<BrokerId>,
    /// The cause in the words of whoever noticed it; may be empty.
    pub detail: String,
}

impl ConnError {
    /// An error of these parts.
    #[must_use]
    pub fn new(what: ConnErrorKind, address: String, broker: Option<BrokerId>, detail: String) -> Self {
        Self { what, address, broker, detail }
    }
}

impl fmt::Display for ConnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.broker {
            Some(id) => write!(f, "broker {id} at {}: ", self.address)?,
            None => write!(f, "bootstrap server {}: ", self.address)?,
        }
        f.write_str(self.what.text())?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        let advice = self.what.advice(self.broker.is_some());
        if advice.is_empty() { Ok(()) } else { write!(f, "; {advice}") }
    }
}

impl std::error::Error for ConnError {}

impl ConnErrorKind {
    /// Whether trying again is in vain until somebody changes something: credentials, settings, certificates.
    ///
    /// So it is if one side does not take the other for who it says it is, or they have no way in common to find out; or if who issues tokens
    /// does not take this client for who it says it is. It is not if the credentials could not be had for another reason, or the authentication came to nothing for another reason.
    #[must_use]
    pub fn is_refusal_of_identity(self) -> bool {
        match self {
            // A provider that fails may work the next time, and so may a broker that cannot look its users up.
            Self::Authentication(kind) => !matches!(kind, SaslErrorKind::NoCredentials | SaslErrorKind::Mechanism),
            Self::Tls(fault) => tls::is_refusal(fault),
            _ => false,
        }
    }

    /// What happened, in words.
    fn text(self) -> &'static str {
        match self {
            Self::Resolve => "the name cannot be resolved",
            Self::Refused => "connection refused: nothing listens on this port",
            Self::Unreachable => "the network knows no way to this address",
            Self::TimedOut => "the connection was not usable in time",
            Self::NotKafka { looks_like: LooksLike::Http } => "this port speaks HTTP, not Kafka",
            Self::NotKafka { looks_like: LooksLike::Tls } => "this port speaks TLS, and this client does not on it",
            Self::NotKafka { looks_like: LooksLike::Ssh } => "this port speaks SSH, not Kafka",
            Self::NotKafka { looks_like: LooksLike::Redis } => "this port speaks Redis' protocol, not Kafka's",
            Self::Tls(fault) => tls::text(fault),
            Self::ClosedEarly => "the other side closed the connection without answering the first request",
            Self::ClosedAtFirstRequest => {
                "the other side closed the connection at the first request, as a listener that wants SASL does to a client without"
            }
            Self::Closed => "the other side closed the connection",
            Self::BadSize => "a response has an impossible size",
            Self::Malformed => "a response cannot be understood",
            Self::CorrelationMismatch => "a response answers another request than the oldest one",
            Self::Unasked => "a response arrived that answers no request",
            Self::RequestTimeout => "a request was not answered in time",
            Self::Idle => "closed after nothing happened on it for long",
            Self::VersionsUnsupported => "the broker and this client have no version of a needed request in common",
            Self::Refusal => "the broker refused",
            Self::Authentication(kind) => kind.text(),
            Self::Rebootstrap => "closed to look for the cluster anew through the bootstrap servers",
            Self::NotReady => "there is no usable connection with room for another request",
            Self::Io => "reading or writing failed",
        }
    }

    /// What to do about it; `advertised` addresses come from the cluster, others from the configuration.
    fn advice(self, advertised: bool) -> &'static str {
        let (configured, told) = match self {
            Self::Resolve => (
                "check the spelling in bootstrap.servers, and that this machine's DNS knows the name",
                "the broker advertises a name this machine cannot resolve: check advertised.listeners on the broker, and DNS",
            ),
            Self::Refused => (
                "check the port in bootstrap.servers, and that the broker runs",
                "check that the broker runs, and that advertised.listeners names a port it listens on",
            ),
            Self::Unreachable => (
                "check the address in bootstrap.servers, routes and firewalls",
                "check that advertised.listeners on the broker can be reached from this machine, routes and firewalls",
            ),
            Self::TimedOut => (
                "check the address in bootstrap.servers, routes and firewalls; a port that accepts connections but never answers is not a Kafka listener, or an overloaded one",
                "check that advertised.listeners on the broker can be reached from this machine, routes and firewalls",
            ),
            Self::Tls(fault) => tls::advice(fault),
            Self::NotKafka { looks_like: LooksLike::Tls } => (
                "use the broker's plaintext port, or configure TLS (security.protocol=SSL or SASL_SSL)",
                "use the broker's plaintext port, or configure TLS (security.protocol=SSL or SASL_SSL)",
            ),
            Self::NotKafka { .. } => (
                "the port in bootstrap.servers belongs to another server; Kafka usually listens on 9092",
                "advertised.listeners on the broker names the port of another server",
            ),
            Self::ClosedEarly => (
                "often this listener expects TLS or SASL: check security.protocol and the port; the broker may also be restarting, or be older than 0.10",
                "often this listener expects TLS or SASL: check security.protocol and the port; the broker may also be restarting, or be older than 0.10",
            ),
            Self::ClosedAtFirstRequest => (
                "set security.protocol to SASL_PLAINTEXT or SASL_SSL, sasl.mechanism and credentials, or use the port of a listener without SASL; if the broker is only restarting, this passes",
                "set security.protocol to SASL_PLAINTEXT or SASL_SSL, sasl.mechanism and credentials, or have the broker advertise a listener without SASL; if it is only restarting, this passes",
            ),
            Self::BadSize | Self::Malformed | Self::CorrelationMismatch | Self::Unasked => (
                "the other side is not a Kafka broker, or something in between damages what it sends; the connection was closed",
                "the other side is not a Kafka broker, or something in between damages what it sends; the connection was closed",
            ),
            Self::RequestTimeout => (
                "the broker hangs or is overloaded, or the network drops packets; the connection was closed",
                "the broker hangs or is overloaded, or the network drops packets; the connection was closed",
            ),
            Self::VersionsUnsupported => {
                ("milena needs Kafka 0.11 or newer", "milena needs Kafka 0.11 or newer on every broker")
            }
            Self::Authentication(kind) => (kind.advice(), kind.advice()),
            Self::Closed | Self::Idle | Self::Refusal | Self::Rebootstrap | Self::NotReady | Self::Io => ("", ""),
        };
        if advertised { told } else { configured }
    }
}

#[cfg(test)]
mod tests;
