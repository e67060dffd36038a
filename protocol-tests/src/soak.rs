//! A simulator: the producer's deciding half against the embedded broker's, in made-up time, with everything going wrong.
//!
//! [`run`] plays one seed: no sockets, no threads, no clock. The seed draws a [`Plan`](plan::Plan) (guarantee, settings, network, faults), the
//! faults strike while records are enqueued, then everything is healed and must converge. The [`oracle`] holds what each record was said to
//! have become against what the logs hold; it knows nothing of the producer's inside. The same seed is the same run, to the byte.
//!
//! A failing run is [shrunk](shrink()) to the faults that matter: each has its own seed, so the others strike as they did.
//! `docs/simulator.md` tells what is real and what is made up.

mod callers;
mod case;
mod chaos;
pub mod crowd;
mod drive;
mod ending;
mod extra;
pub mod fault;
pub mod identity;
pub mod ledger;
mod network;
pub mod oracle;
pub mod plan;
mod planted;
pub(crate) mod rng;
mod shrink;
mod sights;
mod story;
mod world;

pub use case::{Case, Played, Trouble, run};
pub use extra::Extra;
pub use planted::Planted;
pub use shrink::{Shrunk, shrink};
pub use sights::Sights;
pub use story::Telling;
pub use world::Summary;
