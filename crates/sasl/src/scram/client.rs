//! The exchange as a client has it.

use std::borrow::Cow;
use std::fmt;

use super::keys::{Key, KeyCache, ScramHash};
use super::text::{attribute, base64, escape, from_base64, text};
use crate::error::{SaslError, SaslErrorKind};
use crate::secret::Secret;
use crate::step::Step;

/// The fewest iterations that are accepted, as the RFC has it: with fewer, a password is found too fast by whoever
/// listened.
pub const ITERATIONS_MIN: u32 = 4096;

/// The most iterations that are accepted: eight times what Kafka itself allows. More would let an impostor burn this
/// machine's time.
pub const ITERATIONS_MAX: u32 = 131_072;

/// Neither channel binding nor another identity to act for.
const GS2_HEADER: &str = "n,,";
/// The same in Base64.
const CHANNEL_BINDING: &str = "biws";

/// Who authenticates.
#[derive(Clone, Debug)]
pub struct ScramIdentity {
    /// The user, or the id of a delegation token.
    pub user: String,
    /// The password, or the HMAC of a delegation token.
    pub password: Secret,
    /// Whether they are those of a delegation token (KIP-48).
    pub delegation_token: bool,
    /// Whether to leave them as they are, instead of preparing them by SASLprep (RFC 4013).
    ///
    /// The RFC wants it prepared. Kafka's own tools and clients do not do it, so that a user with unusual characters may
    /// be known to Kafka by the unprepared form.
    pub unprepared: bool,
}

impl ScramIdentity {
    /// A user with a password.
    #[must_use]
    pub fn new(user: &str, password: Secret) -> Self {
        Self { user: user.to_owned(), password, delegation_token: false, unprepared: false }
    }

    /// Whether preparing changes anything.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        let changed = |text: &str| stringprep::saslprep(text).map_or(true, |prepared| prepared != text);
        changed(&self.user) || self.password.expose_str().is_none_or(changed)
    }

    fn prepared_user(&self) -> Cow<'_, str> {
        if self.unprepared {
            return Cow::Borrowed(&self.user);
        }
        // What the RFC forbids, a broker may know all the same.
        stringprep::saslprep(&self.user).unwrap_or(Cow::Borrowed(&self.user))
    }

    fn prepared_password(&self) -> Secret {
        let text = self.password.expose_str().filter(|_| !self.unprepared);
        match text.map(stringprep::saslprep) {
            Some(Ok(Cow::Owned(prepared))) => Secret::new(prepared),
            _ => self.password.clone(),
        }
    }
}

/// One exchange of SCRAM.
pub struct ScramClient {
    hash: ScramHash,
    user: String,
    password: Secret,
    nonce: String,
    delegation_token: bool,
    iterations_max: u32,
    state: State,
}

enum State {
    Start,
    /// The first message without its header.
    First(String),
    /// What the broker has to sign, and the key it has to sign with.
    Final {
        server_key: Key,
        signed: String,
    },
    Over,
}

impl ScramClient {
    /// An exchange that has not begun. `nonce` must never be used again, and nobody may guess it: 18 bytes or more from
    /// the operating system, in Base64.
    ///
    /// # Errors
    ///
    /// When there is no user, or the nonce cannot be one.
    pub fn new(hash: ScramHash, identity: &ScramIdentity, nonce: &str) -> Result<Self, SaslError> {
        if identity.user.is_empty() {
            return Err(SaslError::no_credentials("the user name is empty"));
        }
        if nonce.is_empty() || nonce.contains(|c: char| !c.is_ascii_graphic() || c == ',') {
            return Err(SaslError::new(SaslErrorKind::Mechanism, "a nonce of characters that SCRAM does not allow"));
        }
        Ok(Self {
            hash,
            user: identity.prepared_user().into_owned(),
            password: identity.prepared_password(),
            nonce: nonce.to_owned(),
            delegation_token: identity.delegation_token,
            iterations_max: ITERATIONS_MAX,
            state: State::Start,
        })
    }

    /// With another limit than [`ITERATIONS_MAX`], though never less than [`ITERATIONS_MIN`].
    #[must_use]
    pub fn with_iterations_max(mut self, iterations: u32) -> Self {
        self.iterations_max = iterations.max(ITERATIONS_MIN);
        self
    }

