//! SaslAuthenticate (API 36): one step of a SASL exchange, after SaslHandshake.

use std::fmt;

use bytes::Bytes;

use super::versions::SASL_AUTHENTICATE;
use crate::ErrorCode;

/// What a SASL mechanism says to its other side: passwords and tokens may be in it, so `Debug` shows the length alone.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct AuthBytes(pub Bytes);

impl fmt::Debug for AuthBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthBytes({} bytes)", self.0.len())
    }
}

message! {
    /// What the client's side of the mechanism says.
    pub struct SaslAuthenticateRequest {
        /// Goes out in the buffer it comes in, so that a buffer which wipes itself leaves no copy behind.
        auth_bytes: AuthBytes [0..];
    }

    /// What the broker's side says.
    pub struct SaslAuthenticateResponse {
        /// `SASL_AUTHENTICATION_FAILED` if the broker refuses.
        error: ErrorCode [0..];
        /// The broker's words about the error.
        error_message: Option<String> [0..];
        /// What the mechanism says.
        auth_bytes: AuthBytes [0..];
        /// For how long the authentication holds, in milliseconds (KIP-368); 0 if for as long as the connection.
        session_lifetime_ms: i64 [1..];
    }
}

request!(SaslAuthenticateRequest, SASL_AUTHENTICATE);
response!(SaslAuthenticateResponse, SASL_AUTHENTICATE);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ApiVersion, CorrelationId};

    #[test]
    fn what_a_mechanism_says_goes_out_uncopied_and_is_never_shown() {
        let said = Bytes::from(b"user pass-word".to_vec());
        let request = SaslAuthenticateRequest { auth_bytes: AuthBytes(said.clone()) };
        for version in 0..=2 {
            let frame = request.encode_frame(ApiVersion(version), CorrelationId(1), None);
            assert!(frame.parts().iter().any(|part| part.as_ptr() == said.as_ptr()), "v{version}: copied");
            for shown in [format!("{frame:?}"), format!("{request:?}")] {
                assert!(!shown.contains("pass-word") && shown.contains("bytes"), "{shown}");
            }
        }
    }
}
