//! Collects properties from where they are written, and reads them all at once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use super::draft::Draft;
use super::known::{self, Effect, Known};
use super::nearest::nearest;
use super::problem::{Problem, Problems};
use super::reference::{referred, referred_in_jaas};
use super::settings::{Ignored, Settings};
use super::text;
use super::value::Wrong;

use milena_sasl::Secret;

/// Properties as they are written, from any number of sources. Of two sources the later one wins.
///
/// Values are wiped from memory when they are dropped, and those that may be secret are not shown: by their names, or because they were
/// [read](Self::resolve) from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Properties {
    entries: Vec<Entry>,
    /// How many sources were added. Single pairs that follow each other are one source.
    sources: usize,
    last_was_pair: bool,
}

#[derive(Clone)]
struct Entry {
    key: String,
    value: Secret,
    /// The value was read from a file or the environment: it may be anything.
    resolved: bool,
    source: String,
    /// Which source, counted in the order of adding.
    rank: usize,
    line: Option<usize>,
    /// What is wrong with how it is written.
    wrong: Option<Cow<'static, str>>,
}

/// Without what may be secret.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, if self.is_secret() { "***" } else { self.text() })
    }
}

impl Properties {
    /// Nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the text of a `.properties` file, in the syntax of `java.util.Properties`; `source` names it in problems.
    pub fn add_text(&mut self, source: &str, text: &str) -> &mut Self {
        self.sources += 1;
        self.last_was_pair = false;
        let rank = self.sources;
        self.entries.extend(text::pairs(text).into_iter().map(|pair| Entry {
            key: pair.key,
            value: pair.value,
            resolved: false,
            source: source.to_owned(),
            rank,
            line: Some(pair.line),
            wrong: pair.wrong.map(Cow::Borrowed),
        }));
        self
    }

    /// Adds a `.properties` file in UTF-8.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is not UTF-8.
    pub fn add_file(&mut self, path: impl AsRef<Path>) -> io::Result<&mut Self> {
        let path = path.as_ref();
        let bytes = Secret::new(std::fs::read(path)?);
        let text = bytes.expose_str().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))?;
        Ok(self.add_text(&path.display().to_string(), text))
    }

    /// Adds one `name=value`, as given on a command line: without escapes, and the name ends at the first `=`.
    pub fn add_pair(&mut self, pair: &str) -> &mut Self {
        match pair.split_once('=') {
            Some((name, value)) => self.set(name, value),
            None => {
                self.set(pair, "");
                if let Some(entry) = self.entries.last_mut() {
                    entry.wrong = Some("is not of the form name=value".into());
                }
                self
            }
        }
    }

    /// Adds one setting. Like [`add_pair`](Self::add_pair), it is of one source with its neighbours.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        if !self.last_was_pair {
            self.sources += 1;
            self.last_was_pair = true;
        }
        self.entries.push(Entry {
            key: name.to_owned(),
            value: Secret::from(value),
            resolved: false,
            source: String::new(),
            rank: self.sources,
            line: None,
            wrong: None,
        });
        self
    }

    /// Puts the content of a file or of an environment variable in place of each value that is `${file:PATH}` or `${env:NAME}` as a
    /// whole, and of each option of `sasl.jaas.config` that is, so that passwords need not be written down here. One line end at the end of a
    /// file does not count.
    ///
    /// What cannot be read is reported by [`settings`](Self::settings), and no problem shows what was read.
    pub fn resolve(&mut self) -> &mut Self {
        for entry in &mut self.entries {
            let found = match entry.key.trim() {
                "sasl.jaas.config" => referred(entry.text()).or_else(|| referred_in_jaas(entry.text())),
                _ => referred(entry.text()),
            };
            match found {
                None => {}
                Some(Ok(content)) => (entry.value, entry.resolved) = (content, true),
                Some(Err(wrong)) => entry.wrong = Some(wrong.into()),
            }
        }
        self
    }

    /// What it all means. White space around names and values does not count.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once: names that nobody knows, values that do not fit, settings that have no
    /// counterpart here and cannot be left out, and one source that sets the same thing twice in different ways.
    pub fn settings(&self) -> Result<Settings, Problems> {
        let mut draft = Draft::default();
        for (index, known) in self.in_force(&mut draft) {
            draft.entry = index;
            let entry = &self.entries[index];
            if matches!(known.effect, Effect::Applied(_)) && entry.is_unresolved() {
                let wrong = Wrong::new("refers to a value that is kept elsewhere, which nobody has put in place");
                draft.wrong.push((index, wrong.hint("Properties::resolve does, where the reference is all there is")));
                continue;
            }
            if let Err(wrong) = apply(known, &mut draft, entry.text()) {
                // What is wrong with a value may be said in words of it.
                let unseen = entry.resolved && !is_secret(&entry.key);
                draft.wrong.push((index, if unseen { Wrong::new(UNSEEN) } else { wrong }));
            }
        }
        draft.sasl_unread = draft.wrong.iter().any(|(index, _)| self.entries[*index].key.contains("sasl."));
        draft.finish();

        if !draft.wrong.is_empty() {
            draft.wrong.sort_by_key(|(index, _)| *index);
            let problems = draft.wrong.into_iter().map(|(index, wrong)| self.entries[index].problem(wrong));
            return Err(Problems(problems.collect()));
        }
        draft.ignored.sort_unstable();
        let ignored = draft.ignored.into_iter().map(|(index, reason)| self.entries[index].ignored(reason));
        draft.settings.ignored = ignored.collect();
        Ok(draft.settings)
    }

    /// The entries that count, in the order in which they are written; what is wrong with the others goes to `draft`.
    fn in_force(&self, draft: &mut Draft) -> Vec<(usize, &'static Known)> {
        let mut in_force: BTreeMap<&str, (usize, &'static Known)> = BTreeMap::new();
        for (index, entry) in self.entries.iter().enumerate() {
            let key = entry.key.trim();
            if let Some(wrong) = &entry.wrong {
                draft.wrong.push((index, Wrong::new(wrong.as_ref())));
                continue;
            }
            let Some(known) = known::find(key) else {
                draft.wrong.push((index, unknown(key)));
                continue;
            };
            // All names of a row that stands for many are settings of their own.
            let slot = if known.name.ends_with('*') { key } else { known.slot };
            let before = in_force.insert(slot, (index, known));
            if let Some((before, other)) = before {
                let other_entry = &self.entries[before];
                let same = other.name == known.name && other_entry.text() == entry.text();
                if other_entry.rank == entry.rank && !same {
                    draft.wrong.push((index, twice(other_entry)));
                }
            }
        }
        let mut in_force: Vec<_> = in_force.into_values().collect();
        in_force.sort_unstable_by_key(|(index, _)| *index);
        in_force
    }
}

