//! SCRAM (RFC 5802, RFC 7677): both sides prove that they know the password, and neither tells it.
//!
//! - [`client`]: the exchange as a client has it
//! - [`server`]: as a broker has it
//! - [`keys`]: what both compute
//! - [`text`]: how messages are written

mod client;
mod keys;
mod server;
mod text;

pub use client::{ITERATIONS_MAX, ITERATIONS_MIN, ScramClient, ScramIdentity};
pub use keys::{KeyCache, ScramHash};
pub use server::{ScramServer, ScramVerifier};

#[cfg(test)]
mod tests;
