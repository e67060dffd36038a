//! SASL: who this client is, and how it says so.
//!
//! - [`SaslMechanism`] is one way to authenticate, and [`SaslExchange`] one conversation by it. Whoever needs another one, such as GSSAPI
//!   by a C library, implements the two.
//! - [`Plain`], [`Scram`] and [`OAuthBearer`] are the ones that are here.
//! - [`Password`] says where a password comes from, [`TokenProvider`] where tokens do.
//! - `ClientCredentials` (feature `oauth`) is the provider that asks a token endpoint over HTTPS, `MskIam` (feature `msk-iam`) the one for
//!   Amazon MSK.
//! - [`SaslSettings`] is what properties say about all this.

#[cfg(feature = "oauth")]
mod client_credentials;
mod jaas;
mod mechanism;
#[cfg(feature = "msk-iam")]
mod msk_iam;
mod oauth;
mod oauth_settings;
mod password;
mod runner;
mod scram;
mod settings;

#[cfg(feature = "oauth")]
pub use client_credentials::ClientCredentials;
pub use mechanism::{Plain, SaslExchange, SaslMechanism, SaslPeer};
#[cfg(feature = "oauth")]
pub use milena_http::{BadEndpoint, Endpoint};
#[cfg(feature = "msk-iam")]
pub use milena_sasl::{AwsKeys, msk_token};
pub use milena_sasl::{
    BearerToken, Extensions, Refresh, SaslError, SaslErrorKind, ScramHash, Secret, Step as SaslStep,
};
#[cfg(feature = "msk-iam")]
pub use msk_iam::MskIam;
pub use oauth::{OAuthBearer, TokenFile, TokenProvider};
pub use oauth_settings::OAuthSettings;
pub use password::Password;
pub(crate) use runner::Authenticator;
pub use scram::Scram;
pub use settings::SaslSettings;

#[cfg(test)]
mod tests;
