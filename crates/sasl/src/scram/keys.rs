//! What both sides compute from a password, and a place to keep it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The hash function of a SCRAM mechanism.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ScramHash {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl ScramHash {
    /// The mechanism's name.
    #[must_use]
    pub fn mechanism(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// The mechanism of this name.
    #[must_use]
    pub fn named(mechanism: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha512].into_iter().find(|hash| hash.mechanism() == mechanism)
    }

    pub(super) fn digest(self, data: &[u8]) -> Key {
        Zeroizing::new(match self {
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        })
    }

    pub(super) fn hmac(self, key: &[u8], data: &[u8]) -> Key {
        match self {
            Self::Sha256 => mac::<Hmac<Sha256>>(key, data),
            Self::Sha512 => mac::<Hmac<Sha512>>(key, data),
        }
    }

    /// Whether `signature` is the HMAC of `data`, in a time that does not tell how much of it is right.
    pub(super) fn verify(self, key: &[u8], data: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Sha256 => is_mac::<Hmac<Sha256>>(key, data, signature),
            Self::Sha512 => is_mac::<Hmac<Sha512>>(key, data, signature),
        }
    }

    /// PBKDF2 with one block of output, which the RFC calls Hi. Takes long, on purpose.
    fn salted_password(self, password: &[u8], salt: &[u8], iterations: u32) -> Key {
        match self {
            Self::Sha256 => salted::<Hmac<Sha256>>(password, salt, iterations),
            Self::Sha512 => salted::<Hmac<Sha512>>(password, salt, iterations),
        }
    }
}

pub(super) type Key = Zeroizing<Vec<u8>>;

/// A keyed HMAC. One that refuses a key would sign nothing; but HMAC takes keys of any length.
fn keyed<M: Mac + KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).unwrap_or_else(|_| M::new(&hmac::digest::Key::<M>::default()))
}

fn mac<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Key {
    let mut mac = keyed::<M>(key);
    mac.update(data);
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

fn is_mac<M: Mac + KeyInit>(key: &[u8], data: &[u8], signature: &[u8]) -> bool {
    let mut mac = keyed::<M>(key);
    mac.update(data);
    mac.verify_slice(signature).is_ok()
}

fn salted<M: Mac + KeyInit + Clone>(password: &[u8], salt: &[u8], iterations: u32) -> Key {
    let keyed = keyed::<M>(password);
    let mut first = keyed.clone();
    first.update(salt);
    first.update(&1_u32.to_be_bytes());
    let mut last = first.finalize().into_bytes();
    let mut sum = Zeroizing::new(last.to_vec());
    for _ in 1..iterations {
        let mut next = keyed.clone();
        next.update(&last);
        last = next.finalize().into_bytes();
        for (sum, byte) in sum.iter_mut().zip(&last) {
            *sum ^= byte;
        }
    }
    sum
}

/// What an exchange needs of a password: enough to prove knowledge of it, and to check the broker's proof.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) client: Key,
    pub(super) server: Key,
}

impl Keys {
    pub(super) fn derive(hash: ScramHash, password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let salted = hash.salted_password(password, salt, iterations);
        Self { client: hash.hmac(&salted, b"Client Key"), server: hash.hmac(&salted, b"Server Key") }
    }
}

/// The keys last derived. A broker keeps one salt for each user, so that every connection but the first finds them here.
#[derive(Default)]
pub struct KeyCache(Option<Cached>);

struct Cached {
    hash: ScramHash,
    password: Secret,
    salt: Vec<u8>,
    iterations: u32,
    keys: Keys,
}

impl KeyCache {
    /// Without any keys yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the keys are that it holds: others would be elsewhere.
    #[cfg(test)]
    pub(super) fn place(&self) -> Option<*const u8> {
        self.0.as_ref().map(|cached| cached.keys.client.as_ptr())
    }

    pub(super) fn keys(&mut self, hash: ScramHash, password: &Secret, salt: &[u8], iterations: u32) -> Keys {
        let known = self.0.as_ref().filter(|cached| {
            cached.hash == hash
                && cached.iterations == iterations
                && cached.salt == salt
                // Both are ours: there is nobody who could learn from the time this takes.
                && cached.password.expose() == password.expose()
        });
        if let Some(cached) = known {
            return cached.keys.clone();
        }
        let keys = Keys::derive(hash, password.expose(), salt, iterations);
        let (password, salt) = (password.clone(), salt.to_vec());
        self.0 = Some(Cached { hash, password, salt, iterations, keys: keys.clone() });
        keys
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "KeyCache(..)" } else { "KeyCache()" })
    }
}
