//! A pool from outside: over memory and over TCP loopback.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod frames;
mod lives;
mod secure;
mod support;
