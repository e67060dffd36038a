//! Benchmarks of milena.
