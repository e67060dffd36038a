//! The broker's side of SASL: users, tokens, and what each connection has proved.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use milena_sasl::{ScramHash, ScramServer, ScramVerifier};
use milena_wire::message::sasl_authenticate::{AuthBytes, SaslAuthenticateRequest, SaslAuthenticateResponse};
use milena_wire::message::sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};
use milena_wire::{ApiKey, ErrorCode, Frame, Reader, RequestHeader};
use tokio::time::Instant;

/// How a SASL listener lies to its clients.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SaslLie {
    /// SCRAM: its own proof is that of somebody who does not know the password.
    Signature,
    /// SCRAM: it asks for this iteration count.
    Iterations(u32),
    /// SCRAM: it answers a nonce that was not the client's.
    Nonce,
    /// It closes the connection in place of its last answer.
    Close,
    /// It never gives its last answer.
    Silence,
}

type Validator = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Users and tokens that nodes accept. Clones share them, and they may change while nodes run.
#[derive(Clone)]
pub struct SaslServer(Arc<Mutex<State>>);

struct State {
    mechanisms: Vec<String>,
    users: BTreeMap<String, User>,
    validator: Option<Validator>,
    lifetime: Option<Duration>,
    lie: Option<SaslLie>,
    authenticated: u64,
    renewed: u64,
    nonces: u64,
}

struct User {
    password: String,
    sha256: ScramVerifier,
    sha512: ScramVerifier,
}

impl SaslServer {
    /// Offers these mechanisms, of `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` and `OAUTHBEARER`. Nobody is known yet.
    #[must_use]
    pub fn new(mechanisms: &[&str]) -> Self {
        Self(Arc::new(Mutex::new(State {
            mechanisms: mechanisms.iter().map(|name| (*name).to_owned()).collect(),
            users: BTreeMap::new(),
            validator: None,
            lifetime: None,
            lie: None,
            authenticated: 0,
            renewed: 0,
            nonces: 0,
        })))
    }

    /// Adds a user, or changes the password.
    #[must_use]
    pub fn user(self, name: &str, password: &str) -> Self {
        self.set_user(name, password);
        self
    }

    /// As [`user`](Self::user), while nodes run.
    pub fn set_user(&self, name: &str, password: &str) {
        let verifier = |hash| ScramVerifier::new(hash, password, format!("salt of {name}").as_bytes(), 4096);
        let (sha256, sha512) = (verifier(ScramHash::Sha256), verifier(ScramHash::Sha512));
        self.lock().users.insert(name.to_owned(), User { password: password.to_owned(), sha256, sha512 });
    }

    /// Accepts the tokens that `validator` accepts.
    #[must_use]
    pub fn tokens(self, validator: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.lock().validator = Some(Arc::new(validator));
        self
    }

    /// Lets an authentication hold for this long, and closes connections that go on without another
    /// (`connections.max.reauth.ms`). Default: as long as the connection.
    #[must_use]
    pub fn session_lifetime(self, lifetime: Duration) -> Self {
        self.lock().lifetime = Some(lifetime);
        self
    }

    /// Lies from now on, or stops lying.
    pub fn lie(&self, lie: Option<SaslLie>) {
        self.lock().lie = lie;
    }

    /// How often a client authenticated, and how many of these times again on the same connection.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let state = self.lock();
        (state.authenticated, state.renewed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SaslServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslServer").field("mechanisms", &self.lock().mechanisms).finish_non_exhaustive()
    }
}

/// What becomes of a frame.
pub(super) enum Gate {
    /// It is for the cluster.
    Pass,
    Answer(Frame),
    /// Answer, then close.
    Last(Frame),
    Close,
    Silence,
}

/// What one connection has proved.
pub(super) struct Guard {
    server: Option<SaslServer>,
    stage: Stage,
    /// Until when an authentication holds; `None`: there is none. An end of `None`: for ever.
    session: Option<Option<Instant>>,
}

enum Stage {
    Idle,
    Chosen(String),
    Scram(ScramServer),
    /// A token was refused; the client has to acknowledge that.
    Refused,
}

/// What a mechanism answers.
enum Said {
    More(Vec<u8>, Stage),
    Welcome(Vec<u8>),
    No(&'static str),
}

impl Guard {
    pub(super) fn new(server: Option<SaslServer>) -> Self {
        Self { server, stage: Stage::Idle, session: None }
    }

