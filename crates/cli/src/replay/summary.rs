//! What a replay did, and what it left and why.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use milena::ReplayEvent;
use milena::spool::{Pending, Place, Source, Spool};
use serde_json::{Value, json};

#[derive(Debug, Default)]
pub(super) struct Summary {
    written: u64,
    aside_not_written: u64,
    aside_maybe_written: u64,
    why: BTreeMap<Source, String>,
    panicked: Option<String>,
}

impl Summary {
    pub(super) fn hear(&mut self, event: &ReplayEvent) {
        match event {
            ReplayEvent::Written { records, .. } => self.written += records,
            ReplayEvent::Aside { source, records, fate, why } => {
                match fate {
                    milena::spool::Fate::NotWritten => self.aside_not_written += records,
                    milena::spool::Fate::MaybeWritten => self.aside_maybe_written += records,
                }
                if let Place::Partition(partition) = source.place {
                    let aside = Source { topic: source.topic.clone(), place: Place::Aside(partition) };
                    self.why.insert(aside, why.to_string());
                }
            }
            ReplayEvent::Stopped { source, why, cause } => {
                let cause = cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})"));
                self.why.insert(source.clone(), format!("{why}{cause}"));
            }
            ReplayEvent::Panicked { message } => self.panicked = Some(format!("the replay panicked: {message}")),
            _ => {}
        }
    }

    fn done(&self) -> u64 {
        self.written + self.aside_not_written + self.aside_maybe_written
    }

    /// Why a folder's records are still there.
    fn why(&self, source: &Source) -> &str {
        let known = self.why.get(source).map(String::as_str);
        known.unwrap_or_else(|| match source.place {
            Place::Aside(_) => {
                "put aside by an earlier replay; --aside sends them, with --accept-duplicates what may be written too"
            }
            _ => self.panicked.as_deref().unwrap_or("not come to"),
        })
    }

    /// What there is, a folder a line.
    pub(super) fn list(&self, spool: &Spool) -> String {
        let mut text = String::new();
        for (source, Pending { batches, records, bytes }) in spool.pending() {
            let _always_fits =
                writeln!(text, "{}: {records} records in {batches} batches, {bytes} bytes", name(source));
        }
        if text.is_empty() {
            text.push_str("nothing\n");
        }
        text.truncate(text.len() - 1);
        text
    }

    pub(super) fn to_text(&self, spool: &Spool, elapsed: Duration) -> String {
        let mut text = format!(
            "replayed {}, put aside {} (not written {}, maybe written {}), left {} in {:.3} s",
            self.written,
            self.aside_not_written + self.aside_maybe_written,
            self.aside_not_written,
            self.aside_maybe_written,
            left(spool),
            elapsed.as_secs_f64()
        );
        for (source, pending) in spool.pending() {
            let why = self.why(source);
            let _always_fits = write!(text, "\nleft: {}, {} records: {why}", name(source), pending.records);
        }
        text
    }

    /// The fields are a contract with scripts.
    pub(super) fn to_json(&self, spool: &Spool, elapsed: Duration) -> String {
        let folders: Vec<Value> = spool
            .pending()
            .map(|(source, Pending { batches, records, bytes })| {
                json!({
                    "topic": source.topic.as_str(),
                    "partition": source.place.partition().map(|partition| partition.0),
                    "aside": matches!(source.place, Place::Aside(_)),
                    "batches": batches,
                    "records": records,
                    "bytes": bytes,
                    "why": self.why(source),
                })
            })
            .collect();
        json!({
            "replayed": self.written,
            "aside": { "not_written": self.aside_not_written, "maybe_written": self.aside_maybe_written },
            "left": left(spool),
            "folders": folders,
            "seconds": elapsed.as_secs_f64(),
        })
        .to_string()
    }
}

fn left(spool: &Spool) -> u64 {
    spool.pending().map(|(_, pending)| pending.records).sum()
}

pub(super) fn is_empty(spool: &Spool) -> bool {
    left(spool) == 0
}

fn name(Source { topic, place }: &Source) -> String {
    match place {
        Place::Unassigned => format!("{topic} without a partition"),
        Place::Partition(partition) => format!("{topic}-{partition}"),
        Place::Aside(partition) => format!("{topic}-{partition}, put aside"),
    }
}

/// A bar on a terminal, nothing where nobody watches.
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    pub(super) fn start(total: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} records {per_sec} {eta}");
        Self(Some(ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))))
    }

    pub(super) fn show(&self, summary: &Summary) {
        if let Some(bar) = &self.0 {
            bar.set_position(summary.done());
        }
    }

    pub(super) fn end(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_why_folders_were_not_come_to() {
        let mut summary = Summary::default();
        let source = Source { topic: milena::TopicName::new("t"), place: Place::Unassigned };
        assert_eq!(summary.why(&source), "not come to");
        summary.hear(&ReplayEvent::Panicked { message: "what".to_owned() });
        assert_eq!(summary.why(&source), "the replay panicked: what");
    }
}
