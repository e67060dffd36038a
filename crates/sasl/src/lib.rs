//! SASL as Kafka's clients speak it, as values: bytes in, bytes out; no I/O, no clock and no randomness.
//!
//! - [`Step`] is what a mechanism wants next, and [`SaslError`] why it gives up. Start reading here.
//! - [`plain_token`] is all there is to PLAIN.
//! - [`ScramClient`] is one exchange of SCRAM-SHA-256 or SCRAM-SHA-512, delegation tokens included; [`KeyCache`] spares
//!   it from deriving the same keys again. [`ScramServer`] is the other side, for brokers that live in tests.
//! - [`BearerClient`] is one exchange of OAUTHBEARER with a [`BearerToken`]; [`TokenKeeper`] decides when to get the next
//!   token, and [`ClientGrant`] what is asked of whoever issues them; [`msk_token`] is the token
//!   that Amazon MSK takes.
//! - [`Secret`] is text that must not be shown and does not outlive its use.
//!
//! Whoever drives an exchange gives it the nonce it needs and the broker's answers, and keeps the time. Nothing in here
//! shows a password, a key or a token: not in an error, not in `Debug`.

mod error;
mod oauth;
mod plain;
mod scram;
mod secret;
mod step;

pub use error::{SaslError, SaslErrorKind};
pub use oauth::{AwsKeys, BearerClient, BearerToken, ClientGrant, Extensions, Refresh, TokenKeeper, Wanted, msk_token};
pub use plain::plain_token;
pub use scram::{
    ITERATIONS_MAX, ITERATIONS_MIN, KeyCache, ScramClient, ScramHash, ScramIdentity, ScramServer, ScramVerifier,
};
pub use secret::Secret;
pub use step::Step;
