//! Of what a connection begins with.

use super::*;

#[test]
fn of_api_versions() {
    use theirs::api_versions_response as r;
    same(
        &v::API_VERSIONS,
        4,
        &theirs::ApiVersionsRequest::default()
            .with_client_software_name(s("milena"))
            .with_client_software_version(s("1.0")),
        &api_versions::ApiVersionsRequest {
            client_software_name: "milena".to_owned(),
            client_software_version: "1.0".to_owned(),
        },
    );
    same(
        &v::API_VERSIONS,
        3,
        &theirs::ApiVersionsResponse::default()
            .with_error_code(-1)
            .with_api_keys(vec![r::ApiVersion::default().with_api_key(1).with_min_version(2).with_max_version(3)])
            .with_throttle_time_ms(4)
            .with_supported_features(vec![
                r::SupportedFeatureKey::default().with_name(s("a")).with_min_version(5).with_max_version(6),
            ])
            .with_finalized_features_epoch(7)
            .with_finalized_features(vec![
                r::FinalizedFeatureKey::default().with_name(s("b")).with_max_version_level(8).with_min_version_level(9),
            ])
            .with_zk_migration_ready(true),
        &api_versions::ApiVersionsResponse {
            error: ErrorCode::UNKNOWN_SERVER_ERROR,
            apis: vec![api_versions::ApiRange { key: ApiKey(1), min: ApiVersion(2), max: ApiVersion(3) }],
            throttle_ms: 4,
            supported_features: vec![api_versions::SupportedFeature { name: "a".to_owned(), min: 5, max: 6 }],
            finalized_features_epoch: 7,
            finalized_features: vec![api_versions::FinalizedFeature {
                name: "b".to_owned(),
                max_level: 8,
                min_level: 9,
            }],
            zk_migration_ready: true,
        },
    );
}

#[test]
fn of_sasl_handshake_and_sasl_authenticate() {
    let secret = Bytes::from_static(b"secret");
    same(
        &v::SASL_HANDSHAKE,
        1,
        &theirs::SaslHandshakeRequest::default().with_mechanism(s("PLAIN")),
        &sasl_handshake::SaslHandshakeRequest { mechanism: "PLAIN".to_owned() },
    );
    same(
        &v::SASL_HANDSHAKE,
        1,
        &theirs::SaslHandshakeResponse::default().with_error_code(33).with_mechanisms(vec![s("A"), s("B")]),
        &sasl_handshake::SaslHandshakeResponse {
            error: ErrorCode::UNSUPPORTED_SASL_MECHANISM,
            mechanisms: vec!["A".to_owned(), "B".to_owned()],
        },
    );
    same(
        &v::SASL_AUTHENTICATE,
        2,
        &theirs::SaslAuthenticateRequest::default().with_auth_bytes(secret.clone()),
        &sasl_authenticate::SaslAuthenticateRequest { auth_bytes: sasl_authenticate::AuthBytes(secret.clone()) },
    );
    same(
        &v::SASL_AUTHENTICATE,
        2,
        &theirs::SaslAuthenticateResponse::default()
            .with_error_code(58)
            .with_error_message(Some(s("no")))
            .with_auth_bytes(secret.clone())
            .with_session_lifetime_ms(77),
        &sasl_authenticate::SaslAuthenticateResponse {
            error: ErrorCode::SASL_AUTHENTICATION_FAILED,
            error_message: some("no"),
            auth_bytes: sasl_authenticate::AuthBytes(secret),
            session_lifetime_ms: 77,
        },
    );
}
