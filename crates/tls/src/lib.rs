//! TLS for the milena client and its embedded broker: rustls without C, stores in Kafka's formats, certificates that reload.
//!
//! - [`TlsConfig`] says how a client does TLS, [`TlsClient`] does it. Start here.
//! - [`Trust`] is whom to believe, [`Identity`] who this side is; both come from a [`Store`], in PEM or PKCS#12, with a [`Password`] where
//!   one is needed.
//! - [`TlsServerConfig`] and [`TlsServer`] are the same for the side that is connected to.
//! - [`default_provider`] is the cryptography: graviola, which no C compiler and no assembler has touched. Anybody can bring
//!   another rustls `CryptoProvider`.
//! - [`TlsConfigError`] is what can be wrong with all that. What goes wrong with a connection is a
//!   [`TlsError`](milena_wire::TlsError) inside an [`io::Error`](std::io::Error).
//! - [`issue`] (a feature) makes certificates for tests.

mod any_name;
mod client;
mod config;
mod error;
mod fault;
mod identity;
#[cfg(all(feature = "issue", any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))))]
pub mod issue;
mod live;
mod password;
mod pem;
mod pkcs12;
mod provider;
mod server;
mod store;
mod stream;

pub use client::{TlsClient, TlsConfig};
pub use config::TlsVersion;
pub use error::{About, TlsConfigError};
pub use identity::{Identity, Trust};
pub use password::Password;
pub use provider::{NoProvider, default_provider};
pub use rustls::crypto::CryptoProvider;
pub use server::{TlsServer, TlsServerConfig};
pub use store::{Format, Store};
pub use stream::TlsStream;
