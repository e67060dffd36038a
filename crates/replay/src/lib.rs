//! Sends what a spool holds: once, and in the order of each partition.
//!
//! What is sent as what is decided by [`milena_spool::replay`]; which broker takes it, by [`milena_cluster`]. This crate carries it out: a
//! [`Replay`] has a thread of its own with sockets of its own, and works on a [`SharedSpool`], to which others may append meanwhile.
//!
//! - [`ReplayConfig`]: what is sent and how patiently, and how the cluster is reached ([`Sockets`])
//! - [`ReplayEvent`]: what is told of it as it happens
//! - [`Replay`]: the handle
//!
//! It can be killed at any moment. What it was about to send is on the disk before it is sent, so the next one goes on as if nothing had happened.

mod answers;
mod clock;
mod config;
mod event;
mod folder;
mod handle;
mod lines;
mod runner;
mod sending;
mod topics;

pub use config::{AGAIN_AFTER_MIN, ReplayConfig, Sockets};
pub use event::ReplayEvent;
pub use handle::{Panicked, Replay, SharedSpool};
