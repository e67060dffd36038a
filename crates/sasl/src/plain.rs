//! PLAIN (RFC 4616): user and password as they are. Only TLS keeps them from whoever listens.

use crate::error::SaslError;
use crate::secret::Secret;

/// The one message of PLAIN.
///
/// # Errors
///
/// When the user is empty, or one of them has a zero byte, which PLAIN uses to tell them apart.
pub fn plain_token(user: &str, password: &Secret) -> Result<Secret, SaslError> {
    if user.is_empty() {
        return Err(SaslError::no_credentials("the user name is empty"));
    }
    if user.contains('\0') || password.expose().contains(&0) {
        return Err(SaslError::no_credentials("PLAIN cannot carry a user name or password with a zero byte in it"));
    }
    Ok(Secret::concat(&[b"\0", user.as_bytes(), b"\0", password.expose()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::SaslErrorKind;

    #[test]
    fn the_token_is_that_of_the_rfc() {
        assert_eq!(plain_token("tim", &"tanstaaftanstaaf".into()).unwrap().expose(), b"\0tim\0tanstaaftanstaaf");
        assert_eq!(plain_token("å", &"".into()).unwrap().expose(), "\0å\0".as_bytes(), "some have no password");
    }

    #[test]
    fn what_would_be_taken_for_something_else_is_refused() {
        for (user, password) in [("", "x"), ("a\0b", "x"), ("a", "x\0y")] {
            let error = plain_token(user, &password.into()).unwrap_err();
            assert_eq!(error.kind, SaslErrorKind::NoCredentials);
        }
    }
}
