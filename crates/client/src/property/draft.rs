//! Settings in the making: what depends on more than one property is put together at the end.

use std::time::Duration;

use milena_wire::{Codec, Compression};

use super::settings::{Partitioner, Settings};
use super::value::Wrong;
use crate::sasl::{Password, SaslSettings};
use crate::security::{Source, TlsSettings};

/// Settings, and what has to wait until all properties were read.
///
/// Entries are named by their position among all that were written.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) settings: Settings,
    /// The entry being read.
    pub(super) entry: usize,
    pub(super) wrong: Vec<(usize, Wrong)>,
    pub(super) ignored: Vec<(usize, &'static str)>,
    codec: Option<Codec>,
    levels: Vec<Level>,
    /// `partitioner.ignore.keys=true`, which counts with the built-in partitioner alone.
    ignore_keys: Option<usize>,
    /// librdkafka's `socket.timeout.ms`, which counts only without `request.timeout.ms`.
    socket_timeout: Option<(usize, Duration)>,
    /// Entries about TLS, and what each sets.
    tls: Vec<(usize, &'static str)>,
    /// Entries about SASL.
    sasl: Vec<usize>,
    /// Some entry about SASL could not be read, so that what is missing may be what it says.
    pub(super) sasl_unread: bool,
    has_password: bool,
    has_client_secret: bool,
    has_https_ca: bool,
}

/// A compression level as it was written.
#[derive(Clone, Copy, Debug)]
struct Level {
    entry: usize,
    /// The codec it is for; librdkafka's is for whichever is chosen.
    codec: Option<Codec>,
    level: i32,
}

impl Draft {
    /// Notes that the entry being read has no effect.
    pub(super) fn ignore(&mut self, reason: &'static str) {
        self.ignored.push((self.entry, reason));
    }

    pub(super) fn set_codec(&mut self, codec: Codec) {
        self.codec = Some(codec);
    }

    pub(super) fn set_level(&mut self, codec: Option<Codec>, level: i32) {
        self.levels.push(Level { entry: self.entry, codec, level });
    }

    pub(super) fn set_ignore_keys(&mut self, ignore: bool) {
        self.settings.producer.ignore_keys = Some(ignore);
        self.ignore_keys = ignore.then_some(self.entry);
    }

    pub(super) fn set_socket_timeout(&mut self, timeout: Duration) {
        self.socket_timeout = Some((self.entry, timeout));
    }

    /// Notes that the entry being read sets `what` of TLS, which no other may set under another name.
    pub(super) fn tls(&mut self, what: &'static str) -> Result<&mut TlsSettings, Wrong> {
        let before = self.tls.iter().any(|(_, other)| *other == what);
        self.tls.push((self.entry, what));
        if before {
            return Err(Wrong::new(format!("sets {what}, which is set already under another name")));
        }
        Ok(&mut self.settings.client.tls)
    }

    /// Notes that the entry being read is about SASL.
    pub(super) fn sasl(&mut self) -> &mut SaslSettings {
        self.sasl.push(self.entry);
        &mut self.settings.client.sasl
    }

    /// Sets the password, which no other entry may set under another name.
    pub(super) fn password(&mut self, password: Password) -> Result<(), Wrong> {
        self.sasl().password = Some(password);
        if std::mem::replace(&mut self.has_password, true) {
            return Err(Wrong::new("sets the password, which is set already under another name"));
        }
        Ok(())
    }

    /// Sets the client's secret, which no other entry may set under another name.
    pub(super) fn client_secret(&mut self, secret: Password) -> Result<(), Wrong> {
        self.sasl().oauth.client_secret = Some(secret);
        if std::mem::replace(&mut self.has_client_secret, true) {
            return Err(Wrong::new("sets the client's secret, which is set already under another name"));
        }
        Ok(())
    }

    /// Sets whom to trust with tokens, which no other entry may set under another name.
    pub(super) fn https_ca(&mut self, source: Source) -> Result<(), Wrong> {
        self.sasl().oauth.tls.trust = Some(source);
        if std::mem::replace(&mut self.has_https_ca, true) {
            return Err(Wrong::new("sets whom to trust, which is set already under another name"));
        }
        Ok(())
    }

    /// Java and librdkafka bound the age of metadata under two names; the shorter one is what both ask for.
    pub(super) fn bound_metadata_age(&mut self, age: Duration) {
        let bound = &mut self.settings.client.metadata_max_age;
        *bound = Some(bound.map_or(age, |other| other.min(age)));
    }

    /// Puts together what depends on more than one property.
    pub(super) fn finish(&mut self) {
        self.choose_compression();
        self.settle_tls();
        self.settle_sasl();
        let producer = &mut self.settings.producer;
        if let Some(entry) = self.ignore_keys
            && producer.partitioner.is_some_and(|named| named != Partitioner::Java)
        {
            producer.ignore_keys = None;
            self.ignored.push((entry, "another partitioner is named, which has rules of its own"));
        }
        let client = &mut self.settings.client;
        if let Some((entry, timeout)) = self.socket_timeout {
            if client.request_timeout.is_none() {
                client.request_timeout = Some(timeout);
            } else {
                self.ignored.push((entry, "request.timeout.ms is set too, and bounds the whole request here"));
            }
        }
        // As in Java: the first alone means a constant backoff.
        if client.reconnect_backoff_max.is_none() {
            client.reconnect_backoff_max = client.reconnect_backoff;
        }
    }

    fn settle_tls(&mut self) {
        let client = &self.settings.client;
        if !client.security_protocol.unwrap_or_default().has_tls() {
            let reason = "it counts with security.protocol=SSL or SASL_SSL alone";
            self.ignored.extend(self.tls.iter().map(|(entry, _)| (*entry, reason)));
            return;
        }
        let blamed = self.tls.first().map_or(self.entry, |(entry, _)| *entry);
        let problems = client.tls.problems().into_iter();
        self.wrong.extend(problems.map(|(property, problem)| (blamed, Wrong::new(format!("{property} {problem}")))));
    }

    fn settle_sasl(&mut self) {
        let client = &self.settings.client;
        if !client.security_protocol.unwrap_or_default().has_sasl() {
            let reason = "it counts with security.protocol=SASL_PLAINTEXT or SASL_SSL alone";
            self.ignored.extend(self.sasl.iter().map(|entry| (*entry, reason)));
            return;
        }
        if self.sasl_unread {
            return;
        }
        // A provider set in code takes the place of everything that is missing here.
        let says_where = client.sasl.jaas.is_some() || client.sasl.oauth.is_set();
        if client.sasl.mechanism.as_deref() == Some("OAUTHBEARER") && !says_where {
            return;
        }
        if let Err((property, problem)) = client.sasl.mechanism() {
            let blamed = self.sasl.first().copied().unwrap_or(self.entry);
            self.wrong.push((blamed, Wrong::new(format!("{property} {problem}"))));
        }
    }

    fn choose_compression(&mut self) {
        let codec = self.codec.unwrap_or(Codec::None);
        let mut compression = Compression::new(codec);
        let mut chosen = None;
        for Level { entry, codec: only_for, level } in self.levels.clone() {
            if codec == Codec::None || only_for.is_some_and(|other| other != codec) {
                self.ignored.push((entry, "the compression.type in force has no use for it"));
                continue;
            }
            if chosen.replace(entry).is_some() {
                self.wrong.push((entry, Wrong::new("sets a compression level that is set before under another name")));
                continue;
            }
            match level_of(codec, only_for, level) {
                Ok(level) => compression = level,
                Err(wrong) => self.wrong.push((entry, wrong)),
            }
        }
        self.settings.producer.compression = self.codec.map(|_| compression);
    }
}

/// `level` as the property for `only_for` numbers it; librdkafka's own property if that is none.
fn level_of(codec: Codec, only_for: Option<Codec>, level: i32) -> Result<Compression, Wrong> {
    let default = match (codec, only_for) {
        // Java's default of 9 selects the fast compressor, and every other level the slow one.
        (Codec::Lz4, Some(_)) => level == 9,
        // librdkafka hands 0 to liblz4, which takes it for the fast one; snappy has no other.
        (Codec::Lz4 | Codec::Snappy, None) => matches!(level, -1 | 0),
        (_, None) => level == -1,
        (_, Some(_)) => false,
    };
    if default {
        return Ok(Compression::new(codec));
    }
    Compression::with_level(codec, level).map_err(|error| Wrong::new(error.to_string()))
}
