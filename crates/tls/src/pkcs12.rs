//! PKCS#12 stores, as `keytool` and `openssl pkcs12` write them.

#[cfg(feature = "pkcs12")]
use p12_keystore::error::Error;
#[cfg(feature = "pkcs12")]
use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12Archive, Pkcs12ImportPolicy};
#[cfg(feature = "pkcs12")]
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::Password;
use crate::store::Contents;

/// All certificates of a store and its key. With a key, the certificates are the key's own chain, its own first.
#[cfg(feature = "pkcs12")]
pub(crate) fn parse(bytes: &[u8], password: Option<&Password>) -> Result<Contents, String> {
    let password = password.map_or("", Password::as_str);
    let archive = Pkcs12Archive::from_pkcs12(bytes, password).map_err(|error| told(&error))?;
    if archive.keys.is_empty() {
        let certificates = archive.certs.iter().map(|bag| der(bag.cert.as_der())).collect();
        return Ok(Contents { certificates, keys: Vec::new() });
    }
    let store = KeyStore::from_pkcs12(bytes, password, Pkcs12ImportPolicy::Strict).map_err(|error| told(&error))?;
    let mut contents = Contents::default();
    for (_, entry) in store.entries() {
        if let KeyStoreEntry::PrivateKeyChain(chain) = entry {
            let key = PrivatePkcs8KeyDer::from(chain.key().as_der().to_vec());
            contents.keys.push(PrivateKeyDer::Pkcs8(key));
            contents.certificates.extend(chain.certs().iter().map(|certificate| der(certificate.as_der())));
        }
    }
    if contents.keys.is_empty() {
        return Err("its key belongs to none of its certificates".into());
    }
    Ok(contents)
}

#[cfg(feature = "pkcs12")]
fn der(bytes: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from(bytes.to_vec())
}

#[cfg(feature = "pkcs12")]
fn told(error: &Error) -> String {
    match error {
        Error::MacError(_) => {
            "the password for it is wrong or missing (ssl.keystore.password, ssl.truststore.password)".into()
        }
        error => format!("it is no PKCS#12 store that can be read here ({error})"),
    }
}

#[cfg(not(feature = "pkcs12"))]
pub(crate) fn parse(_: &[u8], _: Option<&Password>) -> Result<Contents, String> {
    Err("it is a PKCS#12 store, and this build reads none (feature `pkcs12`); convert it with \
         `openssl pkcs12 -in STORE.p12 -nodes -out STORE.pem`"
        .into())
}
