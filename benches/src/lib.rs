//! Benchmarks of milena: what a record and a batch cost. See the README beside this crate for how to run them.
//!
//! - [`Queues`] is an accumulator without a sender, and [`Shape`] says what its records look like.
//! - [`text`] is what values are made of.

mod queues;
mod shape;

pub use queues::Queues;
pub use shape::{Shape, text};
