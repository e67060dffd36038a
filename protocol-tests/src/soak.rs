//! A simulator: the producer's deciding half against the embedded broker's, in made-up time, with everything going wrong.
//!
//! [`run`] plays one seed: no sockets, no threads, no clock. The seed draws a [`Plan`](plan::Plan) (guarantee, settings, network, mix of
//! faults), the faults strike while records are enqueued, then everything is healed and must converge. [`ledger`] holds what each record was
//! said to have become against what the logs hold; it knows nothing of the producer's inside. The same seed is the same run, to the byte.

mod chaos;
mod drive;
pub mod ledger;
mod network;
pub mod plan;
pub(crate) mod rng;
mod world;

pub use world::{Summary, Trouble, run};
