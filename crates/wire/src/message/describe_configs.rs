//! DescribeConfigs (API 32): the settings of topics and brokers.

use super::versions::DESCRIBE_CONFIGS;
use crate::ErrorCode;

/// The kind of resource that a topic is.
pub const TOPIC: i8 = 2;
/// The kind of resource that a broker is.
pub const BROKER: i8 = 4;

message! {
    /// Asks for settings.
    pub struct DescribeConfigsRequest {
        /// Of what.
        resources: Vec<ConfigResource> [0..];
        /// Whether to say where else each setting could come from.
        include_synonyms: bool [1..];
        /// Whether to explain each setting.
        include_documentation: bool [3..];
    }

    /// Something that has settings.
    pub struct ConfigResource {
        /// Its kind, [`TOPIC`] or [`BROKER`] for two.
        kind: i8 [0..];
        /// Its name; for a broker its id.
        name: String [0..];
        /// Which settings; `None` for all.
        keys: Option<Vec<String>> [0..];
    }

    /// The settings.
    pub struct DescribeConfigsResponse {
        /// How long to keep quiet on this connection, in milliseconds (KIP-219).
        throttle_ms: i32 [0..];
        /// One answer for each resource.
        results: Vec<DescribedResource> [0..];
    }

    /// The settings of one resource.
    pub struct DescribedResource {
        /// Whether they are told.
        error: ErrorCode [0..];
        /// What the broker has to say about the error.
        error_message: Option<String> [0..];
        /// Its kind.
        kind: i8 [0..];
        /// Its name.
        name: String [0..];
        /// Its settings.
        configs: Vec<DescribedConfig> [0..];
    }

    /// A setting.
    pub struct DescribedConfig {
        /// Its name.
        name: String [0..];
        /// Its value; `None` if it is a secret.
        value: Option<String> [0..];
        /// Whether it cannot be changed.
        read_only: bool [0..];
        /// Where it comes from: `1` the topic, `2` to `4` the broker, `5` a default; `-1` if not told.
        source: i8 [1..] = -1;
        /// Whether it is a secret.
        sensitive: bool [0..];
        /// Where else it could come from.
        synonyms: Vec<ConfigSynonym> [1..];
        /// Its type; `0` if not told.
        config_type: i8 [3..];
        /// What it does.
        documentation: Option<String> [3..];
    }

    /// Where a setting could come from.
    pub struct ConfigSynonym {
        /// Its name there.
        name: String [1..];
        /// Its value there.
        value: Option<String> [1..];
        /// Where, as in [`DescribedConfig::source`].
        source: i8 [1..];
    }
}

request!(DescribeConfigsRequest, DESCRIBE_CONFIGS);
response!(DescribeConfigsResponse, DESCRIBE_CONFIGS);
