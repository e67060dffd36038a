//! Text that must not be shown.

use std::fmt;

use bytes::Bytes;
use zeroize::Zeroizing;

/// A password, a key or a token: wiped from memory when dropped, and not shown by `Debug`.
///
/// It never grows, so that no copy of it is left behind in memory that was given back.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes `bytes` over; they are not copied.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The parts put together.
    #[must_use]
    pub fn concat(parts: &[&[u8]]) -> Self {
        let mut whole = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            whole.extend_from_slice(part);
        }
        Self::new(whole)
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The secret as text, if it is text.
    #[must_use]
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Whether there is nothing to hide.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As bytes that can be shared and sent; wiped when the last of them is dropped.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_and_not_copied_on_its_way_out() {
        let text = String::from("hunter2");
        let at = text.as_ptr();
        let secret = Secret::from(text);
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.expose_str(), Some("hunter2"));
        let bytes = secret.into_bytes();
        assert_eq!((&bytes[..], bytes.as_ptr()), (&b"hunter2"[..], at));
        assert_eq!(Secret::concat(&[b"a", b"", b"bc"]).expose(), b"abc");
    }
}
