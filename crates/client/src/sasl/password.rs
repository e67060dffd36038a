//! Where a password comes from.

use std::path::PathBuf;

use milena_sasl::{SaslError, Secret};

/// A password, or where it is.
#[derive(Clone, Debug)]
pub enum Password {
    /// This one.
    Fixed(Secret),
    /// What is in this file, without the line break at its end. It is read again for every authentication, so that a new password needs
    /// no restart.
    File(PathBuf),
}

impl From<&str> for Password {
    fn from(password: &str) -> Self {
        Self::Fixed(password.into())
    }
}

impl From<Secret> for Password {
    fn from(password: Secret) -> Self {
        Self::Fixed(password)
    }
}

impl Password {
    /// The password now. Reads a file, if there is one.
    pub(super) fn read(&self) -> Result<Secret, SaslError> {
        match self {
            Self::Fixed(password) => Ok(password.clone()),
            Self::File(path) => secret_of(path),
        }
    }
}

/// What a file says, without the line break at its end.
pub(super) fn secret_of(path: &PathBuf) -> Result<Secret, SaslError> {
    let wrong = |error: std::io::Error| SaslError::no_credentials(format!("{}: {error}", path.display()));
    let bytes = Secret::new(std::fs::read(path).map_err(wrong)?);
    let text = bytes.expose();
    let end = text.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    if end == 0 {
        return Err(SaslError::no_credentials(format!("{} is empty", path.display())));
    }
    Ok(Secret::concat(&[&text[..end]]))
}
