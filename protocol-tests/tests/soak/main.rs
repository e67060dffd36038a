//! The simulator at work, and what shows that it finds what it is to find.

mod oracle;
mod seeds;
mod shrinking;
mod watching;
