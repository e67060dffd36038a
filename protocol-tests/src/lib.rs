//! Tests of milena as a whole: golden vectors, and suites that run against any broker.
//!
//! - [`golden`] reads what other clients put on the wire.
//! - [`account`] holds what was sent against what a log holds: the only judge in the suites.
//! - [`cluster`] is what the suites need of a broker; [`kafka`] is a real one, [`embedded`] ours.
//! - [`subject`] is what they need of a producer; [`facade`] is milena's, and [`bare`] a very plain one that speaks the wire format and nothing else.
//! - [`rig`] is an embedded cluster behind proxies that misbehave, and a producer that is held to account; [`fault_matrix`] lists what is shown with it.
//! - [`soak`] is a simulator: producer and brokers in made-up time, with everything going wrong.
//! - [`chaos`] is minutes of trouble for a real cluster.
//! - [`suite`] are the suites themselves.

pub mod account;
pub mod bare;
pub mod chaos;
pub mod cluster;
pub mod embedded;
pub mod facade;
pub mod fault_matrix;
pub mod golden;
pub mod kafka;
pub mod rig;
pub mod soak;
pub mod subject;
pub mod suite;
