//! OAUTHBEARER: where its tokens come from, and when they are replaced.

use std::time::Duration;

use milena_sasl::{Extensions, Secret};

use super::security::{IN_CODE, JAVA, list, text};
use super::{Known, applied, ignored, only, refused};
use crate::property::value::{Wrong, boolean, millis, millis_from, whole};
use crate::sasl::Password;
use crate::security::Source;

const FOR_BROKERS: &str = "brokers check tokens by it";
const OTHER_GRANT: &str =
    "client credentials are the one way to ask for a token here; others are a token provider in code";

pub(super) static OAUTH: &[Known] = &[
    applied("sasl.oauthbearer.token.endpoint.url", "", |draft, value| {
        draft.sasl().oauth.endpoint = Some(Secret::new(value));
        Ok(())
    })
    .note("where tokens are asked for with the client's credentials (RFC 6749, 4.4), over HTTPS. `file:PATH` for `milena.sasl.token.file`"),
    applied("sasl.oauthbearer.client.credentials.client.id", "", |draft, value| {
        draft.sasl().oauth.client_id = Some(value.to_owned());
        Ok(())
    })
    .alias(&["sasl.oauthbearer.client.id"])
    .note("the client's name there; also `clientId` in `sasl.jaas.config`"),
    applied("sasl.oauthbearer.client.credentials.client.secret", "", |draft, value| {
        draft.client_secret(Password::from(value))
    })
    .alias(&["sasl.oauthbearer.client.secret"])
    .note("its password there; also `clientSecret` in `sasl.jaas.config`"),
    applied("milena.sasl.client.secret.file", "", |draft, value| draft.client_secret(Password::File(value.into())))
        .note("the file that holds that password; it is read again for each token"),
    applied("sasl.oauthbearer.scope", "", |draft, value| {
        draft.sasl().oauth.scope = Some(value.to_owned());
        Ok(())
    })
    .note("what the token shall allow, separated by spaces; also `scope` in `sasl.jaas.config`"),
    applied("sasl.oauthbearer.header.urlencode", "false", |draft, value| {
        draft.sasl().oauth.encoded = boolean(value)?;
        Ok(())
    })
    .note("whether name and password are encoded as RFC 6749 has it, for endpoints that insist; it matters with unusual characters alone"),
    applied("sasl.login.connect.timeout.ms", "10000", |draft, value| {
        draft.sasl().oauth.connect_timeout = Some(millis_from(value, 1)?);
        Ok(())
    })
    .note("how long connecting to the endpoint may take, with TLS"),
    applied("sasl.login.read.timeout.ms", "10000", |draft, value| {
        draft.sasl().oauth.read_timeout = Some(millis_from(value, 1)?);
        Ok(())
    })
    .note("how long its whole answer may take from there"),
    applied("https.ca.location", "", |draft, value| {
        draft.https_ca(match value {
            "probe" => Source::System,
            path => Source::File(path.into()),
        })
    })
    .note("librdkafka's file or folder of certificates that are trusted to be the endpoint's; by default, and with `probe`, those of the operating system. `ssl.truststore.…` in `sasl.jaas.config` says the same"),
    applied("https.ca.pem", "", |draft, value| draft.https_ca(text(value)?)).note("librdkafka's `https.ca.location`, as text"),
    applied("milena.sasl.token.endpoint.plaintext", "false", |draft, value| {
        draft.sasl().oauth.plaintext = boolean(value)?;
        Ok(())
    })
    .note("whether the endpoint may be `http` on another machine, so that whoever is on the way reads password and token. On this machine it always may"),
    applied("sasl.oauthbearer.method", "default", |draft, value| match value.to_ascii_lowercase().as_str() {
        method @ ("oidc" | "default") => {
            draft.sasl().oauth.oidc = method == "oidc";
            Ok(())
        }
        _ => Err(Wrong::new("is no way to get a token").hint("there are oidc and default")),
    })
    .note("librdkafka's switch: `oidc` needs `sasl.oauthbearer.token.endpoint.url`, which is enough by itself here"),
    applied("milena.sasl.aws.region", "", |draft, value| {
        draft.sasl().oauth.aws_region = Some(value.to_owned());
        Ok(())
    })
    .note("makes tokens for the brokers of Amazon MSK there, with IAM access control; the access key is looked for in the environment, the credentials file and the container"),
    applied("milena.sasl.aws.profile", "", |draft, value| {
        draft.sasl().oauth.aws_profile = Some(value.to_owned());
        Ok(())
    })
    .note("the profile of AWS' credentials file, which alone is looked into then"),
    applied("milena.sasl.token.file", "", |draft, value| {
        draft.sasl().token_file = Some(value.into());
        Ok(())
    })
    .note("the file that holds the token of OAUTHBEARER; it is read again before the token expires"),
    applied("sasl.oauthbearer.extensions", "", |draft, value| {
        let pairs: Option<Vec<_>> = list(value).map(|pair| pair.split_once('=')).collect();
        let pairs = pairs.ok_or_else(|| Wrong::new("is not of the form name=value,name=value"))?;
        let extensions = Extensions::new(pairs).map_err(|error| Wrong::new(error.detail))?;
        draft.sasl().extensions = Some(extensions);
        Ok(())
    })
    .note("librdkafka's `name=value` pairs for the broker beside the token; also options in `sasl.jaas.config` whose names begin with `extension_`"),
    applied("enable.sasl.oauthbearer.unsecure.jwt", "false", |draft, value| {
        draft.sasl().unsecured = boolean(value)?;
        Ok(())
    })
    .note("librdkafka's token that nobody signed, for `sasl.username`; for tests"),
    applied("sasl.login.retry.backoff.ms", "100", |draft, value| {
        draft.sasl().refresh.retry_backoff = millis(value)?;
        Ok(())
    })
    .note("first wait after a token could not be got"),
    applied("sasl.login.retry.backoff.max.ms", "10000", |draft, value| {
        draft.sasl().refresh.retry_backoff_max = millis(value)?;
        Ok(())
    })
    .note("what that grows to, doubling each time"),
    applied("sasl.login.refresh.window.factor", "0.8", |draft, value| {
        draft.sasl().refresh.window_factor = share(value, 0.5, 1.0)?;
        Ok(())
    })
    .note("for which part of its life a token is used"),
    applied("sasl.login.refresh.window.jitter", "0.05", |draft, value| {
        draft.sasl().refresh.window_jitter = share(value, 0.0, 0.25)?;
        Ok(())
    })
    .note("up to which part of its life is added to that by chance"),
    applied("sasl.login.refresh.min.period.seconds", "60", |draft, value| {
        draft.sasl().refresh.min_period = Duration::from_secs(whole(value, 0, 900)?.unsigned_abs());
        Ok(())
    })
    .note("shortest time between two tokens, unless they live for too short a time"),
    applied("sasl.login.refresh.buffer.seconds", "300", |draft, value| {
        draft.sasl().refresh.buffer = Duration::from_secs(whole(value, 0, 3600)?.unsigned_abs());
        Ok(())
    })
    .note("how long before its end a token is replaced, unless it lives for too short a time"),
    only("sasl.oauthbearer.grant.type", &["client_credentials"], OTHER_GRANT),
    only("sasl.oauthbearer.metadata.authentication.type", &["none"], OTHER_GRANT),
    refused("sasl.oauthbearer.assertion.*", OTHER_GRANT),
    ignored("sasl.oauthbearer.config", "librdkafka makes unsigned tokens of it; `enable.sasl.oauthbearer.unsecure.jwt` and `sasl.username` do that here"),
    ignored("sasl.oauthbearer.jwt.retriever.class", JAVA),
    ignored("sasl.oauthbearer.jwt.validator.class", JAVA),
    ignored("sasl.oauthbearer.clock.skew.seconds", FOR_BROKERS),
    ignored("sasl.oauthbearer.expected.*", FOR_BROKERS),
    ignored("sasl.oauthbearer.jwks.*", FOR_BROKERS),
    ignored("sasl.oauthbearer.scope.claim.name", "tokens are not looked into but for their times"),
    ignored("sasl.oauthbearer.sub.claim.name", "tokens are not looked into but for their times"),
    refused("oauthbearer_token_refresh_cb", IN_CODE),
];

/// A number from `least` to `most`.
fn share(value: &str, least: f64, most: f64) -> Result<f64, Wrong> {
    let share = value.parse().ok().filter(|share| (least..=most).contains(share));
    share.ok_or_else(|| Wrong::new(format!("is not in {least} to {most}")))
}
