//! Property texts, with the JAAS texts in them, and lists of addresses.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use milena_client::bootstrap_list;
use milena_client::property::{Properties, list};

use crate::budget::Budget;

/// A name that nobody knows is compared with all that are known, and told with its place; a file may have one of them on every line of two bytes.
const TEXT: Budget = Budget { per_byte: 4096, at_least: 64 * 1024 };

/// A property file; anything that is no text is read as one with replacements.
pub fn properties(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let compares =
        !text.lines().all(is_known) && !data.iter().map(|byte| usize::from(*byte)).sum::<usize>().is_multiple_of(64);
    TEXT.hold("properties", text.len(), || {
        let mut properties = Properties::new();
        properties.add_text("hostile", &text);
        if compares {
            return;
        }
        match properties.settings() {
            Ok(settings) => {
                let _ = settings.client.sasl.mechanism();
            }
            Err(problems) => assert!(!problems.0.is_empty() && !problems.to_string().is_empty()),
        }
        let _ = Properties::new().add_pair(text.lines().next().unwrap_or_default()).settings();
    });
    if let Ok(servers) = bootstrap_list(&text) {
        assert!(!servers.is_empty() && servers.iter().all(|server| server.port > 0));
        for server in servers {
            assert_eq!(server.to_string().parse(), Ok(server));
        }
    }
}

/// Whether a line surely has a name that nobody has to be asked about. One that is not known is compared with all that are, which takes half a
/// millisecond; ten million of them are too many, and one in 64 is enough.
fn is_known(line: &str) -> bool {
    let name = line.trim_start().split(['=', ':', ' ']).next().unwrap_or_default();
    name.is_empty() || name.starts_with(['#', '!']) || NAMES.contains(name)
}

static NAMES: LazyLock<BTreeSet<&str>> =
    LazyLock::new(|| list().flat_map(|known| known.aliases.iter().copied().chain([known.name])).collect());

/// Files as people write them.
pub(crate) fn property_seeds() -> Vec<Vec<u8>> {
    [
        "bootstrap.servers=kafka-1:9092,[::1]:9092\nacks=all\nlinger.ms=5\ncompression.type=zstd\n",
        "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \\\n  required username=\"alice\" password=\"a;b=\\\\\"c\";\n",
        "sasl.mechanism=SCRAM-SHA-256\nsasl.jaas.config=x.ScramLoginModule required username=a password=b tokenauth=\"true\" ;\nsecurity.protocol = SASL_PLAINTEXT",
        "sasl.mechanism: OAUTHBEARER\nsasl.jaas.config: OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"a\" extension_x=\"y\";\nsecurity.protocol SASL_SSL\nsasl.oauthbearer.extensions=a=b,c=d\n",
        "# comment\n! another\n\\u0061cks = 1\nclient.id=\\uD83E\\uDD80 caf\\u00e9\\t\\\n   more\r\nbatch.size=16384\rretries=3",
        "acks=2\nlinger.ms=30s\nno.such.property=1\nacks=1\nbatch.size=-1\nenable.idempotence=maybe\nrequest.timeout.ms=99999999999999999999",
        "ssl.truststore.location=/a.p12\nssl.truststore.password=x\nssl.keystore.key=-----BEGIN PRIVATE KEY-----\nssl.enabled.protocols=TLSv1.3,TLSv1.2\nsecurity.protocol=SSL",
        "kafka-1:9092,10.0.0.7:9092,[fe80::1%eth0]:9092",
        "\u{feff}partitioner.class=org.apache.kafka.clients.producer.RoundRobinPartitioner\ncompression.gzip.level=9\nmilena.spool.dir=/x",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect()
}
