//! How a link goes down, for whatever reason, and what comes after.

use std::sync::Arc;

use milena_mutants::Mutant;
use milena_wire::{ApiVersion, Timestamp, TlsFault};

use super::{Link, Stage};
use crate::api::ConnId;
use crate::config::HostPort;
use crate::connection::InFlight;
use crate::ctx::Ctx;
use crate::errors::{ConnError, ConnErrorKind, LostCause};
use crate::versions::newest_api_versions;

/// A link that went down, or an address that did not work.
#[derive(Debug)]
pub(crate) struct Fall {
    pub(crate) error: Arc<ConnError>,
    /// What was in flight; ApiVersions is not among it.
    pub(crate) lost: Vec<InFlight>,
    /// Of how many frames of the connection any byte may have left, if that is known.
    pub(crate) begun: Option<u64>,
    /// Nobody needs to hear of it: an idle connection was closed by either side.
    pub(crate) quiet: bool,
    /// No other address of the same round is being tried.
    pub(crate) down: bool,
    /// The connection had lived for longer than the longest backoff.
    pub(crate) long_lived: bool,
    /// The last refusal of identity in the round that is over, if there was one, and how many rounds in a row had one.
    pub(crate) refusal: Option<(Arc<ConnError>, u32)>,
}

impl Link {
    pub(crate) fn on_lost(
        &mut self,
        ctx: &mut Ctx,
        now: Timestamp,
        lost: ConnId,
        cause: LostCause,
        begun: Option<u64>,
    ) -> Option<Fall> {
        let (id, silent) = match &self.stage {
            Stage::Connecting { conn, .. } => (*conn, false),
            Stage::Negotiating { conn, .. } | Stage::Authenticating { conn, .. } | Stage::Ready { conn, .. } => {
                (conn.id, conn.received == 0)
            }
            Stage::Down | Stage::Resolving { .. } => return None,
        };
        if id != lost {
            return None;
        }
        ctx.conn_gone(id);
        let connecting = matches!(self.stage, Stage::Connecting { .. });
        let (mut what, mut detail) = cause.judge(connecting, silent);
        let unproven = matches!(&self.stage, Stage::Ready { conn, .. } if !conn.proven && conn.load() > 0);
        if what == ConnErrorKind::Closed && unproven && !ctx.served && ctx.config.sasl_mechanism.is_none() {
            what = ConnErrorKind::ClosedAtFirstRequest;
        }
        if matches!(self.stage, Stage::Authenticating { .. }) && detail.is_empty() {
            "in the middle of the SASL exchange".clone_into(&mut detail);
        }
        Some(Fall { begun, ..self.fall(ctx, now, what, detail) })
    }

