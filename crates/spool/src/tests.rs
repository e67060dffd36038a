//! The files, from outside: what goes in comes out, whatever happens in between.

mod support;
mod ways;
