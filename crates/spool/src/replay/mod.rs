//! The replay of one folder, as a value that decides: what is written down, what is sent under which identity, what an answer means.
//! No I/O, no clock, no randomness: [`Replayer::step`] says what to do next, its caller does it and says what came of it.
//!
//! - [`Replayer`]: the machine
//! - [`Rules`]: how patient it is, how long brokers remember, what the user allows
//! - [`Step`], [`Aside`], [`Stop`]: what it says
//!
//! A batch's way through it:
//!
//! ```text
//!            not written                      may be written
//!                 │                                 │ brokers remember its producer
//!   InitProducerId│(once)                           ▼
//!                 ▼                      save "trying: as it was sent first"
//!       save "trying: own stamp" ◀──────┐           │
//!                 │                     │           ▼
//!                 ▼                     │        send again ──────▶ accepted, or a duplicate: written
//!               send ───▶ accepted      │           │
//!                 │       or duplicate  └───────────┤ OUT_OF_ORDER behind a batch that is proved absent: absent too
//!     no answer,  │                                 │
//!     or "again"  └──▶ the same, after a backoff    └─ anything else that proves nothing: put aside
//! ```
//!
//! **Before each send the disk says what is sent and as what.** A replay that is killed anywhere sends at most one batch per partition a second time, as
//! the same producer with the same sequence, and the broker drops it.
//!
//! **Nothing is sent that might be written twice**, unless the user accepts that. What cannot be told apart from a duplicate is put aside: that is the
//! case where brokers may have forgotten the producer ([`Rules::broker_memory`]), and where a refusal is no lasting proof of absence. `OUT_OF_ORDER` for a
//! batch under its first identity says that a batch before it is missing *now*. A request with that one may still wait in a broker's queue, and one with this
//! batch behind it. So the answer is taken for a proof only if the batch before it, by its sequence, is known never to be appended: it was in this folder,
//! and not written, or proved absent in the same way.

mod answers;
mod machine;
mod rules;
mod step;

pub use machine::Replayer;
pub use rules::Rules;
pub use step::{Answer, Aside, Next, Step, Stop, Unresolved};

#[cfg(test)]
mod tests;
