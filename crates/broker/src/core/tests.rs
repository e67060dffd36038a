//! The core through its own door: encoded requests in, decoded responses out, time made up.

mod admin;
mod answers;
mod checks;
mod kit;
mod leaders;
mod scripted;
