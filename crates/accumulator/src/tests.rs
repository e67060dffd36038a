//! Behaviour of the whole, one file per subject.

mod appending;
mod behind;
mod deliveries;
mod diverting;
mod lending;
mod memory;
mod model;
mod partitions;
mod splitting;
mod unassigned;
