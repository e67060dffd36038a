//! The exchange as a broker has it, for brokers that live in tests.

use std::fmt;

use super::keys::{Key, Keys, ScramHash};
use super::text::{attribute, base64, from_base64, text, unescape};
use crate::error::{SaslError, SaslErrorKind};

/// What a broker keeps of a password: enough to check it, not enough to know it.
#[derive(Clone)]
pub struct ScramVerifier {
    hash: ScramHash,
    salt: Vec<u8>,
    iterations: u32,
    stored_key: Key,
    server_key: Key,
}

impl ScramVerifier {
    /// Computes it from the password. The salt should be random, and not be empty.
    #[must_use]
    pub fn new(hash: ScramHash, password: &str, salt: &[u8], iterations: u32) -> Self {
        let keys = Keys::derive(hash, password.as_bytes(), salt, iterations);
        let stored_key = hash.digest(&keys.client);
        Self { hash, salt: salt.to_vec(), iterations, stored_key, server_key: keys.server }
    }
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hash, iterations) = (self.hash, self.iterations);
        f.debug_struct("ScramVerifier").field("hash", &hash).field("iterations", &iterations).finish_non_exhaustive()
    }
}

/// One exchange, after the client's first message.
#[derive(Debug)]
pub struct ScramServer {
    verifier: ScramVerifier,
    /// Everything signed so far: the client's first message without its header, and the answer to it.
    messages: String,
    nonce: String,
}

impl ScramServer {
    /// The user and client's nonce that a first message names, the bare message, and whether a delegation token is meant.
    ///
    /// # Errors
    ///
    /// When it is no such message.
    pub fn read_first(message: &[u8]) -> Result<(String, String, bool), SaslError> {
        let message = text(message)?;
        let bare = message
            .strip_prefix("n,")
            .and_then(|rest| rest.split_once(','))
            .filter(|(authzid, _)| authzid.is_empty() || authzid.starts_with("a="))
            .map(|(_, bare)| bare)
            .ok_or_else(|| SaslError::challenge("the first message has no header"))?;
        let mut rest = bare;
        let user =
            unescape(attribute(&mut rest, 'n')?).ok_or_else(|| SaslError::challenge("the name is not escaped"))?;
        attribute(&mut rest, 'r')?;
        Ok((user, bare.to_owned(), rest.split(',').any(|extension| extension == "tokenauth=true")))
    }

    /// Begins an exchange with the bare first message of a user; the result has to be sent. `nonce` as for a client.
    ///
    /// # Errors
    ///
    /// When the message is none.
    pub fn start(verifier: &ScramVerifier, bare: &str, nonce: &str) -> Result<(Self, String), SaslError> {
        let mut rest = bare;
        attribute(&mut rest, 'n')?;
        let nonce = format!("{}{nonce}", attribute(&mut rest, 'r')?);
        let answer = format!("r={nonce},s={},i={}", base64(&verifier.salt), verifier.iterations);
        let messages = format!("{bare},{answer}");
        Ok((Self { verifier: verifier.clone(), messages, nonce }, answer))
    }

    /// Checks the client's proof; the result has to be sent.
    ///
    /// # Errors
    ///
    /// When the proof is wrong, or the message is no proof.
    pub fn finish(self, message: &[u8]) -> Result<String, SaslError> {
        let message = text(message)?;
        let (unproven, proof) =
            message.rsplit_once(",p=").ok_or_else(|| SaslError::challenge("the last message has no proof"))?;
        let mut rest = unproven;
        attribute(&mut rest, 'c')?;
        // Kafka looks at the end alone, too; librdkafka before 2.6.1 has its own part in front twice.
        if !attribute(&mut rest, 'r')?.ends_with(&self.nonce) {
            return Err(SaslError::new(SaslErrorKind::Nonce, "the nonce is not that of this exchange"));
        }
        let ScramVerifier { hash, stored_key, server_key, .. } = &self.verifier;
        let signed = format!("{},{unproven}", self.messages);
        let mut client_key = from_base64(proof, 'p')?;
        let signature = hash.hmac(stored_key, signed.as_bytes());
        if client_key.len() != signature.len() {
            return Err(SaslError::new(SaslErrorKind::Refused, "invalid-proof"));
        }
        for (key, byte) in client_key.iter_mut().zip(signature.iter()) {
            *key ^= byte;
        }
        if hash.digest(&client_key) != *stored_key {
            return Err(SaslError::new(SaslErrorKind::Refused, "invalid-proof"));
        }
        Ok(format!("v={}", base64(&hash.hmac(server_key, signed.as_bytes()))))
    }
}
