//! What is wrong with how TLS is set up, before anybody is connected to.

use std::fmt;
use std::path::{Path, PathBuf};

/// A store, key or setting that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TlsConfigError {
    /// What it is about.
    pub about: About,
    /// The file it is in, if it is in one.
    pub file: Option<PathBuf>,
    /// What is wrong, and what to do about it where that is known.
    pub what: String,
}

/// What a [`TlsConfigError`] is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum About {
    /// The certificates that are trusted.
    Trust,
    /// This side's own certificates and key.
    Identity,
    /// The cryptography, protocol versions or cipher suites.
    Cryptography,
}

impl TlsConfigError {
    pub(crate) fn new(about: About, what: impl Into<String>) -> Self {
        Self { about, file: None, what: what.into() }
    }

    pub(crate) fn in_file(self, file: &Path) -> Self {
        Self { file: Some(file.to_owned()), ..self }
    }
}

impl fmt::Display for TlsConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.about {
            About::Trust => "the trusted certificates",
            About::Identity => "the own certificate and key",
            About::Cryptography => "TLS",
        })?;
        if let Some(file) = &self.file {
            write!(f, " in {}", file.display())?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for TlsConfigError {}
