mod chaos;
mod faults;
mod flow;
mod idempotence;
mod lifecycle;
mod topics;
mod world;
