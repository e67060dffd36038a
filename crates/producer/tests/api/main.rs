//! The producer's whole public face, against embedded clusters and against ports that are no brokers.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod cancelling;
mod config;
mod dead_letters;
mod ending;
mod handler_thread;
mod health;
mod memory;
mod metrics;
mod pace;
mod records;
mod runtimes;
mod spooling;
mod support;
mod topics;
mod unobserved;
mod unreachable;
