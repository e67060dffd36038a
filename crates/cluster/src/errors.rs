//! What can go wrong with a connection, for programs to match on and for people to act on.

use std::fmt;
use std::sync::Arc;

use milena_wire::{BrokerId, ErrorCode};

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
    /// Nothing known.
    Unknown,
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
    /// The other side closed the connection before its first answer: often a TLS or SASL listener.
    ClosedEarly,
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
    /// Closed by this side, to look for the cluster anew.
    Rebootstrap,
    /// The broker is not, or no longer, part of the cluster as far as is known.
    UnknownBroker,
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

impl fmt::Display for ConnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.what, self.address)
    }
}

impl std::error::Error for ConnError {}
