//! A pool from outside: over memory and over TCP loopback.

mod frames;
mod lives;
mod support;
