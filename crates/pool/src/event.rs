//! What a pool reports.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use milena_wire::{TlsError, TlsFault};

/// A connection, numbered by whoever asked for it. Never used twice in one pool.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnId(pub u64);

/// A name resolution, numbered by whoever asked for it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct QueryId(pub u64);

/// Something that happened to a connection or a query.
///
/// Events of one connection arrive in the order in which they happened. What was reported before a
/// [`close`](crate::Pool::close) may still arrive after it, and before the connection's `Lost`.
#[derive(Clone, Debug)]
#[must_use = "an event that is dropped is never told again"]
#[non_exhaustive]
pub enum PoolEvent {
    /// A query ended: the addresses in the order to try them, or why there are none. Never an empty list.
    Resolved {
        /// Which query.
        query: QueryId,
        /// The addresses, or what went wrong in words for people.
        result: Result<Vec<SocketAddr>, String>,
    },
    /// The other side is reached, and the connection is being made secure. Not told where nothing makes it that.
    Opened {
        /// Which connection.
        conn: ConnId,
    },
    /// The connection is open, and secure if it is to be.
    Connected {
        /// Which connection.
        conn: ConnId,
    },
    /// A frame arrived whole.
    Received {
        /// On which connection.
        conn: ConnId,
        /// The frame without its 4-byte size.
        frame: Bytes,
    },
    /// The kernel took the last byte of the oldest frame not yet reported, encrypted where it is to be. Told once per frame, in order.
    Written {
        /// On which connection.
        conn: ConnId,
    },
    /// The connection is gone, or never came to be. The last event of a connection, told exactly once.
    Lost {
        /// Which connection.
        conn: ConnId,
        /// Why.
        cause: LostCause,
        /// Of how many frames, from the connection's first, any byte may have left; of those after them, sent before or after this event,
        /// none did. `None`: unknown, any may have left.
        begun: Option<u64>,
    },
}

/// Why a connection ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LostCause {
    /// It could not be opened.
    Dial {
        /// What kind of error the connector gave.
        kind: io::ErrorKind,
        /// The error in words.
        message: String,
    },
    /// The peer closed it.
    Eof {
        /// The first bytes of a frame that had begun but not ended, its size included; at most 64 of them.
        partial: Bytes,
        /// How many bytes arrived in the connection's whole life. None often means that the peer expected TLS.
        bytes_received: u64,
    },
    /// The peer sent a size that is negative or above the cap.
    ///
    /// Most often the peer is no Kafka broker, or speaks TLS.
    FrameSize {
        /// The size as it was sent.
        size: i32,
        /// The most that was allowed.
        limit: usize,
        /// The first bytes that arrived, those of the size included; at most 64 of them.
        start: Bytes,
    },
    /// Reading or writing failed.
    Io {
        /// What kind of error it was.
        kind: io::ErrorKind,
        /// The error in words.
        message: String,
    },
    /// It could not be made secure, or could not stay so.
    Tls {
        /// What is wrong.
        fault: TlsFault,
        /// The details in words.
        message: String,
    },
    /// [`Pool::close`](crate::Pool::close) was called.
    ClosedHere,
    /// A [`Connector`](crate::Connector), or the stream it made, panicked.
    Panicked {
        /// What the panic said.
        message: String,
    },
}

impl LostCause {
    pub(crate) fn dial(error: &io::Error) -> Self {
        Self::tls(error).unwrap_or_else(|| Self::Dial { kind: error.kind(), message: error.to_string() })
    }

    pub(crate) fn io(error: &io::Error) -> Self {
        Self::tls(error).unwrap_or_else(|| Self::Io { kind: error.kind(), message: error.to_string() })
    }

    fn tls(error: &io::Error) -> Option<Self> {
        TlsError::of(error).map(|tls| Self::Tls { fault: tls.fault, message: tls.to_string() })
    }
}

impl fmt::Display for LostCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial { message, .. } => write!(f, "could not connect: {message}"),
            Self::Eof { partial, .. } if partial.is_empty() => f.write_str("the peer closed the connection"),
            Self::Eof { .. } => f.write_str("the peer closed the connection in the middle of a frame"),
            Self::FrameSize { size, limit, .. } => {
                write!(f, "the peer announced a frame of {size} bytes, where 0 to {limit} are allowed")
            }
            Self::Io { message, .. } => write!(f, "reading or writing failed: {message}"),
            Self::Tls { fault, message } => write!(f, "the connection is not secure ({fault:?}): {message}"),
            Self::ClosedHere => f.write_str("closed by this client"),
            Self::Panicked { message } => write!(f, "the connector or its stream panicked: {message}"),
        }
    }
}
