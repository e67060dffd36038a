//! The client credentials grant (RFC 6749, section 4.4): what is asked of a token endpoint, and what its answer means.

use base64ct::{Base64, Encoding};
use serde_json::Value;
use zeroize::Zeroize;

use super::readable;
use super::token::BearerToken;
use crate::error::{SaslError, SaslErrorKind};
use crate::secret::Secret;

/// Who asks for a token, and for what.
#[derive(Clone, Debug)]
pub struct ClientGrant {
    /// The client's name with the token endpoint.
    pub id: String,
    /// The client's password there.
    pub secret: Secret,
    /// What the token shall allow, in words with spaces between. Default of most endpoints: all that the client may.
    pub scope: Option<String>,
    /// Whether name and password are encoded as the RFC has it before they are put together. Kafka's clients do not, and it makes a
    /// difference only for unusual characters.
    pub encoded: bool,
}

impl ClientGrant {
    /// The value of the header `Authorization`.
    #[must_use]
    pub fn authorization(&self) -> Secret {
        let pair = if self.encoded {
            let id = form(self.id.as_bytes());
            Secret::concat(&[id.expose(), b":", form(self.secret.expose()).expose()])
        } else {
            Secret::concat(&[self.id.as_bytes(), b":", self.secret.expose()])
        };
        let text = Secret::from(Base64::encode_string(pair.expose()));
        Secret::concat(&[b"Basic ", text.expose()])
    }

    /// What is posted, as `application/x-www-form-urlencoded`. Nothing in it is secret.
    #[must_use]
    pub fn body(&self) -> String {
        let mut body = "grant_type=client_credentials".to_owned();
        if let Some(scope) = &self.scope {
            body += "&scope=";
            body.push_str(form(scope.as_bytes()).expose_str().unwrap_or_default());
        }
        body
    }

    /// What an endpoint's answer means: a token, or why there is none. `now` is in milliseconds since 1970.
    ///
    /// # Errors
    ///
    /// What the endpoint says is wrong, or that its answer is none. Holds nothing secret, even if the endpoint says it back.
    pub fn token(&self, status: u16, answer: &[u8], now: i64) -> Result<BearerToken, SaslError> {
        let mut parsed = serde_json::from_slice::<Value>(answer);
        let token = match &mut parsed {
            Ok(value) if (200..300).contains(&status) => token(value, now),
            Ok(value) => Err(self.refusal(status, value)),
            Err(_) => Err(SaslError::new(
                meaning(status, None),
                format!("answers with status {status} and something that is not JSON"),
            )),
        };
        if let Ok(value) = &mut parsed {
            wipe(value);
        }
        token
    }

    /// `error`, `error_description` and `error_uri`, as RFC 6749 has them in section 5.2.
    fn refusal(&self, status: u16, answer: &Value) -> SaslError {
        let mut text = format!("answers with status {status}");
        for name in ["error", "error_description", "error_uri"] {
            if let Some(told) = answer.get(name).and_then(Value::as_str) {
                text += &format!(", {name}: {}", self.without_secret(told));
            }
        }
        SaslError::new(meaning(status, answer.get("error").and_then(Value::as_str)), text)
    }

    /// A text of the endpoint's without what must not be shown, in any form that it had on its way there.
    #[must_use]
    pub fn without_secret(&self, text: &str) -> String {
        // First what would break a secret in two, last what shortens: else a part could be left over.
        let mut text: String = text.chars().filter(|c| !c.is_control()).collect();
        let authorization = self.authorization();
        let encoded = form(self.secret.expose());
        let pair = authorization.expose_str().and_then(|value| value.strip_prefix("Basic "));
        for secret in [pair, self.secret.expose_str(), encoded.expose_str()].into_iter().flatten() {
            if !secret.is_empty() {
                text = text.replace(secret, "***");
            }
        }
        readable(&text)
    }
}

/// What it means that there is no token: a definite no, which stays one until somebody changes something, or that it may be had in a moment.
///
/// In doubt the latter, since it costs no record. `error` is what the answer has of that name.
fn meaning(status: u16, error: Option<&str>) -> SaslErrorKind {
    // The codes of RFC 6749, section 5.2, the one of RFC 8707, and one that some providers take from RFC 6749, section 4.1.2.1.
    const NO: [&str; 8] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "access_denied",
    ];
    const NOT_NOW: [&str; 2] = ["temporarily_unavailable", "server_error"];
    let refuses = match (status, error) {
        // A timeout, too early, too many: said of the request's time, not of the client.
        (408 | 425 | 429, _) => false,
        (401, error) => error.is_none_or(|error| !NOT_NOW.contains(&error)),
        // Without such a code a gateway or a path that is wrong for a while may be who speaks.
        (400..=499, Some(error)) => NO.contains(&error),
        _ => false,
    };
    if refuses { SaslErrorKind::IssuerRefused } else { SaslErrorKind::NoCredentials }
}

