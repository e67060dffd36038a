//! PEM: certificates and keys as text.
//!
//! Read more leniently than RFC 7468 has it, since texts that came through a properties file or an environment variable
//! often have their line breaks turned into spaces. Kafka reads those too.

use base64ct::{Base64, Encoding};
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use zeroize::Zeroizing;

use crate::Password;
use crate::store::Contents;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// No label is longer.
const LABEL_MAX: usize = 40;

/// Rounds of PBKDF2 that are worth it, some seconds of them; OpenSSL's default is 2048, and what is advised today is 1.3 million. A file may say four
/// billion, and who reads it would never be done.
const ROUNDS_MAX: u32 = 5_000_000;
/// Memory that scrypt may take; OpenSSL gives it 32 MiB. A file may say exabytes, and asking for those ends the process.
const SCRYPT_MEMORY_MAX: u64 = 128 << 20;
/// How often scrypt may take it.
const SCRYPT_PARALLEL_MAX: u16 = 16;
/// Keys of one text. More than one are of no use, and each that is encrypted takes its time.
const KEYS_MAX: usize = 4;

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
        if contents.keys.len() > KEYS_MAX {
            return Err(format!("it has more than {KEYS_MAX} keys"));
        }
    }
    Ok(contents)
}

fn sections(text: &str) -> Result<Vec<Section<'_>>, String> {
    let mut sections = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find(BEGIN) {
        let after = &rest[begin + BEGIN.len()..];
        let (label, after) = after
            .split_once(DASHES)
            .filter(|(label, _)| is_label(label))
            .ok_or("it has a BEGIN line that does not end")?;
        let (body, after) =
            after.split_once(END).ok_or_else(|| format!("the part that begins with {label} has no end"))?;
        let (ended, after) = after
            .split_once(DASHES)
            .filter(|(label, _)| is_label(label))
            .ok_or("it has an END line that does not end")?;
        if ended != label {
            return Err(format!("the part that begins as {label} ends as {ended}"));
        }
        sections.push(Section { label, body });
        rest = after;
    }
    Ok(sections)
}

/// Whether it can be told in an error. Behind a BEGIN line that lacks its dashes comes the key itself, which nobody is to read there.
fn is_label(label: &str) -> bool {
    label.len() <= LABEL_MAX && label.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ')
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
    if !is_affordable(&encrypted.encryption_algorithm) {
        return Err("its encrypted key asks for more work or memory than any key is worth; encrypt it anew with \
                    `openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW`"
            .into());
    }
    let key = encrypted
        .decrypt(password.as_str())
        .map_err(|error| format!("its key cannot be decrypted ({error}): the password (ssl.key.password) is wrong"))?;
    Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec())))
}

fn is_affordable(scheme: &EncryptionScheme) -> bool {
    match scheme.pbes2().map(|parameters| &parameters.kdf) {
        Some(Kdf::Pbkdf2(pbkdf2)) => pbkdf2.iteration_count <= ROUNDS_MAX,
        Some(Kdf::Scrypt(scrypt)) => {
            let block = u64::from(scrypt.block_size).saturating_mul(128);
            let memory = scrypt.cost_parameter.saturating_mul(block);
            memory <= SCRYPT_MEMORY_MAX && scrypt.parallelization <= SCRYPT_PARALLEL_MAX
        }
        // Nothing else is read.
        _ => true,
    }
}
