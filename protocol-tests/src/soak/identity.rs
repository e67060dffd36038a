//! Who is who: brokers that want a token, sessions that end, and times in which nobody is let in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use milena_broker::{Reaction, Rule, SaslServer};
use milena_cluster::{ConnId, Input as News, SaslError, SaslErrorKind, SaslOrder, SaslStep};
use milena_sender::RefusedIdentity;
use milena_wire::{ApiKey, BrokerId, ErrorCode, Timestamp};

use super::chaos::Undo;
use super::fault::{Fault, Strike, schedule};
use super::network::Event;
use super::plan::Plan;
use super::rng::Rng;
use super::world::World;

/// The stream of randomness that draws all of this.
const IDENTITY: u64 = 3;
/// In a run in which nothing else goes wrong, records have heard by then that brokers refuse: two attempts for each broker, at most a second apart.
const PROMPT: Duration = Duration::from_secs(6);
/// How long nobody is let in, in such a run.
const LOCKED: Duration = Duration::from_secs(8);

/// Brokers that want to know who the client is.
#[derive(Clone, Copy, Debug)]
pub struct IdentityPlan {
    /// How long an authentication holds; `None`: as long as the connection.
    pub session: Option<Duration>,
    /// Nothing goes wrong but that nobody is let in for a while, and records are to hear of it soon.
    pub calm: bool,
}

impl IdentityPlan {
    /// Draws it, and what goes wrong with it, for a plan that is complete otherwise. A stream of its own leaves the other seeds as they are.
    pub(crate) fn draw(seed: u64, plan: &mut Plan) {
        let rng = &mut Rng::stream(seed, IDENTITY);
        if !rng.percent(25) {
            return;
        }
        // ApiVersions, perhaps twice, and three exchanges of SASL.
        let exchanges = Duration::from_micros(plan.latency_us.1 * 12);
        plan.cluster.sasl_mechanism = Some("OAUTHBEARER".to_owned());
        plan.cluster.connect_timeout += exchanges;
        plan.cluster.connect_timeout_max += exchanges;
        plan.sender.refused_identity = rng.pick(&[
            RefusedIdentity::Wait,
            RefusedIdentity::Wait,
            RefusedIdentity::FailAtStart,
            RefusedIdentity::Fail,
            RefusedIdentity::Fail,
        ]);
        let session = rng.percent(50).then(|| exchanges + rng.millis(300, 4000));
        let calm = rng.percent(15) && plan.close.is_none();
        plan.identity = Some(Self { session, calm });
        if calm {
            plan.sender.refused_identity = RefusedIdentity::Fail;
            plan.sender.delivery_timeout = Duration::from_secs(60);
            let at = plan.length.mul_f64(0.3);
            plan.length = at + LOCKED + Duration::from_secs(1);
            plan.strikes = vec![Strike { number: 0, at, fault: Fault::LockOut, seed: rng.next() }];
            return;
        }
        let gap_ms = rng.between(150, 2500);
        let more = schedule(rng, &Fault::IDENTITY, gap_ms, plan.length);
        let first = plan.strikes.len();
        plan.strikes.extend(more.into_iter().map(|strike| Strike { number: first + strike.number, ..strike }));
        plan.strikes.sort_by_key(|strike| strike.at);
    }

    /// The brokers' side. They let nobody in while `locked`.
    pub(crate) fn server(self, locked: &Arc<AtomicBool>) -> SaslServer {
        let locked = Arc::clone(locked);
        let server =
            SaslServer::new(&["OAUTHBEARER"]).tokens(move |token| token == "good" && !locked.load(Ordering::Relaxed));
        match self.session {
            Some(session) => server.session_lifetime(session),
            None => server,
        }
    }
}

impl World {
    /// The client's mechanism: a token, and what is to be said if it is refused.
    pub(crate) fn authenticate(&mut self, conn: ConnId, order: &SaslOrder) {
        let step = match order {
            SaslOrder::Begin { .. } => Ok(SaslStep::Send(Bytes::from_static(b"n,,\x01auth=Bearer good\x01\x01"))),
            SaslOrder::Answer { challenge } if challenge.is_empty() => Ok(SaslStep::Done),
            SaslOrder::Answer { .. } => {
                let error = SaslError::new(SaslErrorKind::TokenRefused, "");
                Ok(SaslStep::GiveUp { last: Bytes::from_static(b"\x01"), error })
            }
            _ => Err(SaslError::new(SaslErrorKind::Mechanism, "an order that nobody knows")),
        };
        let takes = self.net.links.get_mut(&conn).map_or(Duration::ZERO, |link| link.rng.micros(0, 3000));
        self.net.queue.push(self.now + takes, Event::ToClient(conn, News::Authenticate { conn, step }));
    }

    /// One of [`Fault::IDENTITY`] strikes.
    pub(crate) fn strike_identity(&mut self, rng: &mut Rng, fault: Fault, node: BrokerId, until: Timestamp) {
        match fault {
            Fault::LockOut => {
                let calm = self.plan.identity.is_some_and(|plan| plan.calm);
                let until = if calm { self.now + LOCKED } else { until };
                self.locked.store(true, Ordering::Relaxed);
                for node in (1..=self.plan.nodes).map(BrokerId) {
                    self.net.on_node(node).into_iter().for_each(|conn| self.cut(conn));
                }
                self.net.queue.push(until, Event::Undo(Undo::LetIn));
            }
            Fault::RefuseIdentity => {
                let refusal = Reaction::Error(ErrorCode::SASL_AUTHENTICATION_FAILED);
                let times = u32::try_from(rng.between(1, 10)).unwrap_or(1);
                let rule = Rule::on(ApiKey::SASL_AUTHENTICATE, refusal).times(times);
                self.servers.script(if rng.percent(60) { rule.node(node) } else { rule });
            }
            _ => {
                let time = rng.millis(0, 1500);
                let code = ErrorCode(rng.pick(&[7, 15, 33, 34, 58, -1, 999]));
                let reactions = [
                    Reaction::Error(code),
                    Reaction::Delay(time),
                    Reaction::DelayAnswer(time),
                    Reaction::CloseBefore,
                    Reaction::CloseAfter,
                    Reaction::CutAnswer,
                    Reaction::Silence,
                    Reaction::Garble,
                    Reaction::WrongCorrelation,
                ];
                let api = rng.pick(&[ApiKey::SASL_HANDSHAKE, ApiKey::SASL_AUTHENTICATE]);
                let reaction = reactions[rng.index(reactions.len())].clone();
                let rule = Rule::on(api, reaction).times(u32::try_from(rng.between(1, 3)).unwrap_or(1));
                self.say(|| format!("  {rule:?}"));
                self.servers.script(rule);
            }
        }
    }

    /// Brokers let in again who has the token. Who was to hear of their refusals has.
    pub(crate) fn let_in(&mut self) {
        self.locked.store(false, Ordering::Relaxed);
        self.listen();
        if !self.plan.identity.is_some_and(|plan| plan.calm) {
            return;
        }
        if let Some(id) = self.ledger.overdue(self.now, PROMPT) {
            let entry = self.ledger.entry(id);
            self.ledger.wrong.push(format!("HELD: record {id} waits though all brokers refuse: {entry:?}"));
        }
    }
}