    /// Looks at a frame before anybody else does.
    pub(super) fn look(&mut self, frame: &Bytes) -> Gate {
        let mut reader = Reader::shared(frame);
        let Ok(header) = RequestHeader::decode(&mut reader) else { return Gate::Pass };
        let (version, correlation) = (header.version, header.correlation);
        match header.api_key {
            ApiKey::SASL_HANDSHAKE => {
                let Ok(request) = SaslHandshakeRequest::decode(version, &mut reader) else { return Gate::Close };
                let (error, mechanisms) = self.handshake(&request.mechanism);
                let frame = SaslHandshakeResponse { error, mechanisms }.encode_frame(version, correlation);
                if error == ErrorCode::NONE { Gate::Answer(frame) } else { Gate::Last(frame) }
            }
            ApiKey::SASL_AUTHENTICATE => {
                let Ok(request) = SaslAuthenticateRequest::decode(version, &mut reader) else { return Gate::Close };
                self.authenticate(&request.auth_bytes.0, |response| response.encode_frame(version, correlation))
            }
            ApiKey::API_VERSIONS => Gate::Pass,
            _ if self.server.is_none() => Gate::Pass,
            _ => match (&self.stage, self.session) {
                (Stage::Idle, Some(None)) => Gate::Pass,
                (Stage::Idle, Some(Some(end))) if Instant::now() < end => Gate::Pass,
                _ => Gate::Close,
            },
        }
    }

    fn handshake(&mut self, mechanism: &str) -> (ErrorCode, Vec<String>) {
        let Some(server) = &self.server else { return (ErrorCode::ILLEGAL_SASL_STATE, Vec::new()) };
        let mechanisms = server.lock().mechanisms.clone();
        let known = mechanisms.iter().any(|name| name == mechanism);
        if known {
            self.stage = Stage::Chosen(mechanism.to_owned());
        }
        (if known { ErrorCode::NONE } else { ErrorCode::UNSUPPORTED_SASL_MECHANISM }, mechanisms)
    }

    fn authenticate(&mut self, said: &[u8], encode: impl Fn(&SaslAuthenticateResponse) -> Frame) -> Gate {
        let Some(server) = self.server.clone() else { return Gate::Close };
        let mut state = server.lock();
        let answer = match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle => return Gate::Close,
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
        let mut response = SaslAuthenticateResponse::default();
        match answer {
            Said::More(bytes, stage) => {
                self.stage = stage;
                response.auth_bytes = AuthBytes(bytes.into());
                Gate::Answer(encode(&response))
            }
            Said::Welcome(_) if state.lie == Some(SaslLie::Close) => Gate::Close,
            Said::Welcome(_) if state.lie == Some(SaslLie::Silence) => Gate::Silence,
            Said::Welcome(bytes) => {
                state.authenticated += 1;
                state.renewed += u64::from(self.session.is_some());
                self.session = Some(state.lifetime.map(|lifetime| Instant::now() + lifetime));
                response.auth_bytes = AuthBytes(bytes.into());
                let millis = state.lifetime.map_or(0, |lifetime| lifetime.as_millis());
                response.session_lifetime_ms = i64::try_from(millis).unwrap_or(i64::MAX);
                Gate::Answer(encode(&response))
            }
            Said::No(why) => {
                response.error = ErrorCode::SASL_AUTHENTICATION_FAILED;
                response.error_message = Some(why.to_owned());
                Gate::Last(encode(&response))
            }
        }
    }
}

impl State {
    fn plain(&self, said: &[u8]) -> Said {
        let mut parts = said.split(|byte| *byte == 0);
        let (_authzid, user, password) = (parts.next(), parts.next(), parts.next());
        let user = user.and_then(|user| std::str::from_utf8(user).ok()).and_then(|user| self.users.get(user));
        match (user, password) {
            (Some(user), Some(password)) if user.password.as_bytes() == password => Said::Welcome(Vec::new()),
            _ => Said::No("Authentication failed: Invalid username or password"),
        }
    }

    fn scram(&mut self, hash: ScramHash, said: &[u8]) -> Said {
        const NO: Said = Said::No("Authentication failed during authentication due to invalid credentials");
        let Ok((name, bare, _)) = ScramServer::read_first(said) else { return NO };
        let Some(user) = self.users.get(&name) else { return NO };
        let verifier = if hash == ScramHash::Sha256 { &user.sha256 } else { &user.sha512 };
        self.nonces += 1;
        let Ok((scram, answer)) = ScramServer::start(verifier, &bare, &format!("n{}", self.nonces)) else { return NO };
        let answer = match self.lie {
            Some(SaslLie::Iterations(count)) => answer.replace("i=4096", &format!("i={count}")),
            Some(SaslLie::Nonce) => answer.replacen("r=", "r=x", 1),
            _ => answer,
        };
        Said::More(answer.into_bytes(), Stage::Scram(scram))
    }

    fn bearer(&self, said: &[u8]) -> Said {
        let token = std::str::from_utf8(said)
            .ok()
            .and_then(|text| text.split('\u{1}').find_map(|part| part.strip_prefix("auth=Bearer ")));
        match (token, &self.validator) {
            (Some(token), Some(validator)) if validator(token) => Said::Welcome(Vec::new()),
            _ => Said::More(br#"{"status":"invalid_token"}"#.to_vec(), Stage::Refused),
        }
    }
}
