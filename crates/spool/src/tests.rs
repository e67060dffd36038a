//! The files, from outside: what goes in comes out, whatever happens in between.

mod crash;
mod damage;
mod refusals;
mod support;
mod ways;
