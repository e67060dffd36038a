//! The token that Amazon MSK takes: a signed address that nobody ever asks for (AWS Signature Version 4).

use std::fmt::Write;

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::token::BearerToken;
use crate::error::SaslError;
use crate::secret::Secret;

/// How long a token is good, in seconds: what MSK allows at most.
const GOOD_FOR: i64 = 900;

/// An access key of AWS.
#[derive(Clone, Debug)]
pub struct AwsKeys {
    /// Its name, such as `AKIDEXAMPLE`.
    pub id: String,
    /// The key.
    pub secret: Secret,
    /// What goes with keys that are good for a while only.
    pub session: Option<Secret>,
    /// When such keys end, if that is known, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
}

/// A token for the brokers of Amazon MSK in `region`, with IAM access control; good for 15 minutes, or as long as the keys are.
///
/// `now` is in milliseconds since 1970. It makes the token: brokers take none that is of another time.
///
/// # Errors
///
/// If the keys or the region cannot be used.
pub fn msk_token(keys: &AwsKeys, region: &str, now: i64) -> Result<BearerToken, SaslError> {
    if region.is_empty() || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(SaslError::no_credentials(format!("{region:?} is no region of AWS, such as eu-west-1")));
    }
    if keys.id.is_empty() || keys.secret.is_empty() {
        return Err(SaslError::no_credentials("the access key of AWS is empty"));
    }
    let request = Presigned {
        host: &format!("kafka.{region}.amazonaws.com"),
        path: "/",
        query: &[("Action", "kafka-cluster:Connect")],
        service: "kafka-cluster",
        region,
        payload: &hex(&Sha256::digest(b"")),
        seconds: now.div_euclid(1000),
        good_for: GOOD_FOR,
    };
    let query = request.signed(keys)?;
    let agent = encoded(concat!("milena/", env!("CARGO_PKG_VERSION")).as_bytes());
    let address = Secret::concat(&[
        format!("https://{}/?", request.host).as_bytes(),
        query.expose(),
        b"&User-Agent=",
        agent.as_bytes(),
    ]);
    let ends = request.seconds.saturating_add(GOOD_FOR).saturating_mul(1000);
    let token = BearerToken::new(Base64UrlUnpadded::encode_string(address.expose()))?;
    Ok(token.expires_at(keys.expires_ms.map_or(ends, |keys| keys.min(ends))))
}

/// A GET whose signature is in its query.
struct Presigned<'a> {
    host: &'a str,
    path: &'a str,
    query: &'a [(&'a str, &'a str)],
    service: &'a str,
    region: &'a str,
    /// The hash of what is sent, in hexadecimal digits.
    payload: &'a str,
    /// Since 1970.
    seconds: i64,
    good_for: i64,
}

impl Presigned<'_> {
    /// The query with its signature.
    fn signed(&self, keys: &AwsKeys) -> Result<Secret, SaslError> {
        let time = written(self.seconds);
        let day = &time[..8];
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let good_for = self.good_for.to_string();
        let credential = format!("{}/{scope}", keys.id);
        let mut pairs: Vec<(&str, &[u8])> = vec![
            ("X-Amz-Algorithm", b"AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", credential.as_bytes()),
            ("X-Amz-Date", time.as_bytes()),
            ("X-Amz-Expires", good_for.as_bytes()),
            ("X-Amz-SignedHeaders", b"host"),
        ];
        pairs.extend(keys.session.iter().map(|session| ("X-Amz-Security-Token", session.expose())));
        pairs.extend(self.query.iter().map(|(name, value)| (*name, value.as_bytes())));
        let mut pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| Zeroizing::new(format!("{}={}", encoded(name.as_bytes()), encoded(value))))
            .collect();
        pairs.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        let mut query = Zeroizing::new(String::with_capacity(pairs.iter().map(|pair| pair.len() + 1).sum()));
        for pair in &pairs {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(pair);
        }
        let canonical = Secret::concat(&[
            format!("GET\n{}\n", self.path).as_bytes(),
            query.as_bytes(),
            format!("\nhost:{}\n\nhost\n{}", self.host, self.payload).as_bytes(),
        ]);
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical.expose())));
        let key = signing_key(keys, day, self.region, self.service)?;
        let signature = hex(&*hmac(&*key, to_sign.as_bytes())?);
        Ok(Secret::concat(&[query.as_bytes(), b"&X-Amz-Signature=", signature.as_bytes()]))
    }
}

type Mac256 = Zeroizing<[u8; 32]>;

