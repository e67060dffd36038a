//! Deliberate bugs, to show that the simulator finds them: `just mutants` plays its seeds with each of them in turn.
//!
//! [`Mutant`] lists them; each is asked for at the one place that it breaks. In a normal build the answer is the constant `false` and nothing
//! is left of the question. Built with `--cfg milena_mutants`, `Mutant::breed` switches one of them on for the calls it makes, on its thread.

mod switch;
mod table;

pub use table::Mutant;
