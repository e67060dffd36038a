//! Who may listen in, and who is who: how connections are secured.
//!
//! - [`SecurityProtocol`] is the choice between the four that Kafka has.
//! - [`TlsSettings`] is what properties say about TLS, [`TlsLayer`] puts it on a [`Network`](crate::Network)'s connections.

mod protocol;
mod settings;
#[cfg(feature = "tls")]
mod tls;

pub use protocol::{SecurityProtocol, UnknownProtocol};
pub use settings::{Source, StoreType, TlsSettings};
#[cfg(feature = "tls")]
pub use tls::TlsLayer;
