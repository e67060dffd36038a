//! Which version of which request is spoken on a connection.

use std::collections::BTreeMap;

use milena_wire::message::api_versions::{ApiRange, ApiVersionsResponse};
use milena_wire::{ApiKey, ApiVersion, client_range};

/// What both sides of one connection speak.
#[derive(Clone, Debug, Default)]
pub(crate) struct Versions {
    common: BTreeMap<ApiKey, (ApiVersion, ApiVersion)>,
}

impl Versions {
    /// The range both sides speak, of each API that has one. What a broker says of itself that makes no
    /// sense (an empty range, an API named again) counts as not said.
    ///
    /// Kafka 4 advertises Produce from 0 although it refuses everything below 3 (KAFKA-18659); this client never goes
    /// below 3, since [`client_range`] starts there.
    pub(crate) fn agree(apis: &[ApiRange]) -> Self {
        let mut common = BTreeMap::new();
        for api in apis {
            let Some((oldest, newest)) = client_range(api.key) else { continue };
            let range = (oldest.max(api.min), newest.min(api.max));
            if api.min <= api.max && range.0 <= range.1 {
                common.entry(api.key).or_insert(range);
            }
        }
        Self { common }
    }

    /// The version to speak; `None` if the sides have none in common.
    pub(crate) fn of(&self, key: ApiKey) -> Option<ApiVersion> {
        self.common.get(&key).map(|(_, newest)| *newest)
    }

    /// The newest version up to `cap`; `None` if the sides have none in common.
    pub(crate) fn up_to(&self, key: ApiKey, cap: ApiVersion) -> Option<ApiVersion> {
        self.common.get(&key).filter(|(oldest, _)| *oldest <= cap).map(|(_, newest)| cap.min(*newest))
    }
}

/// The newest version of ApiVersions, which a new connection tries first.
pub(crate) fn newest_api_versions() -> ApiVersion {
    client_range(ApiKey::API_VERSIONS).map_or(ApiVersion(0), |(_, newest)| newest)
}

/// What to try after ApiVersions was refused at `tried`: what the answer offers, else version 0; always less than
/// what was tried, so that a broker that refuses everything is asked few times. `None` if nothing is left to try.
pub(crate) fn downgrade(tried: ApiVersion, answer: &ApiVersionsResponse) -> Option<ApiVersion> {
    let (oldest, newest) = client_range(ApiKey::API_VERSIONS)?;
    if tried <= oldest {
        return None;
    }
    let offered = answer.range(ApiKey::API_VERSIONS).map(|(_, max)| max.min(newest));
    offered.filter(|version| *version < tried && *version >= oldest).or(Some(oldest))
}

/// Whether a broker that answers with a throttle time leaves the waiting to the client (KIP-219). In older versions
/// it has waited itself already.
pub(crate) fn client_throttles(key: ApiKey, version: ApiVersion) -> bool {
    let since = match key {
        ApiKey::PRODUCE | ApiKey::METADATA => 6,
        ApiKey::CREATE_TOPICS => 3,
        ApiKey::API_VERSIONS | ApiKey::DELETE_TOPICS | ApiKey::DESCRIBE_CONFIGS | ApiKey::FIND_COORDINATOR => 2,
        _ => 1,
    };
    version.0 >= since
}

#[cfg(test)]
mod tests {
    use milena_wire::ErrorCode;

    use super::*;

    fn api(key: ApiKey, min: i16, max: i16) -> ApiRange {
        ApiRange { key, min: ApiVersion(min), max: ApiVersion(max) }
    }

    fn agreed(min: i16, max: i16) -> Option<i16> {
        Versions::agree(&[api(ApiKey::PRODUCE, min, max)]).of(ApiKey::PRODUCE).map(|version| version.0)
    }

    #[test]
    fn the_newest_common_version_is_spoken_and_produce_never_below_3() {
        assert_eq!(agreed(0, 13), Some(13));
        assert_eq!(agreed(0, 99), Some(13));
        assert_eq!(agreed(0, 7), Some(7));
        assert_eq!(agreed(0, 3), Some(3));
        assert_eq!(agreed(0, 2), None);
        assert_eq!(agreed(14, 20), None);
        assert_eq!(Versions::agree(&[]).of(ApiKey::PRODUCE), None);
    }

    #[test]
    fn what_a_lying_broker_says_counts_as_not_said() {
        assert_eq!(agreed(9, 5), None);
        assert_eq!(agreed(-1, -1), None);
        assert_eq!(agreed(i16::MIN, i16::MAX), Some(13));
        let twice = Versions::agree(&[api(ApiKey::METADATA, 0, 9), api(ApiKey::METADATA, 0, 12)]);
        assert_eq!(twice.of(ApiKey::METADATA), Some(ApiVersion(9)));
        let unknown = Versions::agree(&[api(ApiKey(999), 0, 9)]);
        assert_eq!(unknown.of(ApiKey(999)), None);
    }

    fn downgrades(offers: Option<(i16, i16)>) -> Vec<i16> {
        let answer = ApiVersionsResponse {
            error: ErrorCode::UNSUPPORTED_VERSION,
            apis: offers.map(|(min, max)| api(ApiKey::API_VERSIONS, min, max)).into_iter().collect(),
            ..ApiVersionsResponse::default()
        };
        let mut tried = newest_api_versions();
        let mut all = vec![tried.0];
        while let Some(next) = downgrade(tried, &answer) {
            assert!(next < tried, "each attempt is lower");
            tried = next;
            all.push(tried.0);
        }
        all
    }

    #[test]
    fn api_versions_is_downgraded_strictly_and_terminates() {
        assert_eq!(downgrades(None), [4, 0], "before Kafka 2.4 the refusal tells nothing");
        assert_eq!(downgrades(Some((0, 3))), [4, 3, 0], "since then it tells what to use");
        assert_eq!(downgrades(Some((0, 4))), [4, 0], "a broker that offers what it just refused");
        assert_eq!(downgrades(Some((0, i16::MAX))), [4, 0]);
        assert_eq!(downgrades(Some((-5, -3))), [4, 0]);
        assert_eq!(downgrades(Some((0, 0))), [4, 0]);
    }

    #[test]
    fn old_brokers_wait_themselves_and_new_ones_leave_it_to_the_client() {
        for (key, version, client) in [
            (ApiKey::PRODUCE, 5, false),
            (ApiKey::PRODUCE, 6, true),
            (ApiKey::METADATA, 5, false),
            (ApiKey::METADATA, 6, true),
            (ApiKey::API_VERSIONS, 1, false),
            (ApiKey::API_VERSIONS, 2, true),
            (ApiKey::INIT_PRODUCER_ID, 0, false),
            (ApiKey::INIT_PRODUCER_ID, 1, true),
        ] {
            assert_eq!(client_throttles(key, ApiVersion(version)), client, "{key} v{version}");
        }
    }
}
