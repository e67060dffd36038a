//! What all parts of the machine share: settings, entropy, names, and the queue of outputs.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use bytes::BytesMut;
use milena_wire::Frame;

use crate::api::{ConnId, Event, Output, QueryId, RequestId, SaslOrder};
use crate::backoff::Backoff;
use crate::config::{ClusterConfig, HostPort};
use crate::link::LinkKey;
use crate::rng::Rng;

/// Some twenty requests' own bytes. A frame that waits long keeps as much.
const ARENA: usize = 4 << 10;

#[derive(Debug)]
pub(crate) struct Ctx {
    pub(crate) config: ClusterConfig,
    pub(crate) rng: Rng,
    /// Something happened that may show in the health.
    pub(crate) health_doubtful: bool,
    /// A connection was usable once: some broker has taken this client for who it says it is.
    pub(crate) accepted: bool,
    /// A broker has answered more than which versions it speaks, and SASL.
    pub(crate) served: bool,
    /// Of which frames' own bytes are carved.
    pub(crate) arena: BytesMut,
    outputs: VecDeque<Output>,
    /// To whom inputs about a connection belong. A connection that is over is in here no more.
    conns: BTreeMap<ConnId, LinkKey>,
    queries: BTreeMap<QueryId, LinkKey>,
    named: u64,
}

impl Ctx {
    pub(crate) fn new(config: ClusterConfig, seed: u64) -> Self {
        Self {
            config,
            rng: Rng::new(seed),
            health_doubtful: false,
            accepted: false,
            served: false,
            arena: BytesMut::with_capacity(ARENA),
            outputs: VecDeque::new(),
            conns: BTreeMap::new(),
            queries: BTreeMap::new(),
            named: 0,
        }
    }

    fn name(&mut self) -> u64 {
        self.named += 1;
        self.named
    }

    pub(crate) fn request_id(&mut self) -> RequestId {
        RequestId(self.name())
    }

    /// Asks for a connection that belongs to `owner`.
    pub(crate) fn connect(&mut self, owner: LinkKey, to: &HostPort, addr: SocketAddr) -> ConnId {
        self.health_doubtful = true;
        let conn = ConnId(self.name());
        self.conns.insert(conn, owner);
        self.outputs.push_back(Output::Connect { conn, host: to.host.clone(), port: to.port, addr });
        conn
    }

    /// Asks for a name's addresses on behalf of `owner`.
    pub(crate) fn resolve(&mut self, owner: LinkKey, name: &HostPort) -> QueryId {
        self.health_doubtful = true;
        let query = QueryId(self.name());
        self.queries.insert(query, owner);
        self.outputs.push_back(Output::Resolve { query, host: name.host.clone(), port: name.port });
        query
    }

    pub(crate) fn transmit(&mut self, conn: ConnId, frame: Frame) {
        self.outputs.push_back(Output::Transmit { conn, frame });
    }

    /// Asks for a step of a connection's SASL exchange.
    pub(crate) fn order(&mut self, conn: ConnId, order: SaslOrder) {
        self.outputs.push_back(Output::Authenticate { conn, order });
    }

    /// Closes a connection; whatever is still reported about it is ignored.
    pub(crate) fn close(&mut self, conn: ConnId) {
        if self.conns.remove(&conn).is_some() {
            self.outputs.push_back(Output::Close { conn });
        }
    }

    /// A connection is over without our doing.
    pub(crate) fn conn_gone(&mut self, conn: ConnId) {
        self.conns.remove(&conn);
    }

    pub(crate) fn query_gone(&mut self, query: QueryId) -> Option<LinkKey> {
        self.queries.remove(&query)
    }

    pub(crate) fn owner(&self, conn: ConnId) -> Option<LinkKey> {
        self.conns.get(&conn).copied()
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn reconnect_backoff(&self) -> Backoff {
        Backoff::new(self.config.reconnect_backoff, self.config.reconnect_backoff_max)
    }

    pub(crate) fn connect_patience(&self) -> Backoff {
        Backoff::new(self.config.connect_timeout, self.config.connect_timeout_max)
    }

    pub(crate) fn retry_backoff(&self) -> Backoff {
        Backoff::new(self.config.retry_backoff, self.config.retry_backoff_max)
    }
}
