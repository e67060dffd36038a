//! Collects properties from where they are written.

use std::io;
use std::path::Path;

use super::{Problems, Settings};

/// Properties as written, from any number of sources; of two sources, the later one wins.
#[derive(Clone, Debug, Default)]
pub struct Properties {}

impl Properties {
    /// Nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the text of a `.properties` file, as Java reads it; `source` names it in problems.
    pub fn add_text(&mut self, source: &str, text: &str) -> &mut Self {
        todo!("{source} {text}")
    }

    /// Adds a `.properties` file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn add_file(&mut self, path: &Path) -> io::Result<&mut Self> {
        todo!("{path:?}")
    }

    /// Adds one `name=value`, as given on a command line. No escapes.
    pub fn add_pair(&mut self, pair: &str) -> &mut Self {
        todo!("{pair}")
    }

    /// Adds one setting.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        todo!("{name} {value}")
    }

    /// What it all means.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    pub fn settings(&self) -> Result<Settings, Problems> {
        todo!()
    }
}
