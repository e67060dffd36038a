//! ApiVersions (API 18): what a broker speaks. The first request on every connection.

use super::header::write_response_header;
use super::schema::{Field, Writer};
use super::versions::API_VERSIONS;
use crate::ids::{ApiKey, ApiVersion, CorrelationId};
use crate::{DecodeError, ErrorCode, Frame, Reader};

message! {
    /// Asks what the broker speaks.
    pub struct ApiVersionsRequest {
        /// Which client this is. Letters, digits, `.` and `-`, else the broker refuses (KIP-511).
        client_software_name: String [3..];
        /// Which version of it. Letters, digits, `.` and `-`, else the broker refuses.
        client_software_version: String [3..];
    }

    /// What the broker speaks.
    pub struct ApiVersionsResponse {
        /// [`ErrorCode::UNSUPPORTED_VERSION`] if the version asked for is too new; then only `apis` is told.
        error: ErrorCode [0..];
        /// The APIs, each at most once.
        apis: Vec<ApiRange> [0..];
        /// How long to keep quiet on this connection, in milliseconds (KIP-219).
        throttle_ms: i32 [1..];
    } tagged {
        /// Features the broker could have.
        0 => supported_features: Vec<SupportedFeature> [3..];
        /// Grows with each change of the finalized features; negative if unknown.
        1 => finalized_features_epoch: i64 [3..] = -1;
        /// Features the whole cluster has.
        2 => finalized_features: Vec<FinalizedFeature> [3..];
        /// Whether the cluster is ready to leave ZooKeeper.
        3 => zk_migration_ready: bool [3..] = false;
    }

    /// The versions of one API.
    pub struct ApiRange {
        /// The API.
        key: ApiKey [0..];
        /// The oldest version.
        min: ApiVersion [0..];
        /// The newest version.
        max: ApiVersion [0..];
    }

    /// The levels of a feature a broker could have.
    pub struct SupportedFeature {
        /// Its name, such as `transaction.version`.
        name: String [3..];
        /// The lowest level.
        min: i16 [3..];
        /// The highest level.
        max: i16 [3..];
    }

    /// The levels of a feature the whole cluster has.
    pub struct FinalizedFeature {
        /// Its name.
        name: String [3..];
        /// The highest level.
        max_level: i16 [3..];
        /// The lowest level.
        min_level: i16 [3..];
    }
}

request!(ApiVersionsRequest, API_VERSIONS);

impl ApiVersionsResponse {
    /// Reads the body that follows the response header, to its end.
    ///
    /// A broker that does not know `version` answers [`ErrorCode::UNSUPPORTED_VERSION`] in version 0, so that is tried
    /// as well.
    ///
    /// # Errors
    ///
    /// When the version is not spoken here, or the bytes are not such a response.
    pub fn decode(version: ApiVersion, body: &[u8]) -> Result<Self, DecodeError> {
        API_VERSIONS.check(version)?;
        let refused = Reader::new(body).i16() == Ok(ErrorCode::UNSUPPORTED_VERSION.0);
        if refused && let Ok(response) = Self::decode_as(ApiVersion(0), body) {
            return Ok(response);
        }
        Self::decode_as(version, body)
    }

    fn decode_as(version: ApiVersion, body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let response = Self::read(&mut reader, API_VERSIONS.version(version))?;
        reader.finish()?;
        Ok(response)
    }

    /// The whole response, its size in front; with [`ErrorCode::UNSUPPORTED_VERSION`] in version 0, whatever `version` is.
    #[must_use]
    pub fn encode_frame(&self, version: ApiVersion, correlation: CorrelationId) -> Frame {
        let version = if self.error == ErrorCode::UNSUPPORTED_VERSION { ApiVersion(0) } else { version };
        let mut out = Writer::new(512, 1);
        write_response_header(&mut out, &API_VERSIONS, version, correlation);
        self.write(&mut out, API_VERSIONS.version(version));
        out.finish()
    }

    /// The versions of `key`; `None` if the broker does not have the API.
    #[must_use]
    pub fn range(&self, key: ApiKey) -> Option<(ApiVersion, ApiVersion)> {
        self.apis.iter().find(|api| api.key == key).map(|api| (api.min, api.max))
    }
}
