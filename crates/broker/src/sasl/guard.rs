//! What one connection has proved, and what becomes of its frames because of that.

use std::time::Duration;

use bytes::Bytes;
use milena_sasl::ScramHash;
use milena_wire::message::sasl_authenticate::{AuthBytes, SaslAuthenticateRequest, SaslAuthenticateResponse};
use milena_wire::message::sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};
use milena_wire::{ApiKey, ApiVersion, CorrelationId, ErrorCode, Frame, Reader, RequestHeader, Timestamp};

use super::{Said, SaslLie, SaslServer, Stage};
use crate::core::{Answer, garbled};
use crate::script::Reaction;

/// The largest frame taken from a client that has proved nothing yet, as Kafka's `sasl.server.max.receive.size`.
const STRANGER_FRAME_MAX: usize = 512 * 1024;

/// What becomes of a frame.
pub(crate) enum Gate {
    /// It is for the cluster.
    Pass,
    /// It was for the guard, or is not let in.
    Answer {
        answer: Answer,
        /// Not before so much later.
        hold: Duration,
    },
}

impl Gate {
    fn now(answer: Answer) -> Self {
        Self::Answer { answer, hold: Duration::ZERO }
    }
}

/// What one connection has proved.
pub(crate) struct Guard {
    server: Option<SaslServer>,
    stage: Stage,
    /// Until when an authentication holds; `None`: there is none. An end of `None`: for ever.
    session: Option<Option<Timestamp>>,
}

/// A response, and whether the connection lives on after it.
struct Reply {
    body: Body,
    last: bool,
}

enum Body {
    Handshake(SaslHandshakeResponse),
    Authenticate(SaslAuthenticateResponse),
}

impl Body {
    fn encode(&self, version: ApiVersion, correlation: CorrelationId) -> Frame {
        match self {
            Self::Handshake(response) => response.encode_frame(version, correlation),
            Self::Authenticate(response) => response.encode_frame(version, correlation),
        }
    }
}

impl Guard {
    pub(crate) fn new(server: Option<SaslServer>) -> Self {
        Self { server, stage: Stage::Idle, session: None }
    }

    /// How large a frame may be now, if `max` is the limit of those who are known.
    pub(crate) fn frame_max(&self, max: usize) -> usize {
        if self.server.is_some() && self.session.is_none() { max.min(STRANGER_FRAME_MAX) } else { max }
    }

    /// Looks at a frame before anybody else does. `strike` is asked for the script's reaction to a SASL request.
    pub(crate) fn look(
        &mut self,
        now: Timestamp,
        frame: &Bytes,
        strike: impl FnOnce(ApiKey) -> Option<Reaction>,
    ) -> Gate {
        let mut reader = Reader::shared(frame);
        let Ok(header) = RequestHeader::decode(&mut reader) else { return Gate::Pass };
        let version = header.version;
        let reaction = match header.api_key {
            ApiKey::SASL_HANDSHAKE | ApiKey::SASL_AUTHENTICATE => strike(header.api_key),
            ApiKey::API_VERSIONS => return Gate::Pass,
            _ if self.server.is_none() => return Gate::Pass,
            _ => {
                return match (&self.stage, self.session) {
                    (Stage::Idle, Some(None)) => Gate::Pass,
                    (Stage::Idle, Some(Some(end))) if now < end => Gate::Pass,
                    _ => Gate::now(Answer::Close),
                };
            }
        };
        let refused = match reaction {
            Some(Reaction::CloseBefore) => return Gate::now(Answer::Close),
            Some(Reaction::Error(code) | Reaction::ErrorAfterAppend(code)) => Some(code),
            _ => None,
        };
        let replied = if header.api_key == ApiKey::SASL_HANDSHAKE {
            let Ok(request) = SaslHandshakeRequest::decode(version, &mut reader) else {
                return Gate::now(Answer::Close);
            };
            Ok(self.handshake(&request.mechanism, refused))
        } else {
            let Ok(request) = SaslAuthenticateRequest::decode(version, &mut reader) else {
                return Gate::now(Answer::Close);
            };
            self.authenticate(now, &request.auth_bytes.0, refused)
        };
        twist(replied, version, header.correlation, reaction.as_ref())
    }

