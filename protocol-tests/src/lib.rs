//! Conformance, golden vectors and whole-system tests of milena.
