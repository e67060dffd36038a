//! Kafka's error codes and the facts about each.
//!
//! A fact is not a decision: whether a batch is sent again depends on what was sent before, too, and is decided elsewhere.

use std::fmt;

mod table;

/// The error code of a response. Any number: newer brokers send codes that have no name here.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ErrorCode(pub i16);

/// What Kafka's own client makes of a code, all else being equal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    /// Asking again gives the same answer.
    Final,
    /// Asking again may help.
    Retriable,
    /// Asking again may help, but what is known of the topic is out of date.
    Metadata,
}

struct Row {
    code: ErrorCode,
    name: &'static str,
    class: Class,
    description: &'static str,
}

impl ErrorCode {
    /// Kafka's name of the code, such as `NOT_LEADER_OR_FOLLOWER`; `None` if this version knows of none.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|row| row.name)
    }

    /// What the code means and, where a producer can meet it, what to do; for people, in one or two sentences.
    #[must_use]
    pub fn description(self) -> &'static str {
        self.row()
            .map_or("a code this version of milena does not know; the broker is probably newer", |row| row.description)
    }

    /// Whether the same request may succeed later. An unknown code is not retriable.
    #[must_use]
    pub fn is_retriable(self) -> bool {
        self.row().is_some_and(|row| row.class != Class::Final)
    }

    /// Whether the code says that the metadata of the topic is out of date. All of these are retriable.
    #[must_use]
    pub fn is_metadata_error(self) -> bool {
        self.row().is_some_and(|row| row.class == Class::Metadata)
    }

    fn row(self) -> Option<&'static Row> {
        // The table starts at -1 and has no gaps.
        usize::try_from(i32::from(self.0) + 1)
            .ok()
            .and_then(|index| table::ROWS.get(index))
            .filter(|row| row.code == self)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "unknown error code ({})", self.0),
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
