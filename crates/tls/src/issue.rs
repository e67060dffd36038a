//! Certificates made on the spot: for tests, and for an embedded broker that nobody has made any for.
//!
//! An [`Authority`] issues to whoever is named. Nothing here is fit for production: serial numbers count up, nothing is ever
//! revoked.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use graviola::signing::ecdsa::{P256, SigningKey as Key};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose,
    PublicKeyData, SerialNumber, SigningKey,
};
use rustls::SignatureScheme;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::SigningKey as RustlsKey;

use crate::{Identity, Store, Trust, default_provider};

/// What comes before the point in a P-256 key in SubjectPublicKeyInfo form.
const SPKI_PREFIX: usize = 26;
/// A day, in seconds.
const DAY: i64 = 24 * 60 * 60;

/// Signs certificates.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, Pair>,
    serial: AtomicU64,
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate, in PEM.
    pub certificate: String,
    /// Its key, in PEM.
    pub key: String,
}

/// When a certificate is valid, in days from now.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    /// The first day; usually negative.
    pub from: i64,
    /// The last.
    pub to: i64,
}

impl Default for Validity {
    /// From yesterday on for ten years.
    fn default() -> Self {
        Self { from: -1, to: 3650 }
    }
}

impl Authority {
    /// A new one, with a key of its own.
    ///
    /// # Errors
    ///
    /// If this machine has no cryptography or no randomness.
    pub fn new(name: &str) -> io::Result<Self> {
        let pair = Pair::generate()?;
        let mut params = params(name, Validity::default(), 1)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.key_identifier_method = KeyIdMethod::PreSpecified(pair.point[1..21].to_vec());
        let certificate = params.self_signed(&pair).map_err(io::Error::other)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(params, pair), serial: AtomicU64::new(2) })
    }

    /// Its own certificate, in PEM: what others have to trust.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Trust in it alone.
    #[must_use]
    pub fn trust(&self) -> Trust {
        Trust::Stores(vec![Store::bytes(self.certificate.clone())])
    }

    /// A certificate for a server under all of `names`, which are host names or addresses.
    ///
    /// # Errors
    ///
    /// If one of the names is none, or this machine has no randomness.
    pub fn server(&self, names: &[&str], validity: Validity) -> io::Result<Issued> {
        let mut params = params(names.first().copied().unwrap_or("server"), validity, self.next())?;
        let alternatives = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        params.subject_alt_names = alternatives.map_err(io::Error::other)?.subject_alt_names;
        self.issue(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client of that name.
    ///
    /// # Errors
    ///
    /// As [`server`](Self::server).
    pub fn client(&self, name: &str, validity: Validity) -> io::Result<Issued> {
        self.issue(params(name, validity, self.next())?, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn next(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    fn issue(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> io::Result<Issued> {
        let pair = Pair::generate()?;
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let certificate = params.signed_by(&pair, &self.issuer).map_err(io::Error::other)?;
        Ok(Issued { certificate: certificate.pem(), key: pair.pem })
    }
}

impl Issued {
    /// To be shown to others.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity::store(Store::bytes(format!("{}{}", self.key, self.certificate)))
    }
}

fn params(name: &str, validity: Validity, serial: u64) -> io::Result<CertificateParams> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
    let now = i64::try_from(now.as_secs()).map_err(io::Error::other)?;
    let day = |days: i64| {
        rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs((now + days * DAY).unsigned_abs())
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = day(validity.from);
    params.not_after = day(validity.to);
    params.serial_number = Some(SerialNumber::from(serial));
    params.key_identifier_method = KeyIdMethod::PreSpecified(serial.to_be_bytes().to_vec());
    Ok(params)
}

/// An ECDSA key on P-256.
struct Pair {
    pem: String,
    /// The public point, uncompressed.
    point: Vec<u8>,
    signs: Arc<dyn RustlsKey>,
}

impl Pair {
    fn generate() -> io::Result<Self> {
        // Graviola ends the process on a machine that it does not like.
        let provider = default_provider().map_err(io::Error::other)?;
        let wrong = |error: graviola::Error| io::Error::other(format!("no key could be made: {error:?}"));
        let key = Key::<P256>::generate().map_err(wrong)?;
        let mut buffer = [0; 256];
        let der = key.to_pkcs8_der(&mut buffer).map_err(wrong)?.to_vec();
        let mut buffer = [0; 256];
        let point = key.to_spki_der(&mut buffer).map_err(wrong)?[SPKI_PREFIX..].to_vec();
        let pem = pem_text(&der);
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der));
        let signs = provider.key_provider.load_private_key(der).map_err(io::Error::other)?;
        Ok(Self { pem, point, signs })
    }
}

fn pem_text(der: &[u8]) -> String {
    use base64ct::{Base64, Encoding};
    let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in Base64::encode_string(der).as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    text
}

impl PublicKeyData for Pair {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Pair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signer = self.signs.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]);
        signer.and_then(|signer| signer.sign(message).ok()).ok_or(rcgen::Error::RemoteKeyError)
    }
}
