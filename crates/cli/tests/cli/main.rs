//! The contract of the `milena` binary: exit statuses, the account, and what is on the log.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench;
mod broker;
mod demo;
mod kit;
mod pages;
mod produce;
mod replay;
mod security;
mod settings;
mod spooled;
mod stopping;
mod unreachable;
