//! Which release of Kafka the cluster passes for.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use milena_wire::message::client_range;
use milena_wire::{ApiKey, ApiVersion};

/// A release whose API versions, error codes and first-sequence rule the cluster imitates.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Profile {
    /// Kafka 2.1: Produce up to v7, no flexible versions, no topic ids; refuses a first sequence other than 0 with
    /// `UNKNOWN_PRODUCER_ID`.
    V2_1,
    /// Kafka 2.8: Produce up to v9, Metadata up to v11.
    V2_8,
    /// Kafka 3.9: Produce up to v11 (leader hints), Metadata up to v12.
    V3_9,
    /// Kafka 4.3: Produce up to v13 (topic ids), Metadata up to v13.
    #[default]
    V4_3,
}

/// The newest version of each API in 2.1, 2.8, 3.9 and 4.3; -1 where the release does not have the API.
const NEWEST: [(ApiKey, [i16; 4]); 15] = [
    (ApiKey::PRODUCE, [7, 9, 11, 13]),
    (ApiKey::FETCH, [10, 12, 17, 18]),
    (ApiKey::LIST_OFFSETS, [4, 6, 9, 10]),
    (ApiKey::METADATA, [7, 11, 12, 13]),
    (ApiKey::FIND_COORDINATOR, [2, 3, 6, 6]),
    (ApiKey::SASL_HANDSHAKE, [1, 1, 1, 1]),
    (ApiKey::API_VERSIONS, [2, 3, 4, 4]),
    (ApiKey::CREATE_TOPICS, [3, 7, 7, 7]),
    (ApiKey::DELETE_TOPICS, [3, 6, 6, 6]),
    (ApiKey::INIT_PRODUCER_ID, [1, 4, 5, 5]),
    (ApiKey::OFFSET_FOR_LEADER_EPOCH, [2, 4, 4, 4]),
    (ApiKey::DESCRIBE_CONFIGS, [2, 4, 4, 4]),
    (ApiKey::SASL_AUTHENTICATE, [0, 2, 2, 2]),
    (ApiKey::CREATE_PARTITIONS, [1, 3, 3, 3]),
    (ApiKey::DESCRIBE_CLUSTER, [-1, 0, 1, 2]),
];

/// `2.1`, `2.8`, `3.9` or `4.3`.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V2_1 => "2.1",
            Self::V2_8 => "2.8",
            Self::V3_9 => "3.9",
            Self::V4_3 => "4.3",
        })
    }
}

/// Why a text is no profile.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownProfile(String);

impl fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown release {:?}; there are", self.0)?;
        Profile::ALL.iter().try_for_each(|profile| write!(f, " {profile}"))
    }
}

impl Error for UnknownProfile {}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        let found = Self::ALL.into_iter().find(|profile| profile.to_string() == text);
        found.ok_or_else(|| UnknownProfile(text.to_owned()))
    }
}

impl Profile {
    /// All profiles, oldest first.
    pub const ALL: [Self; 4] = [Self::V2_1, Self::V2_8, Self::V3_9, Self::V4_3];

    /// What ApiVersions tells. For Produce it begins at 0, as 4.x tells for old clients' sake (KAFKA-18659), although
    /// versions below 3 are not served; so it does for SaslHandshake, where librdkafka takes a broker that does not tell 0 for one without.
    pub(crate) fn ranges(self) -> Vec<(ApiKey, ApiVersion, ApiVersion)> {
        let ranges = NEWEST.iter().filter_map(|(key, newest)| {
            let (oldest, known) = client_range(*key)?;
            let newest = ApiVersion(newest[self as usize].min(known.0));
            let from_0 = matches!(*key, ApiKey::PRODUCE | ApiKey::SASL_HANDSHAKE);
            let oldest = if from_0 { ApiVersion(0) } else { oldest };
            (newest >= oldest).then_some((*key, oldest, newest))
        });
        ranges.collect()
    }

    /// Whether requests of this version are served.
    pub(crate) fn offers(self, key: ApiKey, version: ApiVersion) -> bool {
        let told = NEWEST.iter().find(|(k, _)| *k == key).is_some_and(|(_, newest)| version.0 <= newest[self as usize]);
        told && client_range(key).is_some_and(|(oldest, newest)| (oldest..=newest).contains(&version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_named_after_their_release() {
        assert_eq!("2.8".parse(), Ok(Profile::V2_8));
        let unknown = "1.0".parse::<Profile>().unwrap_err();
        assert_eq!(unknown.to_string(), "unknown release \"1.0\"; there are 2.1 2.8 3.9 4.3");
    }

    #[test]
    fn old_releases_offer_old_versions_and_never_less_than_they_tell() {
        assert!(Profile::V2_1.offers(ApiKey::PRODUCE, ApiVersion(7)));
        assert!(!Profile::V2_1.offers(ApiKey::PRODUCE, ApiVersion(8)));
        assert!(!Profile::V4_3.offers(ApiKey::PRODUCE, ApiVersion(2)));
        assert!(!Profile::V2_1.offers(ApiKey::DESCRIBE_CLUSTER, ApiVersion(0)));
        for profile in Profile::ALL {
            for (key, oldest, newest) in profile.ranges() {
                let oldest = match key {
                    ApiKey::PRODUCE => ApiVersion(3),
                    ApiKey::SASL_HANDSHAKE => ApiVersion(1),
                    _ => oldest,
                };
                for version in oldest.0..=newest.0 {
                    assert!(profile.offers(key, ApiVersion(version)), "{profile:?} {key} v{version}");
                }
                assert!(!profile.offers(key, ApiVersion(newest.0 + 1)));
            }
        }
    }
}
