//! Who may listen in, and who is who: how connections are secured.
//!
//! - [`SecurityProtocol`] is the choice between the four that Kafka has.

mod protocol;

pub use protocol::{SecurityProtocol, UnknownProtocol};