    /// Takes the broker's answer, at first an empty one. May compute for long, unless `cache` knows the keys.
    ///
    /// # Errors
    ///
    /// When the broker does not keep to the mechanism, refuses, or is not who it should be. The exchange is over then.
    pub fn step(&mut self, challenge: &[u8], cache: &mut KeyCache) -> Result<Step, SaslError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start if challenge.is_empty() => Ok(self.first()),
            State::First(first) => self.prove(&first, text(challenge)?, cache),
            State::Final { server_key, signed } => self.judge(&server_key, &signed, text(challenge)?),
            State::Start | State::Over => Err(SaslError::challenge("a SCRAM message that nothing was asked for")),
        }
    }

    fn first(&mut self) -> Step {
        let token = if self.delegation_token { ",tokenauth=true" } else { "" };
        let bare = format!("n={},r={}{token}", escape(&self.user), self.nonce);
        let message = format!("{GS2_HEADER}{bare}");
        self.state = State::First(bare);
        Step::Send(message.into())
    }

    fn prove(&mut self, first: &str, challenge: &str, cache: &mut KeyCache) -> Result<Step, SaslError> {
        if let Some(reason) = challenge.strip_prefix("e=") {
            return Err(refused(reason));
        }
        let mut rest = challenge;
        let nonce = attribute(&mut rest, 'r')?;
        let salt = from_base64(attribute(&mut rest, 's')?, 's')?;
        let iterations = attribute(&mut rest, 'i')?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(SaslError::new(SaslErrorKind::Nonce, "its nonce does not continue ours"));
        }
        if salt.is_empty() {
            return Err(SaslError::challenge("an empty salt"));
        }
        let iterations = self.acceptable(iterations)?;
        let keys = cache.keys(self.hash, &self.password, &salt, iterations);
        let unproven = format!("c={CHANNEL_BINDING},r={nonce}");
        let signed = format!("{first},{challenge},{unproven}");
        let stored_key = self.hash.digest(&keys.client);
        let mut proof = self.hash.hmac(&stored_key, signed.as_bytes());
        for (byte, key) in proof.iter_mut().zip(keys.client.iter()) {
            *byte ^= key;
        }
        let message = format!("{unproven},p={}", base64(&proof));
        self.state = State::Final { server_key: keys.server, signed };
        Ok(Step::Send(message.into()))
    }

    fn acceptable(&self, iterations: &str) -> Result<u32, SaslError> {
        let is_number = !iterations.is_empty() && iterations.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number {
            return Err(SaslError::challenge("the iteration count is not a number"));
        }
        let (least, most) = (ITERATIONS_MIN, self.iterations_max);
        // Whatever does not fit is too large.
        let count = iterations.parse().unwrap_or(u32::MAX);
        if (least..=most).contains(&count) {
            return Ok(count);
        }
        let told = if count == u32::MAX { "4294967295 or more".to_owned() } else { count.to_string() };
        Err(SaslError::new(SaslErrorKind::Iterations, format!("{told}; {least} to {most} are accepted")))
    }

    fn judge(&self, server_key: &Key, signed: &str, challenge: &str) -> Result<Step, SaslError> {
        if let Some(reason) = challenge.strip_prefix("e=") {
            return Err(refused(reason));
        }
        let mut rest = challenge;
        let signature = from_base64(attribute(&mut rest, 'v')?, 'v')?;
        if self.hash.verify(server_key, signed.as_bytes(), &signature) {
            return Ok(Step::Done);
        }
        Err(SaslError::new(SaslErrorKind::ServerSignature, "its signature is wrong"))
    }
}

/// The broker's word for why, up to the next attribute, and not more of it than a person would read.
fn refused(reason: &str) -> SaslError {
    let word = reason.split(',').next().unwrap_or_default();
    SaslError::new(SaslErrorKind::Refused, word.chars().filter(|c| !c.is_control()).take(200).collect::<String>())
}

impl fmt::Debug for ScramClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Start => "start",
            State::First(_) => "first message sent",
            State::Final { .. } => "proof sent",
            State::Over => "over",
        };
        f.debug_struct("ScramClient").field("hash", &self.hash).field("state", &state).finish_non_exhaustive()
    }
}
