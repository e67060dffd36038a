//! The mutation check: deliberate bugs in the producer, each of which the simulator has to find. `just mutants` hunts them.

mod documented;
#[cfg(milena_mutants)]
mod hunt;
#[cfg(milena_mutants)]
mod pack;
