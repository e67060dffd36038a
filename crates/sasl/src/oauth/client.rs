//! The exchange: one message, and a second one when the broker refuses.

use bytes::Bytes;
use serde_json::Value;

use super::readable;
use super::token::BearerToken;
use crate::error::{SaslError, SaslErrorKind};
use crate::secret::Secret;
use crate::step::Step;

/// What keeps the parts of a message apart.
const SEPARATOR: &[u8] = b"\x01";

/// The longest refusal read.
const REFUSAL_MAX: usize = 16 * 1024;

/// One exchange of OAUTHBEARER.
#[derive(Debug)]
pub struct BearerClient {
    token: Option<BearerToken>,
    over: bool,
}

impl BearerClient {
    /// An exchange that has not begun.
    #[must_use]
    pub fn new(token: BearerToken) -> Self {
        Self { token: Some(token), over: false }
    }

    /// Takes the broker's answer, at first an empty one.
    ///
    /// # Errors
    ///
    /// When the broker asks for more than the mechanism has.
    pub fn step(&mut self, challenge: &[u8]) -> Result<Step, SaslError> {
        let first = self.token.take();
        if let (Some(token), true) = (&first, challenge.is_empty()) {
            return Ok(Step::Send(message(token)));
        }
        if std::mem::replace(&mut self.over, true) || first.is_some() {
            return Err(SaslError::challenge("an OAUTHBEARER message that nothing was asked for"));
        }
        if challenge.is_empty() {
            return Ok(Step::Done);
        }
        // As the RFC has it: the broker fails the exchange only after this.
        let error = SaslError::new(SaslErrorKind::TokenRefused, refusal(challenge));
        Ok(Step::GiveUp { last: Bytes::from_static(SEPARATOR), error })
    }
}

fn message(token: &BearerToken) -> Bytes {
    let mut parts: Vec<&[u8]> = vec![b"n,,", SEPARATOR, b"auth=Bearer ", token.value().expose()];
    for (name, value) in token.extensions() {
        parts.extend([SEPARATOR, name.as_bytes(), b"=", value.as_bytes()]);
    }
    parts.extend([SEPARATOR, SEPARATOR]);
    Secret::concat(&parts).into_bytes()
}

/// What a broker's refusal says, in words: status and scope if it is as the RFC has it.
fn refusal(challenge: &[u8]) -> String {
    let head = &challenge[..challenge.len().min(REFUSAL_MAX)];
    let told = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(readable);
    match serde_json::from_slice::<Value>(head) {
        Ok(value) => ["status", "scope", "openid-configuration"]
            .into_iter()
            .filter_map(|name| told(&value, name).map(|text| format!("{name}: {text}")))
            .collect::<Vec<_>>()
            .join(", "),
        Err(_) => readable(&String::from_utf8_lossy(head)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::token::Extensions;

    fn client(extensions: &[(&str, &str)]) -> BearerClient {
        let extensions = Extensions::new(extensions.iter().map(|(name, value)| (*name, *value))).unwrap();
        BearerClient::new(
            BearerToken::new("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==").unwrap().with_extensions(extensions),
        )
    }

    /// The message of RFC 7628, section 4.1, with the extensions of the example there, which are Kafka's as well (KIP-342).
    #[test]
    fn the_message_is_that_of_the_rfc() {
        let Ok(Step::Send(bytes)) = client(&[]).step(b"") else { panic!() };
        assert_eq!(&bytes[..], b"n,,\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01");
        let Ok(Step::Send(bytes)) = client(&[("host", "server.example.com"), ("port", "143")]).step(b"") else {
            panic!()
        };
        assert_eq!(
            &bytes[..],
            b"n,,\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01host=server.example.com\x01port=143\x01\x01"
        );
    }

    #[test]
    fn an_empty_answer_is_a_welcome() {
        let mut client = client(&[]);
        client.step(b"").unwrap();
        assert_eq!(client.step(b""), Ok(Step::Done));
        assert_eq!(client.step(b"").unwrap_err().kind, SaslErrorKind::Challenge, "it is over");
    }

    #[test]
    fn a_refusal_is_acknowledged_and_told() {
        let answer = br#"{"status":"invalid_token","scope":"produce","openid-configuration":"https://x/y"}"#;
        for (answer, detail) in [
            (&answer[..], "status: invalid_token, scope: produce, openid-configuration: https://x/y"),
            (br#"{"status":"a\u001b[2Jb"}"#, "status: a[2Jb"),
            (b"no JSON\x07", "no JSON"),
            (b"[1]", ""),
        ] {
            let mut client = client(&[]);
            client.step(b"").unwrap();
            let Ok(Step::GiveUp { last, error }) = client.step(answer) else { panic!("{detail}") };
            assert_eq!(
                (&last[..], error.kind, error.detail.as_str()),
                (&b"\x01"[..], SaslErrorKind::TokenRefused, detail)
            );
            assert!(client.step(b"").is_err());
        }
    }

    #[test]
    fn an_exchange_does_not_begin_with_the_broker() {
        assert_eq!(client(&[]).step(b"{}").map(|_| ()).unwrap_err().kind, SaslErrorKind::Challenge);
    }

    #[test]
    fn nothing_shows_the_token() {
        let mut client = client(&[]);
        let shown = format!("{client:?}") + &format!("{:?}", client.step(b""));
        assert!(!shown.contains("vF9"), "{shown}");
    }
}
