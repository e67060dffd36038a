//! Which cryptography is used.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// Why there is no cryptography that comes with this crate, on this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoProvider {
    missing: Vec<&'static str>,
}

impl fmt::Display for NoProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.missing.is_empty() {
            write!(f, "milena comes with no cryptography for {} processors", std::env::consts::ARCH)?;
        } else {
            write!(
                f,
                "the cryptography that milena comes with (graviola) needs processor features that this machine does not \
                 have or does not show: {}",
                self.missing.join(", ")
            )?;
        }
        f.write_str("; give TlsConfig::provider a rustls CryptoProvider that works here, or run on another machine")
    }
}

impl std::error::Error for NoProvider {}

/// The cryptography that comes with this crate: graviola, which needs neither a C compiler nor an assembler to be built.
///
/// # Errors
///
/// If it has no code for this processor. (It ends the process if it is used then, so it is not even asked.)
pub fn default_provider() -> Result<Arc<CryptoProvider>, NoProvider> {
    let missing = missing(&features().ok_or(NoProvider { missing: Vec::new() })?);
    if missing.is_empty() { provider() } else { Err(NoProvider { missing }) }
}

fn missing(features: &[(&'static str, bool)]) -> Vec<&'static str> {
    features.iter().filter(|(_, present)| !present).map(|(name, _)| *name).collect()
}

#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
fn provider() -> Result<Arc<CryptoProvider>, NoProvider> {
    Ok(Arc::new(rustls_graviola::default_provider()))
}

#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))))]
fn provider() -> Result<Arc<CryptoProvider>, NoProvider> {
    Err(NoProvider { missing: Vec::new() })
}

/// What graviola asserts when it is first used, and whether this processor has it. `None` where it does not compile.
#[cfg(target_arch = "x86_64")]
fn features() -> Option<Vec<(&'static str, bool)>> {
    Some(vec![
        ("aes", is_x86_feature_detected!("aes")),
        ("pclmulqdq", is_x86_feature_detected!("pclmulqdq")),
        ("bmi1", is_x86_feature_detected!("bmi1")),
        ("bmi2", is_x86_feature_detected!("bmi2")),
        ("adx", is_x86_feature_detected!("adx")),
        ("ssse3", is_x86_feature_detected!("ssse3")),
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
    ])
}

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
fn features() -> Option<Vec<(&'static str, bool)>> {
    use std::arch::is_aarch64_feature_detected as has;
    Some(vec![("neon", has!("neon")), ("aes", has!("aes")), ("pmull", has!("pmull")), ("sha2", has!("sha2"))])
}

#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))))]
fn features() -> Option<Vec<(&'static str, bool)>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_without_a_feature_is_told_which() {
        let missing = missing(&[("aes", true), ("adx", false), ("avx2", false)]);
        assert_eq!(missing, ["adx", "avx2"]);
        let told = NoProvider { missing }.to_string();
        assert!(told.contains("adx, avx2") && told.contains("TlsConfig::provider"), "{told}");
        let told = NoProvider { missing: Vec::new() }.to_string();
        assert!(told.contains(std::env::consts::ARCH), "{told}");
    }
}
