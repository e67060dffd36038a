//! The producer's whole public face, against embedded clusters and against ports that are no brokers.

mod config;
mod ending;
mod memory;
mod metrics;
mod records;
mod support;
mod topics;
mod unobserved;
mod unreachable;
