//! A failure whose handle was dropped is counted as unobserved, once.

use std::collections::{BTreeMap, BTreeSet};

use milena_sender::Guarantee;

use super::{Books, copies};

pub(super) fn check(books: &Books, wrong: &mut Vec<String>) {
    let mut dropped: BTreeMap<&str, u64> = BTreeMap::new();
    let mut written: BTreeMap<&str, u64> = BTreeMap::new();
    let on_logs: BTreeSet<u64> = copies(books).into_keys().collect();
    for (id, entry) in (0..).zip(&books.ledger.entries).filter(|(_, entry)| entry.dropped) {
        *dropped.entry(&entry.topic).or_default() += 1;
        *written.entry(&entry.topic).or_default() += u64::from(on_logs.contains(&id));
    }
    // What a change of leader cut off is on no log and has not failed.
    let kept = books.ledger.truncated.is_empty() && books.guarantee != Guarantee::AtMostOnce;
    let told = books.ledger.unobserved.iter().map(|(topic, told)| (topic.as_str(), *told));
    let all: BTreeMap<&str, (u64, u64)> = dropped.keys().map(|topic| (*topic, (0, 0))).chain(told).collect();
    for (topic, (not_written, maybe_written)) in all {
        let dropped = dropped.get(topic).copied().unwrap_or(0);
        let written = written.get(topic).copied().unwrap_or(0);
        let least = dropped.saturating_sub(written);
        let told = not_written + maybe_written;
        let complaint = if written + not_written > dropped {
            "too many"
        } else if told > dropped || kept && told < least {
            "wrongly"
        } else {
            continue;
        };
        wrong.push(format!(
            "UNOBSERVED: of {dropped} dropped handles of topic {topic} {written} have their record on a log, and {complaint} counted are {not_written} not written, {maybe_written} maybe written"
        ));
    }
}