/// The token in a good answer.
fn token(answer: &mut Value, now: i64) -> Result<BearerToken, SaslError> {
    let expires_in = answer.get("expires_in").and_then(seconds);
    let taken = ["access_token", "id_token"].into_iter().find_map(|name| match answer.get_mut(name).map(Value::take) {
        Some(Value::String(token)) => Some(token),
        _ => None,
    });
    let token =
        taken.ok_or_else(|| SaslError::no_credentials("answers with neither an access_token nor an id_token"))?;
    let token = BearerToken::new(token)?;
    // Of two that differ, the one that is on the safe side.
    let ends = expires_in.map(|seconds| now.saturating_add(seconds.saturating_mul(1000)));
    Ok(match (token.expires_ms(), ends) {
        (Some(own), Some(told)) => token.expires_at(own.min(told)),
        (None, Some(told)) => token.expires_at(told),
        (_, None) => token,
    })
}

/// A number of seconds, also as the text that some endpoints make of it.
fn seconds(value: &Value) -> Option<i64> {
    let seconds = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    seconds.filter(|seconds| *seconds > 0)
}

/// Overwrites every text in what was parsed.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(values) => values.values_mut().for_each(wipe),
        _ => {}
    }
}

/// As a form has it: what is not plainly a letter, a digit or one of four signs is encoded, and a space becomes a plus.
fn form(text: &[u8]) -> Secret {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = Vec::with_capacity(text.len() * 3);
    for byte in text {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => encoded.push(*byte),
            b' ' => encoded.push(b'+'),
            _ => encoded.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
    Secret::new(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> ClientGrant {
        ClientGrant { id: "s6BhdRkqt3".to_owned(), secret: "gX1fBat3bV".into(), scope: None, encoded: false }
    }

    /// The example of RFC 6749, section 4.4.2.
    #[test]
    fn the_request_is_that_of_the_rfc() {
        let grant = grant();
        assert_eq!(grant.authorization().expose_str(), Some("Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"));
        assert_eq!(grant.body(), "grant_type=client_credentials");
        let scoped = ClientGrant { scope: Some("kafka:write api://x/.default é".to_owned()), ..grant };
        assert_eq!(scoped.body(), "grant_type=client_credentials&scope=kafka%3Awrite+api%3A%2F%2Fx%2F.default+%C3%A9");
    }

    #[test]
    fn unusual_characters_are_encoded_only_on_demand() {
        let mut grant = ClientGrant { id: "a:b".to_owned(), secret: "c/d e".into(), ..grant() };
        let shown = |grant: &ClientGrant| {
            let value = grant.authorization();
            Base64::decode_vec(&value.expose_str().unwrap()[6..]).unwrap()
        };
        assert_eq!(shown(&grant), b"a:b:c/d e");
        grant.encoded = true;
        assert_eq!(shown(&grant), b"a%3Ab:c%2Fd+e");
    }

    #[test]
    fn an_answer_gives_its_token_and_how_long_that_is_good() {
        let jwt = "eyJhbGciOiJub25lIn0.eyJleHAiOjIwMDB9."; // {"exp":2000}
        for (answer, expires) in [
            (r#"{"access_token":"abc","token_type":"Bearer","expires_in":60}"#.to_owned(), Some(61_000)),
            (r#"{"access_token":"abc","expires_in":"60"}"#.to_owned(), Some(61_000)),
            (r#"{"access_token":"abc","expires_in":-5}"#.to_owned(), None),
            (r#"{"id_token":"abc"}"#.to_owned(), None),
            (format!(r#"{{"access_token":"{jwt}"}}"#), Some(2_000_000)),
            (format!(r#"{{"access_token":"{jwt}","expires_in":60}}"#), Some(61_000)),
            (format!(r#"{{"access_token":"{jwt}","expires_in":9223372036854775807}}"#), Some(2_000_000)),
        ] {
            let token = grant().token(200, answer.as_bytes(), 1000).unwrap();
            assert_eq!(token.expires_ms(), expires, "{answer}");
        }
    }

    #[test]
    fn what_is_no_token_is_told_without_what_was_said() {
        for (status, answer, told) in [
            (200, r#"{"refresh_token":"s3cr3t"}"#, "neither an access_token"),
            (200, r#"{"access_token":7}"#, "neither an access_token"),
            (200, r#"{"access_token":""}"#, "empty"),
            (200, r#"{"access_token":"s3cr3t s3cr3t"}"#, "a character that no token has"),
            (200, "[\"s3cr3t\"]", "neither an access_token"),
            (200, "<html>s3cr3t", "status 200 and something that is not JSON"),
            (502, "s3cr3t", "status 502 and something that is not JSON"),
            (503, "", "status 503"),
            (400, r#"{"access_token":"s3cr3t"}"#, "status 400"),
        ] {
            let error = grant().token(status, answer.as_bytes(), 0).unwrap_err();
            assert_eq!(error.kind, SaslErrorKind::NoCredentials);
            assert!(error.detail.contains(told) && !error.detail.contains("s3cr3t"), "{answer}: {error}");
        }
        let deep = "[".repeat(100_000);
        assert!(grant().token(200, deep.as_bytes(), 0).is_err(), "and no stack overflows");
    }

    #[test]
    fn a_definite_no_is_told_from_an_endpoint_that_cannot_answer_now() {
        use SaslErrorKind::{IssuerRefused, NoCredentials};
        let coded = |code: &str| format!(r#"{{"error":"{code}"}}"#);
        let mut cases = vec![
            (400, coded("slow_down"), NoCredentials),
            (400, coded("temporarily_unavailable"), NoCredentials),
            (400, "{}".to_owned(), NoCredentials),
            (400, r#"{"error":["invalid_client"]}"#.to_owned(), NoCredentials),
            (400, "<html>invalid_client".to_owned(), NoCredentials),
            (401, "{}".to_owned(), IssuerRefused),
            (401, "<html>".to_owned(), IssuerRefused),
            (401, coded("bad_credentials_of_this_vendor"), IssuerRefused),
            (401, coded("temporarily_unavailable"), NoCredentials),
            (401, coded("server_error"), NoCredentials),
            (403, "<html>a firewall".to_owned(), NoCredentials),
            (404, "{}".to_owned(), NoCredentials),
        ];
        for code in ["invalid_request", "invalid_client", "invalid_grant", "unauthorized_client"] {
            cases.extend([400, 401, 403].map(|status| (status, coded(code), IssuerRefused)));
        }
        for code in ["unsupported_grant_type", "invalid_scope", "invalid_target", "access_denied"] {
            cases.push((400, coded(code), IssuerRefused));
        }
        // Whatever it says of the client, it says at a bad time.
        cases
            .extend([200, 302, 408, 425, 429, 500, 502, 503, 504].map(|s| (s, coded("invalid_client"), NoCredentials)));
        for (status, answer, kind) in cases {
            assert_eq!(grant().token(status, answer.as_bytes(), 0).unwrap_err().kind, kind, "{status} {answer}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_its_own_words_but_never_with_the_secret() {
        let answer = r#"{"error":"invalid_client","error_description":"no \u001b[2Jclient","error_uri":"https://x/y"}"#;
        let error = grant().token(401, answer.as_bytes(), 0).unwrap_err();
        assert_eq!(
            error.detail,
            "answers with status 401, error: invalid_client, error_description: no [2Jclient, error_uri: https://x/y"
        );
        let grant = ClientGrant { secret: "gX 1f/Bat".into(), ..grant() };
        let basic = grant.authorization();
        let basic = basic.expose_str().unwrap();
        for echo in [
            "gX 1f/Bat".to_owned(),
            "gX+1f%2FBat".to_owned(),
            "gX\\u0007 1f/Bat".to_owned(), // in two parts, until control characters are gone
            basic.to_owned(),
            format!("{}gX 1f/Bat", "x".repeat(195)),
        ] {
            let answer = format!(r#"{{"error":"{echo}","error_description":"{echo}{echo}"}}"#);
            let error = grant.token(400, answer.as_bytes(), 0).unwrap_err();
            for part in ["gX", "1f", &basic[6..20]] {
                assert!(!error.detail.contains(part), "{error}");
            }
        }
        assert!(!format!("{grant:?}").contains("gX"));
    }
}
