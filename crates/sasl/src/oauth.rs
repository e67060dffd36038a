//! OAUTHBEARER (RFC 7628): a token that somebody else issued, shown to the broker.
//!
//! - [`client`]: the exchange
//! - [`token`]: the token, and what can be read from it
//! - [`keeper`]: when to get the next one
//! - [`grant`]: what is asked of whoever issues them
//! - [`aws`]: those that nobody issues, since Amazon MSK takes a signature

mod aws;
mod client;
mod grant;
mod keeper;
mod token;

pub use aws::{AwsKeys, msk_token};
pub use client::BearerClient;
pub use grant::ClientGrant;
pub use keeper::{Refresh, TokenKeeper, Wanted};
pub use token::{BearerToken, Extensions};

/// Not more of a text than a person would read, and nothing that would disturb a terminal.
fn readable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
