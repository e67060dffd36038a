//! The fault matrix: a test per row, whose name carries the row's number. `docs/fault-matrix.md` lists them.

mod buffer;
mod calls;
mod connection;
mod edges;
mod events;
mod idempotence;
mod metadata;
mod page;
mod produce_errors;
mod security;
