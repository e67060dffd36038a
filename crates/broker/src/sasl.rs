//! The broker's side of SASL: users and tokens; what each connection has proved is [`guard`]'s.

mod guard;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use milena_sasl::{ScramHash, ScramServer, ScramVerifier, Secret};

pub(crate) use guard::{Gate, Guard};

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
    password: Secret,
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
        self.lock().users.insert(name.to_owned(), User { password: Secret::from(password), sha256, sha512 });
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

impl State {
    fn plain(&self, said: &[u8]) -> Said {
        let mut parts = said.split(|byte| *byte == 0);
        let (_authzid, user, password) = (parts.next(), parts.next(), parts.next());
        let user = user.and_then(|user| std::str::from_utf8(user).ok()).and_then(|user| self.users.get(user));
        match (user, password) {
            (Some(user), Some(password)) if user.password.expose() == password => Said::Welcome(Vec::new()),
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
