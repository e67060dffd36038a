//! The first request on every connection: what the broker speaks.

use milena_sasl::{SaslError, SaslErrorKind};
use milena_wire::message::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use milena_wire::{ApiKey, ApiVersion, ErrorCode, Timestamp};

use super::authenticate::{Authentication, Session};
use super::{Link, Progress, Stage};
use crate::connection::{Answered, Connection, Purpose};
use crate::ctx::Ctx;
use crate::errors::ConnErrorKind;
use crate::versions::{Versions, client_throttles, downgrade};

impl Link {
    pub(super) fn ask_versions(&mut self, ctx: &mut Ctx, now: Timestamp, version: ApiVersion) {
        let Stage::Negotiating { conn, .. } = &mut self.stage else { return };
        let correlation = conn.push(now, Purpose::Versions, (ApiKey::API_VERSIONS, version), false);
        let request = ApiVersionsRequest {
            client_software_name: "milena".to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        ctx.transmit(conn.id, request.encode_frame(version, correlation, Some(&ctx.config.client_id)));
    }

    pub(super) fn on_versions(&mut self, ctx: &mut Ctx, now: Timestamp, answered: &Answered) -> Progress {
        let tried = answered.request.version;
        let response = match ApiVersionsResponse::decode(tried, &answered.body) {
            Ok(response) => response,
            Err(error) => {
                let detail = format!("ApiVersions: {error}");
                return Progress::Fell(self.fall(ctx, now, ConnErrorKind::Malformed, detail));
            }
        };
        match response.error {
            ErrorCode::NONE => {}
            ErrorCode::UNSUPPORTED_VERSION => {
                if let Some(version) = downgrade(tried, &response) {
                    self.ask_versions(ctx, now, version);
                    return Progress::Negotiating;
                }
                let detail = format!("ApiVersions: even version {tried} is refused");
                return Progress::Fell(self.fall(ctx, now, ConnErrorKind::VersionsUnsupported, detail));
            }
            code => {
                let detail = format!("ApiVersions: {code}: {}", code.description());
                return Progress::Fell(self.fall(ctx, now, ConnErrorKind::Refusal, detail));
            }
        }
        let versions = Versions::agree(&response.apis);
        let needs = self.key.needs();
        if versions.of(needs).is_none() {
            let offered = response
                .range(needs)
                .map_or_else(|| "does not offer it".to_owned(), |(min, max)| format!("offers versions {min} to {max}"));
            let name = if needs == ApiKey::PRODUCE { "Produce" } else { "Metadata" };
            let detail = format!("{name}: the broker {offered}");
            return Progress::Fell(self.fall(ctx, now, ConnErrorKind::VersionsUnsupported, detail));
        }
        let Stage::Negotiating { mut conn, deadline } = std::mem::replace(&mut self.stage, Stage::Down) else {
            return Progress::Negotiating;
        };
        let speaks_sasl =
            [ApiKey::SASL_HANDSHAKE, ApiKey::SASL_AUTHENTICATE].iter().all(|key| versions.of(*key).is_some());
        conn.versions = versions;
        if client_throttles(ApiKey::API_VERSIONS, tried) {
            conn.throttle(now, response.throttle_ms);
        }
        if ctx.config.sasl_mechanism.is_none() {
            return self.usable(ctx, conn, None);
        }
        let id = conn.id;
        self.stage = Stage::Authenticating { conn, authentication: Authentication::new(deadline, now) };
        if !speaks_sasl {
            let detail = "it does not speak SASL at all on this listener".to_owned();
            return self.fail_authentication(ctx, now, SaslError::new(SaslErrorKind::NotOffered, detail));
        }
        self.begin_authentication(ctx, id);
        Progress::Negotiating
    }

    /// Whatever had to be settled on the connection is.
    pub(super) fn usable(&mut self, ctx: &mut Ctx, conn: Connection, session: Option<Session>) -> Progress {
        tracing::debug!(address = %self.address, broker = ?self.key.broker(), class = ?self.key.class, "connected");
        self.stage = Stage::Ready { conn, session, renewal: None };
        ctx.health_doubtful = true;
        ctx.accepted = true;
        self.timeouts = 0;
        self.refusals = 0;
        self.refusal = None;
        self.error = None;
        self.wanted_until = None;
        Progress::Ready
    }
}
