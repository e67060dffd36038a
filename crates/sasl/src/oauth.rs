//! OAUTHBEARER (RFC 7628): a token that somebody else issued, shown to the broker.
//!
//! - [`client`]: the exchange
//! - [`token`]: the token, and what can be read from it
//! - [`keeper`]: when to get the next one

mod client;
mod keeper;
mod token;

pub use client::BearerClient;
pub use keeper::{Refresh, TokenKeeper, Wanted};
pub use token::{BearerToken, Extensions};
