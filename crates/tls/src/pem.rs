//! PEM: certificates and keys as text.
//!
//! Read more leniently than RFC 7468 has it, since texts that came through a properties file or an environment variable
//! often have their line breaks turned into spaces. Kafka reads those too.

use base64ct::{Base64, Encoding};
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use zeroize::Zeroizing;

use crate::Password;
use crate::store::Contents;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// One part of a PEM text.
struct Section<'a> {
    label: &'a str,
    body: &'a str,
}

pub(crate) fn looks_like_pem(bytes: &[u8]) -> bool {
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN.as_bytes())
}

/// All certificates and keys of a text, in order; an encrypted key is opened with `password`.
pub(crate) fn parse(text: &str, password: Option<&Password>) -> Result<Contents, String> {
    let mut contents = Contents::default();
    for section in sections(text)? {
        match section.label {
            "CERTIFICATE" | "X509 CERTIFICATE" => {
                contents.certificates.push(CertificateDer::from(decode(&section)?.to_vec()));
            }
            "PRIVATE KEY" => {
                contents.keys.push(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(decode(&section)?.to_vec())));
            }
            "RSA PRIVATE KEY" => {
                contents.keys.push(PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(decode(&section)?.to_vec())));
            }
            "EC PRIVATE KEY" => {
                contents.keys.push(PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(decode(&section)?.to_vec())));
            }
            "ENCRYPTED PRIVATE KEY" => contents.keys.push(decrypt(&decode(&section)?, password)?),
            // Parameters of curves, requests, what OpenSSL writes besides: nothing that is needed.
            _ => {}
        }
    }
    Ok(contents)
}

fn sections(text: &str) -> Result<Vec<Section<'_>>, String> {
    let mut sections = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find(BEGIN) {
        let after = &rest[begin + BEGIN.len()..];
        let (label, after) = after.split_once(DASHES).ok_or("it has a BEGIN line that does not end")?;
        let (body, after) =
            after.split_once(END).ok_or_else(|| format!("the part that begins with {label} has no end"))?;
        let (ended, after) = after.split_once(DASHES).ok_or("it has an END line that does not end")?;
        if ended != label {
            return Err(format!("the part that begins as {label} ends as {ended}"));
        }
        sections.push(Section { label, body });
        rest = after;
    }
    Ok(sections)
}

fn decode(section: &Section<'_>) -> Result<Zeroizing<Vec<u8>>, String> {
    if section.body.contains("Proc-Type:") {
        return Err("its key is encrypted in OpenSSL's old way, which is not read here; convert it with \
                    `openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW`"
            .into());
    }
    let packed: Zeroizing<String> = Zeroizing::new(section.body.split_ascii_whitespace().collect());
    let decoded =
        Base64::decode_vec(&packed).map_err(|_| format!("the {} in it is not valid base64", section.label))?;
    Ok(Zeroizing::new(decoded))
}

fn decrypt(der: &[u8], password: Option<&Password>) -> Result<PrivateKeyDer<'static>, String> {
    let password = password.ok_or("its key is encrypted, and no password for it is set (ssl.key.password)")?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|error| {
        format!(
            "its encrypted key is of a kind that is not read here ({error}); convert it with \
             `openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW`"
        )
    })?;
    let key = encrypted
        .decrypt(password.as_str())
        .map_err(|error| format!("its key cannot be decrypted ({error}): the password (ssl.key.password) is wrong"))?;
    Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec())))
}