fn signing_key(keys: &AwsKeys, day: &str, region: &str, service: &str) -> Result<Mac256, SaslError> {
    let first = Secret::concat(&[b"AWS4", keys.secret.expose()]);
    let mut key = hmac(first.expose(), day.as_bytes())?;
    for part in [region, service, "aws4_request"] {
        key = hmac(&*key, part.as_bytes())?;
    }
    Ok(key)
}

fn hmac(key: &[u8], data: &[u8]) -> Result<Mac256, SaslError> {
    let mac = Hmac::<Sha256>::new_from_slice(key);
    let mut mac = mac.map_err(|_| SaslError::no_credentials("the access key of AWS cannot be used"))?;
    mac.update(data);
    Ok(Zeroizing::new(mac.finalize().into_bytes().into()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _never_fails = write!(text, "{byte:02x}");
        text
    })
}

/// As AWS wants it: all but letters, digits and `-_.~` in hexadecimal digits.
fn encoded(text: &[u8]) -> String {
    text.iter().fold(String::with_capacity(3 * text.len()), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(*byte)),
            _ => {
                let _never_fails = write!(encoded, "%{byte:02X}");
            }
        }
        encoded
    })
}

/// Seconds since 1970 as `20130524T000000Z`, by the proleptic Gregorian calendar.
fn written(seconds: i64) -> String {
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years begin in March here, so that the leap day is their last; 719468 days lie between March of year 0 and 1970.
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(id: &str, secret: &str) -> AwsKeys {
        AwsKeys { id: id.to_owned(), secret: secret.into(), session: None, expires_ms: None }
    }

    /// The example of AWS' documentation, "Authenticating Requests: Using Query Parameters".
    #[test]
    fn the_signature_is_that_of_the_published_example() {
        let request = Presigned {
            host: "examplebucket.s3.amazonaws.com",
            path: "/test.txt",
            query: &[],
            service: "s3",
            region: "us-east-1",
            payload: "UNSIGNED-PAYLOAD",
            seconds: 1_369_353_600,
            good_for: 86_400,
        };
        let signed = request.signed(&keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")).unwrap();
        assert_eq!(
            signed.expose_str().unwrap(),
            "X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    /// The example of AWS' documentation, "Deriving a signing key".
    #[test]
    fn the_signing_key_is_that_of_the_published_example() {
        let keys = keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let key = signing_key(&keys, "20150830", "us-east-1", "iam").unwrap();
        assert_eq!(hex(&*key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }

    #[test]
    fn a_token_is_the_address_that_the_brokers_check() {
        let mut keys = keys("AKIDEXAMPLE", "s3cr3t");
        keys.session = Some("a/b+c=".into());
        let token = msk_token(&keys, "eu-west-1", 1_369_353_600_999).unwrap();
        assert_eq!(token.expires_ms(), Some(1_369_354_500_000), "a quarter of an hour");
        let address = Base64UrlUnpadded::decode_vec(token.value().expose_str().unwrap()).unwrap();
        let address = String::from_utf8(address).unwrap();
        let (before, after) = address.split_once("&X-Amz-Signature=").unwrap();
        assert_eq!(
            before,
            "https://kafka.eu-west-1.amazonaws.com/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIDEXAMPLE%2F20130524%2Feu-west-1%2Fkafka-cluster%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=900&X-Amz-Security-Token=a%2Fb%2Bc%3D&X-Amz-SignedHeaders=host"
        );
        let (signature, agent) = after.split_once('&').unwrap();
        assert!(signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit()), "{signature}");
        assert!(agent.starts_with("User-Agent=milena%2F"), "{agent}");
        assert!(!address.contains("s3cr3t") && !format!("{keys:?} {token:?}").contains("s3cr3t"));
        keys.expires_ms = Some(1_369_354_000_000);
        assert_eq!(msk_token(&keys, "eu-west-1", 1_369_353_600_000).unwrap().expires_ms(), keys.expires_ms);
    }

    #[test]
    fn keys_and_regions_that_cannot_be_are_refused() {
        for (id, secret, region) in [
            ("", "x", "eu-west-1"),
            ("x", "", "eu-west-1"),
            ("x", "y", ""),
            ("x", "y", "eu.evil.example/"),
            ("x", "y", "a b"),
        ] {
            assert!(msk_token(&keys(id, secret), region, 0).is_err(), "{id} {region}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (951_868_800, "20000301T000000Z"),
            (1_440_938_160, "20150830T123600Z"),
            (4_107_542_399, "21000228T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
            (-1, "19691231T235959Z"),
        ] {
            assert_eq!(written(seconds), text);
        }
    }
}
