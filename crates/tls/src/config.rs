//! What both sides can choose: versions, cipher suites, cryptography.

use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;

use crate::error::{About, TlsConfigError};
use crate::provider::default_provider;

/// A version of TLS.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum TlsVersion {
    /// 1.2.
    V1_2,
    /// 1.3.
    V1_3,
}

/// Versions, cipher suites and the provider, as they were chosen.
#[derive(Clone, Debug)]
pub(crate) struct Cryptography {
    pub(crate) versions: Vec<TlsVersion>,
    /// IANA's names; empty for all there are.
    pub(crate) suites: Vec<String>,
    pub(crate) provider: Option<Arc<CryptoProvider>>,
}

impl Default for Cryptography {
    fn default() -> Self {
        Self { versions: vec![TlsVersion::V1_3, TlsVersion::V1_2], suites: Vec::new(), provider: None }
    }
}

impl Cryptography {
    pub(crate) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let mut versions = self.versions.clone();
        versions.sort_unstable_by(|a, b| b.cmp(a));
        versions.dedup();
        let of = |version| match version {
            TlsVersion::V1_2 => &rustls::version::TLS12,
            TlsVersion::V1_3 => &rustls::version::TLS13,
        };
        versions.into_iter().map(of).collect()
    }

    /// The provider with the chosen suites alone, in the order chosen.
    pub(crate) fn provider(&self) -> Result<Arc<CryptoProvider>, TlsConfigError> {
        let wrong = |what: String| TlsConfigError::new(About::Cryptography, what);
        let provider = match &self.provider {
            Some(provider) => Arc::clone(provider),
            None => default_provider().map_err(|error| wrong(error.to_string()))?,
        };
        if self.suites.is_empty() {
            return Ok(provider);
        }
        let mut provider = CryptoProvider::clone(&provider);
        let all = std::mem::take(&mut provider.cipher_suites);
        for wanted in &self.suites {
            let found = all.iter().find(|suite| name(suite) == *wanted).ok_or_else(|| {
                let names: Vec<_> = all.iter().map(name).collect();
                wrong(format!("there is no cipher suite {wanted} (ssl.cipher.suites); there are {}", names.join(", ")))
            })?;
            provider.cipher_suites.push(*found);
        }
        Ok(Arc::new(provider))
    }
}

/// IANA's name, which is Java's too. rustls marks those of TLS 1.3.
fn name(suite: &rustls::SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1)
}
