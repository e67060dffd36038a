//! Which versions of which API are spoken here.

use super::schema::Version;
use crate::ids::{ApiKey, ApiVersion};
use crate::primitive::{DecodeError, Layout};

/// The versions of one API that this crate speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Api {
    pub(crate) key: ApiKey,
    pub(crate) oldest: i16,
    pub(crate) newest: i16,
    /// The first version with varint lengths and tagged fields (KIP-482).
    pub(crate) flexible: i16,
}

impl Api {
    pub(crate) fn version(&self, version: ApiVersion) -> Version {
        Version { number: version.0, layout: self.layout(version) }
    }

    pub(crate) fn layout(&self, version: ApiVersion) -> Layout {
        if version.0 >= self.flexible { Layout::Flexible } else { Layout::Classic }
    }

    pub(crate) fn check(&self, version: ApiVersion) -> Result<Version, DecodeError> {
        if (self.oldest..=self.newest).contains(&version.0) {
            Ok(self.version(version))
        } else {
            Err(DecodeError { field: "", what: "version of the API that is not spoken here", at: 0 })
        }
    }
}

macro_rules! apis {
    ($($const:ident, $key:ident, $oldest:literal..=$newest:literal, flexible $flexible:literal;)*) => {
        $(pub(crate) const $const: Api =
            Api { key: ApiKey::$key, oldest: $oldest, newest: $newest, flexible: $flexible };)*

        const ALL: &[Api] = &[$($const),*];
    };
}

apis! {
    PRODUCE, PRODUCE, 3..=13, flexible 9;
    FETCH, FETCH, 4..=18, flexible 12;
    LIST_OFFSETS, LIST_OFFSETS, 1..=10, flexible 6;
    METADATA, METADATA, 1..=13, flexible 9;
    FIND_COORDINATOR, FIND_COORDINATOR, 0..=6, flexible 3;
    SASL_HANDSHAKE, SASL_HANDSHAKE, 1..=1, flexible 2;
    API_VERSIONS, API_VERSIONS, 0..=4, flexible 3;
    CREATE_TOPICS, CREATE_TOPICS, 2..=7, flexible 5;
    DELETE_TOPICS, DELETE_TOPICS, 1..=6, flexible 4;
    INIT_PRODUCER_ID, INIT_PRODUCER_ID, 0..=5, flexible 2;
    OFFSET_FOR_LEADER_EPOCH, OFFSET_FOR_LEADER_EPOCH, 2..=4, flexible 4;
    DESCRIBE_CONFIGS, DESCRIBE_CONFIGS, 1..=4, flexible 4;
    SASL_AUTHENTICATE, SASL_AUTHENTICATE, 0..=2, flexible 2;
    CREATE_PARTITIONS, CREATE_PARTITIONS, 0..=3, flexible 2;
    DESCRIBE_CLUSTER, DESCRIBE_CLUSTER, 0..=2, flexible 0;
}

/// What is known of an API, if anything.
pub(crate) fn api(key: ApiKey) -> Option<&'static Api> {
    ALL.iter().find(|api| api.key == key)
}

/// The oldest and newest version of an API that this crate can encode and decode; `None` for an API it does not know.
///
/// Both sides are covered: a broker made of these messages may offer any part of the range.
#[must_use]
pub fn client_range(key: ApiKey) -> Option<(ApiVersion, ApiVersion)> {
    api(key).map(|api| (ApiVersion(api.oldest), ApiVersion(api.newest)))
}
