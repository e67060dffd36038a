//! One HTTP request at a time, for whoever fetches tokens: over TLS, bounded in time and in size, and sent nowhere but where it was meant to go.
//!
//! - [`Endpoint`] is an address that was checked: `https`, or `http` to this very machine.
//! - [`HttpClient`] sends one [`HttpRequest`] to it on a connection of its own and gives back an [`HttpAnswer`].
//! - [`HttpError`] is why there is no answer.
//!
//! Redirects are not followed, proxies not used, cookies not kept and nothing is decompressed: none of that has a place where secrets are
//! sent. The protocol itself is hyper's.

mod client;
mod endpoint;
mod error;
mod exchange;

pub use client::HttpClient;
pub use endpoint::{BadEndpoint, Endpoint};
pub use error::HttpError;
pub use exchange::{HttpAnswer, HttpRequest};
