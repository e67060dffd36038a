//! SCRAM-SHA-256 and SCRAM-SHA-512, delegation tokens included.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use milena_pool::BoxFuture;
use milena_sasl::{KeyCache, SaslError, SaslErrorKind, ScramClient, ScramHash, ScramIdentity, Step};

use super::{Password, SaslExchange, SaslMechanism, SaslPeer};

/// SCRAM: both sides prove that they know the password, and neither tells it.
///
/// User and password are prepared by SASLprep, as the RFC has it. Kafka's own tools do not do that; so where it makes a difference, every
/// other attempt is made with what was given.
#[derive(Clone, Debug)]
pub struct Scram(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    hash: ScramHash,
    user: String,
    password: Password,
    delegation_token: bool,
    /// Keys are derived once, also when many connections are made at once: the others wait here.
    keys: Mutex<KeyCache>,
    unprepared: AtomicBool,
}

impl Scram {
    /// By this user and password.
    #[must_use]
    pub fn new(hash: ScramHash, user: &str, password: impl Into<Password>) -> Self {
        Self::of(hash, user, password.into(), false)
    }

    /// By a delegation token (KIP-48): its id and its HMAC.
    #[must_use]
    pub fn delegation_token(hash: ScramHash, id: &str, hmac: impl Into<Password>) -> Self {
        Self::of(hash, id, hmac.into(), true)
    }

    fn of(hash: ScramHash, user: &str, password: Password, delegation_token: bool) -> Self {
        let (user, keys, unprepared) = (user.to_owned(), Mutex::default(), AtomicBool::new(false));
        Self(Arc::new(Shared { hash, user, password, delegation_token, keys, unprepared }))
    }
}

impl SaslMechanism for Scram {
    fn name(&self) -> &'static str {
        self.0.hash.mechanism()
    }

    fn start(&self, _: SaslPeer) -> BoxFuture<Result<Box<dyn SaslExchange>, SaslError>> {
        let exchange = Exchange { shared: Arc::clone(&self.0), client: None, ambiguous: false };
        Box::pin(async move { Ok(Box::new(exchange) as Box<dyn SaslExchange>) })
    }
}

struct Exchange {
    shared: Arc<Shared>,
    client: Option<ScramClient>,
    /// Whether the other form of user and password is to be tried if this one is not taken.
    ambiguous: bool,
}

impl Exchange {
    fn begin(&mut self) -> Result<ScramClient, SaslError> {
        let mut identity = ScramIdentity::new(&self.shared.user, self.shared.password.read()?);
        identity.delegation_token = self.shared.delegation_token;
        self.ambiguous = identity.is_ambiguous();
        identity.unprepared = self.ambiguous && self.shared.unprepared.load(Ordering::Relaxed);
        ScramClient::new(self.shared.hash, &identity, &nonce()?)
    }
}

impl SaslExchange for Exchange {
    fn step(&mut self, challenge: &[u8]) -> Result<Step, SaslError> {
        if self.client.is_none() {
            self.client = Some(self.begin()?);
        }
        let Some(client) = &mut self.client else { return Err(SaslError::new(SaslErrorKind::Mechanism, "")) };
        let mut keys = self.shared.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let step = client.step(challenge, &mut keys)?;
        self.ambiguous &= step != Step::Done;
        Ok(step)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.ambiguous {
            self.shared.unprepared.fetch_xor(true, Ordering::Relaxed);
        }
    }
}

/// 24 bytes of the operating system's randomness, in letters that SCRAM takes.
fn nonce() -> Result<String, SaslError> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes)
        .map_err(|error| SaslError::new(SaslErrorKind::Mechanism, format!("no randomness: {error}")))?;
    Ok(bytes.iter().fold(String::with_capacity(48), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    }))
}
