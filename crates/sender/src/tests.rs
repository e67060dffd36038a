mod chaos;
mod faults;
mod flow;
mod idempotence;
mod lifecycle;
mod spans;
mod topics;
mod world;
