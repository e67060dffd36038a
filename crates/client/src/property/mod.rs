//! Settings under the names of Kafka's Java clients and of librdkafka.
//!
//! Nothing is dropped in silence: each name that either of them knows is applied, or accepted as having no effect here
//! and listed with the reason, or refused with the reason. A name neither knows is refused, and the nearest known one is
//! suggested. All problems are found at once.
//!
//! - [`Properties`] collects `name=value` pairs from files and command lines. Start here.
//! - [`Settings`] is what they mean; only what was set is `Some`, so that later checks can tell a choice from a default.
//! - [`Problem`] is one thing that is wrong.
//! - [`list`] names all properties that are known, for help texts.

#[cfg(test)]
mod docs;
mod draft;
mod known;
mod nearest;
mod problem;
mod properties;
mod reference;
mod settings;
mod text;
mod value;

pub use known::{Listed, list};
pub use problem::{Problem, Problems};
pub use properties::Properties;
pub use reference::referred;
pub use settings::{
    Acks, ClientSettings, Ignored, OnRefusedIdentity, Partitioner, ProducerSettings, Settings, SpoolFsync,
    SpoolSettings,
};
