//! The replay against the embedded broker's core and a disk that stops at any operation.

mod alive;
mod assigning;
mod crash;
mod model;
mod past;
mod steps;
mod world;
