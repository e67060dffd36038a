//! Where certificates and keys come from, and what is in there.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::error::{About, TlsConfigError};
use crate::{Password, pem, pkcs12};

/// How a JKS store begins.
const JKS: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
/// No store is nearly as large; something else might be.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Certificates and keys in one place: a file or a text, PEM or PKCS#12.
///
/// Which of the two it is shows in its content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Store {
    place: Place,
    pub(crate) password: Option<Password>,
    only: Option<Format>,
}

#[derive(Clone, Eq, PartialEq)]
enum Place {
    /// Read again for each new connection, to notice when it has changed. A folder stands for all files in it.
    File(PathBuf),
    Bytes(Arc<Zeroizing<Vec<u8>>>),
}

/// The format of a [`Store`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Format {
    /// Text between `-----BEGIN …-----` and `-----END …-----`.
    Pem,
    /// Binary, encrypted with a password: `.p12`, `.pfx`.
    Pkcs12,
}

impl Store {
    /// A file. For trusted certificates it can also be a folder with a file for each.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { place: Place::File(path.into()), password: None, only: None }
    }

    /// The content itself.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self { place: Place::Bytes(Arc::new(Zeroizing::new(bytes.into()))), password: None, only: None }
    }

    /// What opens it: a PKCS#12 store, or the encrypted key in a PEM text.
    #[must_use]
    pub fn password(mut self, password: impl Into<Password>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Accepts this format alone.
    #[must_use]
    pub fn only(mut self, format: Format) -> Self {
        self.only = Some(format);
        self
    }

    /// What is in it at the moment: every file with its bytes.
    pub(crate) fn read(&self, about: About) -> Result<Vec<Piece>, TlsConfigError> {
        match &self.place {
            Place::Bytes(bytes) => Ok(vec![Piece { file: None, bytes: Zeroizing::new(bytes.to_vec()) }]),
            Place::File(path) => {
                read_path(path).map_err(|error| TlsConfigError::new(about, error.to_string()).in_file(path))
            }
        }
    }

    pub(crate) fn parse(&self, about: About, pieces: &[Piece]) -> Result<Contents, TlsConfigError> {
        let mut contents = Contents::default();
        for piece in pieces {
            let more = self.parse_one(&piece.bytes).map_err(|what| {
                let error = TlsConfigError::new(about, what);
                match &piece.file {
                    Some(file) => error.in_file(file),
                    None => error,
                }
            })?;
            contents.certificates.extend(more.certificates);
            contents.keys.extend(more.keys);
        }
        Ok(contents)
    }

    fn parse_one(&self, bytes: &[u8]) -> Result<Contents, String> {
        let format = if bytes.starts_with(&JKS) {
            return Err("it is a JKS store, which only Java reads; convert it with `keytool -importkeystore \
                        -srckeystore STORE.jks -destkeystore STORE.p12 -deststoretype PKCS12`"
                .into());
        } else if pem::looks_like_pem(bytes) {
            Format::Pem
        } else if bytes.first() == Some(&0x30) {
            Format::Pkcs12
        } else {
            return Err("it is neither PEM nor PKCS#12".into());
        };
        if let Some(only) = self.only
            && only != format
        {
            return Err(format!("it is {format}, where {only} is said to be"));
        }
        match format {
            Format::Pem => {
                let text = std::str::from_utf8(bytes).map_err(|_| "it is PEM with bytes that are no text")?;
                pem::parse(text, self.password.as_ref())
            }
            Format::Pkcs12 => pkcs12::parse(bytes, self.password.as_ref()),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Bytes(_) => f.write_str("Bytes(***)"),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pem => "PEM",
            Self::Pkcs12 => "PKCS#12",
        })
    }
}

/// A file of a store, or all of one that is none.
pub(crate) struct Piece {
    pub(crate) file: Option<PathBuf>,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

/// What is in a store.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) keys: Vec<PrivateKeyDer<'static>>,
}

fn read_path(path: &Path) -> io::Result<Vec<Piece>> {
    if !path.is_dir() {
        return Ok(vec![read_file(path)?]);
    }
    let mut files = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort_unstable();
    let mut pieces = Vec::new();
    for file in files.into_iter().filter(|file| file.is_file()) {
        let piece = read_file(&file)?;
        // A README among the certificates is nobody's mistake.
        if pem::looks_like_pem(&piece.bytes) {
            pieces.push(piece);
        }
    }
    Ok(pieces)
}

fn read_file(path: &Path) -> io::Result<Piece> {
    if fs::metadata(path)?.len() > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large to be a store of certificates"));
    }
    Ok(Piece { file: Some(path.to_owned()), bytes: Zeroizing::new(fs::read(path)?) })
}
