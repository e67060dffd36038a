//! What a cluster client is told: where to start, and how patient to be.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// A server's name or address, and its port.
///
/// Written `name:9092`, `10.0.0.7:9092` or `[2001:db8::7]:9092`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HostPort {
    /// A name or an address, an IPv6 one without its brackets.
    pub host: String,
    /// The TCP port, never 0 when parsed from text.
    pub port: u16,
}

impl HostPort {
    /// Takes the host as it is.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port }
    }

    /// The host as an address, if it is one; such a host needs no resolver.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Why a text is not a [`HostPort`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostPortError {
    text: String,
    why: &'static str,
}

impl fmt::Display for HostPortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a server address: {}; write it as host:port, for example kafka-1:9092",
            self.text, self.why
        )
    }
}

impl std::error::Error for HostPortError {}

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let fail = |why| HostPortError { text: text.to_owned(), why };
        let trimmed = text.trim();
        if trimmed.contains("://") {
            return Err(fail("it has a scheme (such as http:// or PLAINTEXT://), which does not belong here"));
        }
        let (host, port) = if let Some(rest) = trimmed.strip_prefix('[') {
            let (host, port) = rest.split_once("]:").ok_or_else(|| fail("an IPv6 address needs ]:port after it"))?;
            let address = host.split_once('%').map_or(host, |(address, _zone)| address);
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(fail("what is in brackets is not an IPv6 address"));
            }
            (host, port)
        } else {
            let (host, port) = trimmed.rsplit_once(':').ok_or_else(|| fail("it has no port"))?;
            if host.contains(':') {
                return Err(fail("an IPv6 address needs brackets around it"));
            }
            (host, port)
        };
        if host.is_empty() {
            return Err(fail("it has no host"));
        }
        if host.contains(|c: char| c.is_whitespace() || matches!(c, '/' | '@' | ',')) {
            return Err(fail("the host has a character that no host name has"));
        }
        match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok(Self::new(host, port)),
            _ => Err(fail("the port is not a number from 1 to 65535")),
        }
    }
}

/// The settings of one [`Cluster`](crate::Cluster). Values are taken as they are; the facade validates them.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Where to look for the cluster at first, and again at a rebootstrap. Kafka's name: `bootstrap.servers`.
    pub bootstrap: Vec<HostPort>,
    /// Sent with every request; brokers name it in their logs, quotas and metrics. Default: `milena`.
    pub client_id: String,
    /// Longest wait for an answer since the request was written, extended by throttling; then the connection is closed
    /// and all that is in flight on it is lost. As long for writing it, while nothing before it gets written either.
    /// Also the longest a control request waits for a connection. Default: 30 s.
    pub request_timeout: Duration,
    /// Longest a connection may take to be usable: name resolution, TCP, ApiVersions, SASL. Default: 10 s.
    pub connect_timeout: Duration,
    /// What `connect_timeout` grows to, doubling with each connection attempt that timed out (KIP-601). Default: 30 s.
    pub connect_timeout_max: Duration,
    /// First wait before connecting again. Default: 50 ms.
    pub reconnect_backoff: Duration,
    /// What `reconnect_backoff` grows to, doubling with each failure. Default: 1 s.
    pub reconnect_backoff_max: Duration,
    /// First wait before asking for metadata again. Default: 100 ms.
    pub retry_backoff: Duration,
    /// What `retry_backoff` grows to, doubling with each failure or answer without news. Default: 1 s.
    pub retry_backoff_max: Duration,
    /// Metadata older than this is asked for again, as long as any topic is in use. Default: 5 min.
    pub metadata_max_age: Duration,
    /// A topic not used for this long is forgotten. Default: 5 min.
    pub metadata_max_idle: Duration,
    /// A connection unused for this long is closed. Default: 9 min.
    pub idle_timeout: Duration,
    /// Requests in flight per connection, at least 1. Default: 5.
    pub max_in_flight: usize,
    /// Whether to go back to `bootstrap` when no known broker can be reached (KIP-899). Default: true.
    pub rebootstrap: bool,
    /// How long metadata may fail before everything known is dropped for `bootstrap` (KIP-1102); less than 1 s counts as 1 s. Default: 5 min.
    pub rebootstrap_trigger: Duration,
    /// Whether asking for a topic may create it, if the broker allows that. Default: true.
    pub auto_create_topics: bool,
    /// The SASL mechanism by which connections authenticate; `None`: they do not. Default: `None`.
    pub sasl_mechanism: Option<String>,
    /// Largest response in bytes; a larger one ends its connection. (A pool refuses it before it has room for it.)
    /// Default: 100 MiB.
    pub max_frame: usize,
}

impl ClusterConfig {
    /// The defaults, for a cluster found at `bootstrap`.
    #[must_use]
    pub fn new(bootstrap: Vec<HostPort>) -> Self {
        Self {
            bootstrap,
            client_id: "milena".to_owned(),
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            connect_timeout_max: Duration::from_secs(30),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            metadata_max_age: Duration::from_secs(300),
            metadata_max_idle: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(540),
            max_in_flight: 5,
            rebootstrap: true,
            rebootstrap_trigger: Duration::from_secs(300),
            auto_create_topics: true,
            sasl_mechanism: None,
            max_frame: 100 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_the_same_way() {
        for text in ["kafka-1:9092", "10.0.0.7:9092", "[2001:db8::7]:9092", "[fe80::1%eth0]:9092", "a_b.c:1"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        assert_eq!("[::1]:9092".parse::<HostPort>().unwrap().host, "::1");
        assert_eq!(" kafka:9092 ".parse::<HostPort>().unwrap(), HostPort::new("kafka", 9092));
    }

    #[test]
    fn a_wrong_address_says_what_is_wrong_with_it() {
        for (text, why) in [
            ("kafka", "no port"),
            (":9092", "no host"),
            ("kafka:", "port"),
            ("kafka:0", "port"),
            ("kafka:70000", "port"),
            ("kafka:-1", "port"),
            ("::1:9092", "brackets"),
            ("[::1]", "]:port"),
            ("[kafka]:9092", "not an IPv6"),
            ("http://kafka:9092", "scheme"),
            ("a,b:9092", "character"),
            ("user@kafka:9092", "character"),
        ] {
            let error = text.parse::<HostPort>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
