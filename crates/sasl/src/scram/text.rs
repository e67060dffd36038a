//! How SCRAM's messages are written: attributes of one letter, separated by commas.

use std::borrow::Cow;

use base64ct::{Base64, Encoding};

use crate::error::SaslError;

/// The longest message taken seriously.
const MESSAGE_MAX: usize = 16 * 1024;

/// The message as text, if it is one.
pub(super) fn text(message: &[u8]) -> Result<&str, SaslError> {
    if message.len() > MESSAGE_MAX {
        return Err(SaslError::challenge(format!("a SCRAM message of {} bytes", message.len())));
    }
    std::str::from_utf8(message).map_err(|_| SaslError::challenge("a SCRAM message that is not text"))
}

/// Takes the attribute `name` off the front of `rest`.
pub(super) fn attribute<'a>(rest: &mut &'a str, name: char) -> Result<&'a str, SaslError> {
    let (value, behind) = match rest.split_once(',') {
        Some((value, behind)) => (value, behind),
        None => (*rest, ""),
    };
    let value = value.strip_prefix(name).and_then(|value| value.strip_prefix('='));
    let value = value.ok_or_else(|| SaslError::challenge(format!("attribute {name} is missing in a SCRAM message")))?;
    *rest = behind;
    Ok(value)
}

pub(super) fn base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

pub(super) fn from_base64(text: &str, name: char) -> Result<Vec<u8>, SaslError> {
    Base64::decode_vec(text).map_err(|_| SaslError::challenge(format!("attribute {name} is not Base64")))
}

/// A user name as SCRAM writes it: commas and equal signs would be taken for its own.
pub(super) fn escape(name: &str) -> Cow<'_, str> {
    if name.contains([',', '=']) { name.replace('=', "=3D").replace(',', "=2C").into() } else { name.into() }
}

/// The user name behind an escaped one; `None` if it is not properly escaped.
pub(super) fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (letter, rest) = match part.get(..2)? {
            "2C" => (',', &part[2..]),
            "3D" => ('=', &part[2..]),
            _ => return None,
        };
        plain.push(letter);
        plain.push_str(rest);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_their_escaping() {
        for (name, escaped) in [("user", "user"), ("a=b,c", "a=3Db=2Cc"), ("==", "=3D=3D"), ("é,", "é=2C"), ("", "")]
        {
            assert_eq!(escape(name), escaped);
            assert_eq!(unescape(escaped).as_deref(), Some(name));
        }
        for wrong in ["a=", "a=2", "a=2c", "=é"] {
            assert_eq!(unescape(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn attributes_come_in_their_order() {
        let mut rest = "r=abc,s=d=e,i=1";
        assert_eq!(attribute(&mut rest, 'r').unwrap(), "abc");
        assert!(attribute(&mut rest, 'i').is_err());
        assert_eq!(attribute(&mut rest, 's').unwrap(), "d=e");
        assert_eq!(attribute(&mut rest, 'i').unwrap(), "1");
        assert!(attribute(&mut rest, 'x').is_err());
    }
}