    fn handshake(&mut self, mechanism: &str, refused: Option<ErrorCode>) -> Reply {
        let mechanisms = self.server.as_ref().map(|server| server.lock().mechanisms.clone()).unwrap_or_default();
        let known = mechanisms.iter().any(|name| name == mechanism);
        let error = match (refused, &self.server) {
            (Some(code), _) => code,
            (None, None) => ErrorCode::ILLEGAL_SASL_STATE,
            (None, Some(_)) if known => ErrorCode::NONE,
            (None, Some(_)) => ErrorCode::UNSUPPORTED_SASL_MECHANISM,
        };
        let welcome = error == ErrorCode::NONE;
        if welcome {
            self.stage = Stage::Chosen(mechanism.to_owned());
        }
        Reply { body: Body::Handshake(SaslHandshakeResponse { error, mechanisms }), last: !welcome }
    }

    /// What to answer, or to do in place of an answer.
    fn authenticate(&mut self, now: Timestamp, said: &[u8], refused: Option<ErrorCode>) -> Result<Reply, Answer> {
        let mut response = SaslAuthenticateResponse::default();
        if let Some(code) = refused {
            response.error = code;
            response.error_message = Some("as the script has it".to_owned());
            return Ok(Reply { body: Body::Authenticate(response), last: true });
        }
        let Some(server) = self.server.clone() else { return Err(Answer::Close) };
        let mut state = server.lock();
        let answer = match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle => return Err(Answer::Close),
            Stage::Refused => Said::No("the token was refused"),
            Stage::Scram(scram) => match scram.finish(said) {
                Ok(proof) if state.lie == Some(SaslLie::Signature) => {
                    let mut proof = proof.into_bytes();
                    proof[2] = if proof[2] == b'A' { b'B' } else { b'A' };
                    Said::Welcome(proof)
                }
                Ok(proof) => Said::Welcome(proof.into_bytes()),
                Err(_) => Said::No("Authentication failed during authentication due to invalid credentials"),
            },
            Stage::Chosen(mechanism) => match (mechanism.as_str(), ScramHash::named(&mechanism)) {
                (_, Some(hash)) => state.scram(hash, said),
                ("PLAIN", _) => state.plain(said),
                _ => state.bearer(said),
            },
        };
        let mut last = false;
        match answer {
            Said::More(bytes, stage) => {
                self.stage = stage;
                response.auth_bytes = AuthBytes(bytes.into());
            }
            Said::Welcome(_) if state.lie == Some(SaslLie::Close) => return Err(Answer::Close),
            Said::Welcome(_) if state.lie == Some(SaslLie::Silence) => return Err(Answer::Silence),
            Said::Welcome(bytes) => {
                state.authenticated += 1;
                state.renewed += u64::from(self.session.is_some());
                self.session = Some(state.lifetime.map(|lifetime| now + lifetime));
                response.auth_bytes = AuthBytes(bytes.into());
                let millis = state.lifetime.map_or(0, |lifetime| lifetime.as_millis());
                response.session_lifetime_ms = i64::try_from(millis).unwrap_or(i64::MAX);
            }
            Said::No(why) => {
                response.error = ErrorCode::SASL_AUTHENTICATION_FAILED;
                response.error_message = Some(why.to_owned());
                last = true;
            }
        }
        Ok(Reply { body: Body::Authenticate(response), last })
    }
}

/// What the script makes of an answer. Errors it has made already; throttling and leaving partitions out mean nothing here.
fn twist(
    replied: Result<Reply, Answer>,
    version: ApiVersion,
    correlation: CorrelationId,
    reaction: Option<&Reaction>,
) -> Gate {
    let Reply { body, last } = match replied {
        Ok(reply) => reply,
        Err(answer) => return Gate::now(answer),
    };
    let frame = body.encode(version, correlation);
    let answer = match reaction {
        Some(Reaction::CloseAfter) => Answer::Close,
        Some(Reaction::Silence) => Answer::Silence,
        Some(Reaction::CutAnswer) => Answer::SendHalf(frame),
        Some(Reaction::Garble) => Answer::Send(garbled(&frame)),
        Some(Reaction::WrongCorrelation) => {
            Answer::Send(body.encode(version, CorrelationId(correlation.0.wrapping_add(1))))
        }
        _ if last => Answer::SendLast(frame),
        _ => Answer::Send(frame),
    };
    let hold = match reaction {
        Some(Reaction::Delay(by) | Reaction::DelayAnswer(by)) => *by,
        _ => Duration::ZERO,
    };
    Gate::Answer { answer, hold }
}
