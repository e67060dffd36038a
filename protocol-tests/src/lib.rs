//! Tests of milena as a whole: golden vectors, and suites that run against any broker.

pub mod golden;
