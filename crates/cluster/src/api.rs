//! What goes into a [`Cluster`](crate::Cluster) and what comes out of it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use milena_sasl::{SaslError, Step};
use milena_wire::message::{init_producer_id, produce};
use milena_wire::{ApiVersion, BrokerId, Frame};

use crate::errors::{ConnError, LostCause, RequestLost};

/// Names one connection, for ever: ids are never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnId(pub u64);

/// Names one name resolution.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct QueryId(pub u64);

/// Names one request made through [`send_produce`](crate::Cluster::send_produce) or [`control`](crate::Cluster::control).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub u64);

/// What the world tells the cluster. What concerns a connection or query that is over is ignored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// Nothing happened, but time passed.
    Tick,
    /// A name was resolved, or could not be.
    Resolved {
        /// Of which [`Output::Resolve`].
        query: QueryId,
        /// All addresses in the order of preference, or why there are none.
        result: Result<Vec<SocketAddr>, String>,
    },
    /// The other side is reached, and the connection is being made secure. Not told of connections that are not.
    Opened {
        /// Which.
        conn: ConnId,
    },
    /// A connection is there, and bytes can be written.
    Connected {
        /// Which.
        conn: ConnId,
    },
    /// A whole frame arrived.
    Received {
        /// On which connection.
        conn: ConnId,
        /// The frame without its four bytes of size.
        frame: Bytes,
    },
    /// The oldest frame not yet reported as written was handed to the kernel whole.
    Written {
        /// On which connection.
        conn: ConnId,
    },
    /// What an [`Output::Authenticate`] ordered is worked out.
    Authenticate {
        /// For which connection.
        conn: ConnId,
        /// What the mechanism wants next, or why it gives up.
        step: Result<Step, SaslError>,
    },
    /// The connection is gone, or could not be made.
    Lost {
        /// Which.
        conn: ConnId,
        /// Why.
        cause: LostCause,
        /// Of how many of the frames transmitted on it, from the first, any byte may have been handed to the kernel: what comes after them
        /// was never sent. `None` if that is not known: then any may have been.
        begun: Option<u64>,
    },
}

/// What the cluster asks of the world.
#[derive(Debug)]
#[must_use = "dropping an output drops a request or an answer"]
#[non_exhaustive]
pub enum Output {
    /// Resolve a name, and report with [`Input::Resolved`].
    Resolve {
        /// Goes into the report.
        query: QueryId,
        /// The name.
        host: String,
        /// The port that the addresses are to have.
        port: u16,
    },
    /// Connect, and report with [`Input::Connected`] or [`Input::Lost`].
    Connect {
        /// Names the connection from now on.
        conn: ConnId,
        /// The name that led to the address (TLS checks it).
        host: String,
        /// The port.
        port: u16,
        /// Where to connect to.
        addr: SocketAddr,
    },
    /// Write a frame, after all earlier ones of the connection.
    Transmit {
        /// On which connection.
        conn: ConnId,
        /// The frame, with its size.
        frame: Frame,
    },
    /// Work out what a connection's SASL mechanism has to say, and report with [`Input::Authenticate`]. It may take long:
    /// keys are derived, tokens are fetched.
    Authenticate {
        /// For which connection.
        conn: ConnId,
        /// What to do.
        order: SaslOrder,
    },
    /// Close a connection, or stop making it. Nothing more needs to be reported about it.
    Close {
        /// Which.
        conn: ConnId,
    },
    /// Something the owner of the cluster should know.
    Event(Event),
}

/// A step of a SASL exchange. A connection has one exchange at most; it ends with the connection.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SaslOrder {
    /// Begin an exchange, in place of the one before it.
    Begin {
        /// The broker's name, as configured or advertised.
        host: String,
        /// Its port.
        port: u16,
    },
    /// The broker answered the exchange's last message.
    Answer {
        /// The answer.
        challenge: Bytes,
    },
    /// The broker refused the exchange's last message, by an error and not by an answer. Nothing is to be reported; the connection ends.
    Refused {
        /// What it said.
        error: SaslError,
    },
}

/// What the owner of a cluster is told.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// An answer to a metadata request was taken in, or a hint was; see
    /// [`take_changed_topics`](crate::Cluster::take_changed_topics).
    MetadataChanged,
    /// A produce request is over.
    Produced {
        /// Which.
        request: RequestId,
        /// The broker it was for.
        broker: BrokerId,
        /// How it ended.
        answer: Result<ProduceAnswer, RequestLost>,
    },
    /// A control request is over.
    Controlled {
        /// Which.
        request: RequestId,
        /// The broker that was asked; `None` for a bootstrap address, or if nobody was.
        broker: Option<BrokerId>,
        /// How it ended.
        answer: Result<ControlResponse, RequestLost>,
    },
    /// [`produce_room`](crate::Cluster::produce_room) said [`Room::Wait`], or the last slot was taken, and asking
    /// again is worth it: connected, a slot was freed, a throttle is over.
    Room {
        /// For which broker.
        broker: BrokerId,
    },
    /// Whoever waits for a connection waits in vain unless somebody changes something: this client is refused for who it is, or whoever
    /// answers is not who they should be ([`ConnErrorKind::is_refusal_of_identity`](crate::ConnErrorKind::is_refusal_of_identity)).
    ///
    /// Told after each attempt for which that holds, from the second in a row on, as one refusal alone proves little: a token may be too old,
    /// a user may not be known to all brokers yet. Attempts go on, with backoff.
    Refused {
        /// The broker that leads what is to be produced. `None`: all that could be asked for metadata or a producer id have been, or three of
        /// many, since a connection for that was last usable, and each refused or could not be reached.
        broker: Option<BrokerId>,
        /// The last refusal.
        cause: Arc<ConnError>,
    },
}

/// How a produce request ended well.
#[derive(Clone, Debug)]
pub enum ProduceAnswer {
    /// The broker answered.
    Answered(produce::ProduceResponse),
    /// The request asked for no answer (`acks=0`) and was handed to the kernel whole. Nothing is known beyond that.
    Unacknowledged,
}

/// Whether a produce request can be sent to a broker now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Room {
    /// Yes.
    Ready {
        /// Version of Produce spoken on the connection. (A request with a topic whose id is unknown is sent at
        /// version 12 at most, since from 13 on topics have no names.)
        version: ApiVersion,
        /// How many requests, at least one.
        slots: usize,
    },
    /// No: not connected (an attempt is under way or scheduled), too many requests in flight, or throttled.
    /// [`Event::Room`] follows when that changes.
    Wait,
}

/// A request that any broker can answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ControlRequest {
    /// Asks for a producer id.
    InitProducerId(init_producer_id::InitProducerIdRequest),
}

/// The answer to a [`ControlRequest`], of the same name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ControlResponse {
    /// A producer id, or an error code.
    InitProducerId(init_producer_id::InitProducerIdResponse),
}
