//! The core that decides: topics, leaders, logs, producer state. No I/O, no clock; time is an argument.

mod config;
mod stored;

pub use config::Keep;
pub(crate) use config::CoreConfig;
pub use stored::{StoredBatch, StoredRecord};
