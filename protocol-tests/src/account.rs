//! Holds what a producer was given, and what it said became of it, against what the log holds.

use std::collections::HashMap;
use std::fmt;

/// What makes a record itself, wherever it lies. Suites never send two that are equal.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Content {
    /// Null or bytes.
    pub key: Option<Vec<u8>>,
    /// Null (a tombstone) or bytes.
    pub value: Option<Vec<u8>>,
    /// In order, duplicates included.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &Option<Vec<u8>>| match bytes {
            Some(bytes) => format!("{:.60?}", String::from_utf8_lossy(bytes)),
            None => "null".to_owned(),
        };
        write!(f, "{} = {}", text(&self.key), text(&self.value))?;
        for (name, value) in &self.headers {
            write!(f, " [{name}: {}]", text(value))?;
        }
        Ok(())
    }
}

/// A record to be sent.
#[derive(Clone, Debug, Default)]
pub struct ToSend {
    /// Its key, value and headers.
    pub content: Content,
    /// The partition it must go to, if the suite chooses; else the producer does.
    pub partition: Option<i32>,
    /// Its timestamp, milliseconds since 1970; else the producer's clock.
    pub timestamp: Option<i64>,
}

/// What a producer said became of a record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Acknowledged: it is on the log, once.
    Delivered {
        /// Where.
        partition: i32,
        /// Its offset, if the broker told one (a duplicate's is not told).
        offset: Option<i64>,
    },
    /// acks=0: nobody knows.
    Unacknowledged,
    /// Failed, and is certainly not on the log.
    NotWritten(String),
    /// Failed, and may be on the log, at most once.
    MaybeWritten(String),
}

/// A record and its outcome.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What was sent.
    pub record: ToSend,
    /// What became of it.
    pub outcome: Outcome,
}

/// A record as it was read back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Its key, value and headers.
    pub content: Content,
}

/// How often what was promised came about.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Account {
    /// Records that were sent.
    pub sent: usize,
    /// Of these, told to be delivered.
    pub delivered: usize,
    /// Failed, and told not to be on the log.
    pub not_written: usize,
    /// Failed, and told that nobody knows.
    pub maybe_written: usize,
    /// Records on the log.
    pub stored: usize,
}

/// Every way in which log and outcomes disagree; its `Display` names the first of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Disagreements(pub Vec<String>);

impl fmt::Display for Disagreements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} disagreements between outcomes and log:", self.0.len())?;
        for line in self.0.iter().take(20) {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Disagreements {}

/// Holds sessions against one topic's log. A session is what one producer was given in order.
///
/// - *Delivered*: on the log exactly once, at the place that was told.
/// - *Not written*: nowhere on the log. *Maybe written*, *unacknowledged*: at most once.
/// - Records of one session lie on each partition in the order in which they were sent.
/// - A record lies on the partition and has the timestamp that was asked for.
/// - The log holds nothing else.
///
/// # Errors
///
/// All that disagrees.
pub fn check(sessions: &[&[Sent]], log: &[Stored]) -> Result<Account, Disagreements> {
    let mut account = Account { stored: log.len(), ..Account::default() };
    let mut wrong = Disagreements::default();
    let mut places: HashMap<&Content, Vec<&Stored>> = HashMap::with_capacity(log.len());
    for stored in log {
        places.entry(&stored.content).or_default().push(stored);
    }
    for session in sessions {
        let mut last: HashMap<i32, &Stored> = HashMap::new();
        for sent in *session {
            account.sent += 1;
            let found = places.remove(&sent.record.content).unwrap_or_default();
            check_one(sent, &found, &mut account, &mut wrong);
            let Some(stored) = found.first() else { continue };
            if let Some(before) = last.insert(stored.partition, stored)
                && before.offset > stored.offset
            {
                let (after, before) = (place(stored), place(before));
                wrong.0.push(format!("out of order: {} lies at {after}, sent after {before}", sent.record.content));
            }
        }
    }
    for (content, stored) in places {
        wrong.0.push(format!("never sent: {content} at {}", place(stored[0])));
    }
    if wrong.0.is_empty() { Ok(account) } else { Err(wrong) }
}

fn place(stored: &Stored) -> String {
    format!("{}@{}", stored.partition, stored.offset)
}

fn check_one(sent: &Sent, found: &[&Stored], account: &mut Account, wrong: &mut Disagreements) {
    let content = &sent.record.content;
    let least = match &sent.outcome {
        Outcome::Delivered { .. } => {
            account.delivered += 1;
            1
        }
        Outcome::NotWritten(_) => {
            account.not_written += 1;
            0
        }
        Outcome::MaybeWritten(_) => {
            account.maybe_written += 1;
            0
        }
        Outcome::Unacknowledged => 0,
    };
    let most = usize::from(!matches!(sent.outcome, Outcome::NotWritten(_)));
    if found.len() < least {
        wrong.0.push(format!("lost: {content}, {:?}", sent.outcome));
    }
    if found.len() > most {
        let places: Vec<String> = found.iter().map(|stored| place(stored)).collect();
        wrong.0.push(format!("on the log {} times, at {places:?}: {content}, {:?}", found.len(), sent.outcome));
    }
    let Some(stored) = found.first() else { return };
    if let Outcome::Delivered { partition, offset } = sent.outcome
        && (partition != stored.partition || offset.is_some_and(|offset| offset != stored.offset))
    {
        wrong.0.push(format!("elsewhere: {content} lies at {}, was told {:?}", place(stored), sent.outcome));
    }
    if sent.record.partition.is_some_and(|partition| partition != stored.partition) {
        wrong.0.push(format!("wrong partition: {content} lies at {}", place(stored)));
    }
    if sent.record.timestamp.is_some_and(|timestamp| timestamp != stored.timestamp) {
        wrong.0.push(format!("wrong timestamp: {content} has {}", stored.timestamp));
    }
}

#[cfg(test)]
mod tests;