impl Entry {
    /// The value without white space around it.
    fn text(&self) -> &str {
        self.value.expose_str().unwrap_or_default().trim()
    }

    /// Whether it would be taken by its letters though it names something else: no password looks like that.
    fn is_unresolved(&self) -> bool {
        let is_reference = |text: &str| ["${env:", "${file:"].iter().any(|start| text.trim().starts_with(start));
        !self.resolved
            && match self.key.trim() {
                "sasl.jaas.config" => self.text().split(['"', '=']).any(is_reference),
                _ => is_reference(self.text()),
            }
    }

    /// Whether the value must not be shown.
    fn is_secret(&self) -> bool {
        let key = self.key.trim();
        // A password under a misspelt name is a password still, and nobody knows what is behind a name that is like no other.
        let meant = if known::find(key).is_some() { Some(key) } else { meant(key) };
        self.resolved || is_secret(key) || meant.is_none_or(is_secret)
    }

    fn problem(&self, wrong: Wrong) -> Problem {
        Problem {
            key: self.key.trim().to_owned(),
            value: if self.is_secret() { "***".to_owned() } else { self.text().to_owned() },
            source: self.source.clone(),
            line: self.line,
            what: wrong.what,
            hint: wrong.hint,
        }
    }

    fn ignored(&self, reason: &'static str) -> Ignored {
        Ignored { key: self.key.trim().to_owned(), source: self.source.clone(), line: self.line, reason }
    }
}

/// What is said of a value that was read from elsewhere.
const UNSEEN: &str = "has a value that does not fit; it is not shown, as it was read from a file or the environment";

fn apply(known: &Known, draft: &mut Draft, value: &str) -> Result<(), Wrong> {
    match known.effect {
        Effect::Applied(apply) => apply(draft, value),
        Effect::Ignored => {
            draft.ignore(known.note);
            Ok(())
        }
        Effect::Only(values) if values.iter().any(|only| only.eq_ignore_ascii_case(value)) => Ok(()),
        Effect::Only(["", ..]) => Err(Wrong::new(format!("is refused: {}", known.note)).hint("leave it out")),
        Effect::Only(values) => {
            let hint = format!("leave it out, or set it to {}", values.first().unwrap_or(&""));
            Err(Wrong::new(format!("is refused: {}", known.note)).hint(hint))
        }
        Effect::Refused => Err(Wrong::new(format!("is refused: {}", known.note))),
    }
}

fn unknown(key: &str) -> Wrong {
    let wrong = Wrong::new("is no property that Kafka's clients or librdkafka know");
    match meant(key) {
        Some(name) => wrong.hint(format!("did you mean {name}?")),
        None => wrong,
    }
}

/// The name that was meant by one that nobody knows, if it is like any.
fn meant(key: &str) -> Option<&'static str> {
    nearest(key, known::all().flat_map(Known::names).filter(|name| !name.ends_with('*')))
}

fn twice(other: &Entry) -> Wrong {
    let line = other.line.map(|line| format!(" on line {line}")).unwrap_or_default();
    Wrong::new(format!("sets what {}{line} sets already, in another way", other.key.trim()))
}

/// Whether a name is of something that must not turn up in logs.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "passphrase", "secret", "jaas", "credential", "token", ".key", "pem", "private"]
        .iter()
        .any(|part| name.contains(part))
}

#[cfg(test)]
mod tests;