    /// Ends the connection or attempt, and tries the round's next address if there is one.
    pub(crate) fn fall(&mut self, ctx: &mut Ctx, now: Timestamp, what: ConnErrorKind, detail: String) -> Fall {
        ctx.health_doubtful = true;
        let error = self.error(what, detail);
        let stage = std::mem::replace(&mut self.stage, Stage::Down);
        let was_ready = matches!(stage, Stage::Ready { .. });
        let mut quiet = matches!(what, ConnErrorKind::Idle);
        let mut long_lived = false;
        let lost = match stage {
            Stage::Down => Vec::new(),
            Stage::Resolving { query, .. } => {
                ctx.query_gone(query);
                Vec::new()
            }
            Stage::Connecting { conn, .. } => {
                ctx.close(conn);
                Vec::new()
            }
            Stage::Negotiating { conn, .. } => {
                ctx.close(conn.id);
                // Some servers close the connection on a version they do not know, or answer it with nonsense; an
                // older one is worth a try next time. If that fails as well, the newest is tried again.
                let oldest = conn.oldest().map_or(self.first_version, |request| request.version) == ApiVersion(0);
                if oldest || self.first_version.0 == 0 {
                    self.first_version = newest_api_versions();
                } else {
                    self.first_version = ApiVersion(0);
                    self.hung_up = self.hung_up.saturating_add(1);
                }
                Vec::new()
            }
            Stage::Authenticating { conn, .. } => {
                ctx.close(conn.id);
                Vec::new()
            }
            Stage::Ready { conn, .. } => {
                ctx.close(conn.id);
                long_lived = conn.age(now) >= ctx.config.reconnect_backoff_max;
                quiet |= what == ConnErrorKind::Closed && conn.load() == 0 && conn.proven && long_lived;
                // Having been usable is not enough: a broker may accept, answer once and close, for ever.
                if long_lived {
                    self.failures = 0;
                    if self.hung_up == 1 {
                        // What led to an older version may have had another cause.
                        self.first_version = newest_api_versions();
                    }
                }
                conn.into_in_flight()
            }
        };
        self.draining = false;
        if matches!(what, ConnErrorKind::TimedOut | ConnErrorKind::Tls(TlsFault::TimedOut)) {
            self.timeouts = self.timeouts.saturating_add(1);
        }
        if was_ready || matches!(what, ConnErrorKind::Authentication(_)) {
            // The same broker would say the same at another of its addresses.
            self.addresses.clear();
        }
        if quiet {
            tracing::debug!(%error, "idle connection closed");
            self.not_before = now;
            return Fall { error, lost, begun: None, quiet, down: true, long_lived, refusal: None };
        }
        self.error = Some(error.clone());
        let down = !self.connect_next(ctx, now);
        if what.is_refusal_of_identity() {
            // Nothing will change soon: the second wait at once, as in Java.
            self.failures = self.failures.saturating_add(1);
            self.refusal = Some(error.clone());
        }
        let mut refusal = None;
        if down {
            refusal = self.refusal.take();
            self.refusals = if refusal.is_some() { self.refusals.saturating_add(1) } else { 0 };
            let wait = ctx.reconnect_backoff().delay(self.failures, &mut ctx.rng);
            self.not_before = if Mutant::ReconnectAtOnce.lives() { now } else { now + wait };
            self.failures = self.failures.saturating_add(1);
        }
        tracing::warn!(%error, lost = lost.len(), "connection failed");
        let refusal = refusal.map(|refusal| (refusal, self.refusals));
        Fall { error, lost, begun: None, quiet, down, long_lived, refusal }
    }

    /// Goes down without a failure of anybody's, if nothing is in flight.
    pub(crate) fn rest(&mut self, ctx: &mut Ctx, now: Timestamp) {
        if self.ready_mut().is_none_or(|conn| conn.load() == 0) {
            self.reset(ctx, now);
        }
    }

    /// Abandons attempts and the connection, and forgets failures. Only for a link without requests in flight.
    fn reset(&mut self, ctx: &mut Ctx, now: Timestamp) {
        ctx.health_doubtful = true;
        match std::mem::replace(&mut self.stage, Stage::Down) {
            Stage::Down => {}
            Stage::Resolving { query, .. } => {
                ctx.query_gone(query);
            }
            Stage::Connecting { conn, .. } => ctx.close(conn),
            Stage::Negotiating { conn, .. } | Stage::Authenticating { conn, .. } | Stage::Ready { conn, .. } => {
                ctx.close(conn.id);
            }
        }
        self.addresses.clear();
        self.draining = false;
        self.not_before = now;
    }

    /// The broker listens at `address`. If that is news, requests in flight are still answered, and anything new goes
    /// there.
    pub(crate) fn move_to(&mut self, ctx: &mut Ctx, now: Timestamp, address: &HostPort) -> bool {
        if self.address == *address {
            return false;
        }
        ctx.health_doubtful = true;
        self.address = address.clone();
        self.failures = 0;
        self.timeouts = 0;
        self.first_version = newest_api_versions();
        self.hung_up = 0;
        if self.ready_mut().is_some_and(|conn| conn.load() > 0) {
            self.draining = true;
            return true;
        }
        let wanted = self.connecting_since().is_some();
        self.reset(ctx, now);
        if wanted {
            self.start(ctx, now);
        }
        true
    }

    /// Closes a connection whose broker moved, once nothing is in flight on it.
    pub(crate) fn finish_move(&mut self, ctx: &mut Ctx, now: Timestamp) {
        if self.draining {
            self.rest(ctx, now);
        }
    }
}
