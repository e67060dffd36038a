//! Who this side is, and whom it trusts.

use std::hash::{DefaultHasher, Hasher};

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{About, TlsConfigError};
use crate::store::{Piece, Store};

/// The certificate this side shows, with what leads from it to its issuer, and the key that goes with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    chain: Store,
    /// Where the key is, if not with the chain.
    key: Option<Store>,
}

impl Identity {
    /// Certificates and key from one store.
    #[must_use]
    pub fn store(store: Store) -> Self {
        Self { chain: store, key: None }
    }

    /// Certificates and key apart, as librdkafka's `ssl.certificate.location` and `ssl.key.location` have them.
    #[must_use]
    pub fn apart(chain: Store, key: Store) -> Self {
        Self { chain, key: Some(key) }
    }

    pub(crate) fn read(&self) -> Result<Vec<Vec<Piece>>, TlsConfigError> {
        [Some(&self.chain), self.key.as_ref()].into_iter().flatten().map(|store| store.read(About::Identity)).collect()
    }

    /// The chain and the key, of what [`read`](Self::read) gave.
    pub(crate) fn parse(
        &self,
        pieces: &[Vec<Piece>],
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsConfigError> {
        let wrong = |what: &str| TlsConfigError::new(About::Identity, what);
        let [first, rest @ ..] = pieces else { return Err(wrong("nothing was read")) };
        let contents = self.chain.parse(About::Identity, first)?;
        let mut keys = contents.keys;
        if let (Some(key), Some(pieces)) = (&self.key, rest.first()) {
            keys = key.parse(About::Identity, pieces)?.keys;
        }
        if contents.certificates.is_empty() {
            return Err(wrong(
                "there is no certificate in it; put the chain first (ssl.keystore.certificate.chain, ssl.certificate.location)",
            ));
        }
        match keys.len() {
            1 => {}
            0 => return Err(wrong("there is no private key in it (ssl.keystore.key, ssl.key.location)")),
            _ => return Err(wrong("there is more than one private key in it, and no telling which one is meant")),
        }
        Ok((contents.certificates, keys.remove(0)))
    }
}

/// Whose certificates are believed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Trust {
    /// Whomever the operating system trusts. Read once.
    System,
    /// Those in these stores, and nobody else.
    Stores(Vec<Store>),
}

impl Trust {
    pub(crate) fn read(&self) -> Result<Vec<Vec<Piece>>, TlsConfigError> {
        match self {
            Self::System => Ok(Vec::new()),
            Self::Stores(stores) => stores.iter().map(|store| store.read(About::Trust)).collect(),
        }
    }

    pub(crate) fn parse(&self, pieces: &[Vec<Piece>]) -> Result<RootCertStore, TlsConfigError> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                // Systems come with a few that are too odd to be read.
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
                    let what = format!(
                        "the operating system has none that can be found{why}; install its ca-certificates, or say where they \
                         are (ssl.ca.location, ssl.truststore.location, SSL_CERT_FILE)"
                    );
                    return Err(TlsConfigError::new(About::Trust, what));
                }
            }
            Self::Stores(stores) => {
                for (store, pieces) in stores.iter().zip(pieces) {
                    for certificate in store.parse(About::Trust, pieces)?.certificates {
                        let result = roots.add(certificate);
                        let wrong =
                            |error| TlsConfigError::new(About::Trust, format!("one of them is unusable: {error}"));
                        result.map_err(wrong)?;
                    }
                }
                if roots.is_empty() {
                    return Err(TlsConfigError::new(About::Trust, "there are none in the stores that were given"));
                }
            }
        }
        Ok(roots)
    }
}

/// Changes when any of the bytes does.
pub(crate) fn fingerprint<'a>(pieces: impl Iterator<Item = &'a Vec<Vec<Piece>>>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for piece in pieces.flatten().flatten() {
        hasher.write(piece.file.as_ref().map_or(&[][..], |file| file.as_os_str().as_encoded_bytes()));
        hasher.write_usize(piece.bytes.len());
        hasher.write(&piece.bytes);
    }
    hasher.finish()
}
