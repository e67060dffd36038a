//! The simulator at work, and what shows that it finds what it is to find.

mod seeds;
mod shrinking;
mod watching;
