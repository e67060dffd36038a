//! A token, and what can be read from it.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::SaslError;
use crate::secret::Secret;

/// A token as somebody issued it, with what is known of its life.
#[derive(Clone, Debug)]
pub struct BearerToken {
    value: Secret,
    /// In milliseconds since 1970, as all times here.
    issued_ms: Option<i64>,
    expires_ms: Option<i64>,
    extensions: Extensions,
}

impl BearerToken {
    /// A token. If it is a JWT, its times are read from it; nothing in it is checked, which is up to the broker.
    ///
    /// # Errors
    ///
    /// When it is empty, or has a character that no token has.
    pub fn new(value: impl Into<Secret>) -> Result<Self, SaslError> {
        let value = value.into();
        if value.is_empty() {
            return Err(SaslError::no_credentials("the token is empty"));
        }
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
        if !value.expose().iter().all(allowed) {
            return Err(SaslError::no_credentials("the token has a character that no token has"));
        }
        let (issued_ms, expires_ms) = times(value.expose());
        Ok(Self { value, issued_ms, expires_ms, extensions: Extensions::default() })
    }

    /// With another time of expiry, in milliseconds since 1970.
    #[must_use]
    pub fn expires_at(mut self, ms: i64) -> Self {
        self.expires_ms = Some(ms);
        self
    }

    /// With extensions for the broker (KIP-342).
    #[must_use]
    pub fn with_extensions(mut self, extensions: Extensions) -> Self {
        self.extensions = extensions;
        self
    }

    /// The token itself.
    #[must_use]
    pub fn value(&self) -> &Secret {
        &self.value
    }

    /// When it was issued, if that is known, in milliseconds since 1970.
    #[must_use]
    pub fn issued_ms(&self) -> Option<i64> {
        self.issued_ms
    }

    /// When it expires, if that is known, in milliseconds since 1970.
    #[must_use]
    pub fn expires_ms(&self) -> Option<i64> {
        self.expires_ms
    }

    /// The extensions, in their order.
    pub fn extensions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.extensions.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// When a JWT was issued and when it expires; neither is known of a token that is none.
fn times(token: &[u8]) -> (Option<i64>, Option<i64>) {
    let claims = (|| {
        let mut parts = std::str::from_utf8(token).ok()?.split('.');
        let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
        let payload = Zeroizing::new(Base64UrlUnpadded::decode_vec(payload.trim_end_matches('=')).ok()?);
        serde_json::from_slice::<Value>(&payload).ok()
    })();
    let ms = |name| claims.as_ref()?.get(name).and_then(millis);
    (ms("iat"), ms("exp"))
}

/// Seconds since 1970, perhaps with a fraction, in milliseconds.
fn millis(seconds: &Value) -> Option<i64> {
    const LATEST: f64 = 253_402_300_800.0; // the year 10000
    let seconds = seconds.as_f64().filter(|seconds| (0.0..LATEST).contains(seconds))?;
    #[allow(clippy::cast_possible_truncation, reason = "it is below 2^48")]
    Some((seconds * 1000.0) as i64)
}

/// What goes to the broker beside a token: names of letters, values of what can be printed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Extensions(Vec<(String, String)>);

impl Extensions {
    /// Extensions in this order.
    ///
    /// # Errors
    ///
    /// When a name or value is not as RFC 7628 has it, or a name is `auth`, which is the token's own.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, SaslError> {
        let mut extensions = Vec::new();
        for (name, value) in pairs {
            let wrong = |what| Err(SaslError::no_credentials(format!("SASL extension {name:?} {what}")));
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                return wrong("has a name that is not made of letters");
            }
            if name.eq_ignore_ascii_case("auth") {
                return wrong("has the name that is the token's own");
            }
            if value.is_empty() || !value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n')) {
                return wrong("has a value that is empty or cannot be printed");
            }
            if extensions.iter().any(|(other, _)| other == name) {
                return wrong("is there twice");
            }
            extensions.push((name.to_owned(), value.to_owned()));
        }
        Ok(Self(extensions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        let part = Base64UrlUnpadded::encode_string;
        format!("{}.{}.{}", part(br#"{"alg":"none"}"#), part(claims.as_bytes()), "")
    }

    #[test]
    fn a_jwt_tells_its_times_and_any_other_token_none() {
        for (claims, issued, expires) in [
            (r#"{"iat":1000,"exp":2000}"#, Some(1_000_000), Some(2_000_000)),
            (r#"{"exp":2000.25}"#, None, Some(2_000_250)),
            (r#"{"iat":-1,"exp":1e30}"#, None, None),
            (r#"{"exp":"2000"}"#, None, None),
            ("[]", None, None),
            ("not JSON", None, None),
        ] {
            let token = BearerToken::new(jwt(claims)).unwrap();
            assert_eq!((token.issued_ms(), token.expires_ms()), (issued, expires), "{claims}");
        }
        for opaque in ["abc", "a.b", "a.!.c".trim_matches('!'), "...."] {
            let Ok(token) = BearerToken::new(opaque) else { continue };
            assert_eq!(token.expires_ms(), None, "{opaque}");
        }
        assert_eq!(BearerToken::new("abc").unwrap().expires_at(7).expires_ms(), Some(7));
    }

    #[test]
    fn what_would_break_the_message_is_no_token() {
        for wrong in ["", "a b", "a\u{1}b", "a\n", "é"] {
            assert!(BearerToken::new(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn extensions_are_those_of_the_rfc() {
        assert!(Extensions::new([("logicalCluster", "lkc-1"), ("traceId", "a b\tc")]).is_ok());
        for (name, value) in
            [("", "x"), ("a1", "x"), ("auth", "x"), ("AUTH", "x"), ("a", ""), ("a", "\u{1}"), ("a", "é")]
        {
            assert!(Extensions::new([(name, value)]).is_err(), "{name:?}={value:?}");
        }
        assert!(Extensions::new([("a", "x"), ("a", "y")]).is_err());
    }
}
