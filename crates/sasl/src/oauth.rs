//! OAUTHBEARER (RFC 7628): a token that somebody else issued, shown to the broker.
//!
//! - [`client`](self::client): the exchange
//! - [`token`](self::token): the token, and what can be read from it
//! - [`keeper`](self::keeper): when to get the next one

mod client;
mod keeper;
mod token;

pub use client::BearerClient;
pub use keeper::{Refresh, TokenKeeper, Wanted};
pub use token::{BearerToken, Extensions};
