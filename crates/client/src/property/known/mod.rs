//! Every property that Kafka's Java clients or librdkafka know, and what becomes of it here.

mod client;
mod consumer;
mod oauth;
mod producer;
mod security;

use super::draft::Draft;
use super::value::Wrong;

/// One known property.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: &'static str,
    /// Other names of the same thing.
    pub(super) aliases: &'static [&'static str],
    /// What is set: the name of the row, unless two rows set the same thing in different units or words.
    pub(super) slot: &'static str,
    /// What holds if it is not set, for people; empty for nothing.
    pub(super) default: &'static str,
    pub(super) effect: Effect,
    /// What it does, or why it does nothing.
    pub(super) note: &'static str,
}

type Apply = fn(&mut Draft, &str) -> Result<(), Wrong>;

#[derive(Debug)]
pub(super) enum Effect {
    /// Its value is read.
    Applied(Apply),
    /// Any value is accepted, and none has an effect.
    Ignored,
    /// Only these values are accepted, because they say what happens anyway. The empty one comes last.
    Only(&'static [&'static str]),
    /// No value is accepted.
    Refused,
}

/// A heading and what belongs under it.
struct Group {
    title: &'static str,
    properties: &'static [Known],
}

/// All there are. In each group those that are applied come first.
static GROUPS: [Group; 8] = [
    Group { title: "Finding and reaching the cluster", properties: client::CLIENT },
    Group { title: "Producing", properties: producer::PRODUCER },
    Group { title: "Security", properties: security::SECURITY },
    Group { title: "Tokens of OAUTHBEARER", properties: oauth::OAUTH },
    Group { title: "Known from Java, without a counterpart here", properties: client::JAVA_ONLY },
    Group { title: "Known from librdkafka, without a counterpart here", properties: client::LIBRDKAFKA_ONLY },
    Group { title: "For consumers", properties: consumer::CONSUMER },
    Group { title: "For topics and brokers", properties: consumer::NOT_FOR_CLIENTS },
];

/// All rows.
pub(super) fn all() -> impl Iterator<Item = &'static Known> {
    GROUPS.iter().flat_map(|group| group.properties)
}

/// The row with this name. A row whose name ends in `.*` has all names that begin like it.
pub(super) fn find(name: &str) -> Option<&'static Known> {
    all().find(|known| known.is(name))
}

/// One property, as it is listed for people.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listed {
    /// The heading it belongs under; rows of one heading follow each other.
    pub group: &'static str,
    /// Its name. One that ends in `.*` stands for all that begin like it.
    pub name: &'static str,
    /// Other names of the same thing.
    pub aliases: &'static [&'static str],
    /// What holds if it is not set; empty for nothing.
    pub default: &'static str,
    /// What it does, or why it is ignored or refused, in Markdown.
    pub what: String,
}

/// All properties that are known, for help texts.
pub fn list() -> impl Iterator<Item = Listed> {
    GROUPS.iter().flat_map(|group| group.properties.iter().map(|known| known.listed(group.title)))
}

impl Known {
    fn listed(&self, group: &'static str) -> Listed {
        let what = match self.effect {
            Effect::Applied(_) => self.note.to_owned(),
            Effect::Ignored => format!("*ignored*: {}", self.note),
            Effect::Only(["", ..]) => format!("**refused** unless empty: {}", self.note),
            Effect::Only(values) => {
                format!("**refused** unless `{}`: {}", values.first().unwrap_or(&""), self.note)
            }
            Effect::Refused => format!("**refused**: {}", self.note),
        };
        Listed { group, name: self.name, aliases: self.aliases, default: self.default, what }
    }

    fn is(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(prefix) => name.len() > prefix.len() && name.starts_with(prefix),
            None => self.name == name || self.aliases.contains(&name),
        }
    }

    /// All names under which it can be written.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    const fn alias(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// Sets what the row `slot` sets, too.
    const fn sets(self, slot: &'static str) -> Self {
        Self { slot, ..self }
    }

    const fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }
}

const fn applied(name: &'static str, default: &'static str, apply: Apply) -> Known {
    Known { name, aliases: &[], slot: name, default, effect: Effect::Applied(apply), note: "" }
}

const fn ignored(name: &'static str, reason: &'static str) -> Known {
    Known { name, aliases: &[], slot: name, default: "", effect: Effect::Ignored, note: reason }
}

const fn only(name: &'static str, values: &'static [&'static str], reason: &'static str) -> Known {
    Known { name, aliases: &[], slot: name, default: "", effect: Effect::Only(values), note: reason }
}

const fn refused(name: &'static str, reason: &'static str) -> Known {
    Known { name, aliases: &[], slot: name, default: "", effect: Effect::Refused, note: reason }
}
