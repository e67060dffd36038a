//! Reads the golden vectors: what other clients put on the wire. `golden/README.md` describes the files.

use std::collections::BTreeMap;

use milena_wire::{ApiVersion, BatchView, Codec, HeaderRef, RecordView};

const BATCHES: &str = include_str!("../golden/batches.txt");
const MESSAGES: &str = include_str!("../golden/messages.txt");

/// What the Java producer and a broker said to each other.
pub const JAVA_CLIENT: &str = include_str!("../golden/java-client.txt");
/// What librdkafka (kcat) and a broker said to each other.
pub const LIBRDKAFKA: &str = include_str!("../golden/librdkafka.txt");
/// The partitions that librdkafka chose for keys.
pub const LIBRDKAFKA_PARTITIONS: &str = include_str!("../golden/librdkafka-partitions.txt");
/// Java's unit vectors of murmur2.
pub const MURMUR2: &str = include_str!("../golden/murmur2.txt");
/// Hash and partition of 10,000 random keys.
pub const MURMUR2_10000: &[u8] = include_bytes!("../golden/murmur2-10000.bin");

/// One record of a golden batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GoldenRecord {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Null or bytes.
    pub key: Option<Vec<u8>>,
    /// Null or bytes.
    pub value: Option<Vec<u8>>,
    /// In order, duplicates included.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A batch that Java wrote, and what it was told to write.
#[derive(Clone, Debug)]
pub struct GoldenBatch {
    /// For messages of failing tests: case and name of the records.
    pub name: String,
    /// The records in it; empty for a control batch.
    pub records: Vec<GoldenRecord>,
    /// The codec it was written with.
    pub codec: Codec,
    fields: BTreeMap<String, String>,
    /// The batch, header included.
    pub bytes: Vec<u8>,
}

impl GoldenRecord {
    /// All records of a batch, which hold a mebibyte at most.
    ///
    /// # Panics
    /// If they cannot be read.
    #[must_use]
    pub fn all_of(batch: &BatchView<'_>) -> Vec<Self> {
        let records = batch.records(1 << 20).expect("records that can be read");
        let read = |record: Result<RecordView<'_>, _>| {
            let record = record.expect("a record that can be read");
            Self {
                timestamp: record.timestamp,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: record.headers().map(|h| (h.key_text().into_owned(), h.value.map(<[u8]>::to_vec))).collect(),
            }
        };
        records.iter().map(read).collect()
    }

    /// Its headers, to be written.
    #[must_use]
    pub fn header_refs(&self) -> Vec<HeaderRef<'_>> {
        self.headers.iter().map(|(key, value)| HeaderRef { key, value: value.as_deref() }).collect()
    }
}

impl GoldenBatch {
    /// The value of `name=value` in the batch's description.
    ///
    /// # Panics
    /// If the file does not have that field.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).unwrap_or_else(|| panic!("{} has no field {name}", self.name))
    }

    /// A field that is a number.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> T {
        self.field(name).parse().unwrap_or_else(|_| panic!("{}: {name} is not a number in range", self.name))
    }

    /// A field that is `true` or `false`.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.field(name) == "true"
    }
}

/// A request or response in one version, as Kafka's own generated classes write it.
#[derive(Clone, Debug)]
pub struct GoldenMessage {
    /// Kafka's name of the API in lower case, as in `initproducerid`.
    pub api: &'static str,
    /// The version it is written in.
    pub version: ApiVersion,
    /// Request, or else response.
    pub is_request: bool,
    /// Which of several messages of this kind.
    pub case: &'static str,
    /// Request or response header.
    pub header: Vec<u8>,
    /// What follows the header.
    pub body: Vec<u8>,
}

impl GoldenMessage {
    /// Size prefix, header and body, as they go over the wire.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        framed(&[self.header.as_slice(), &self.body].concat())
    }
}

/// A request and its response, as seen on a connection.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Kafka's name of the API in lower case.
    pub api: &'static str,
    /// The request's version.
    pub version: ApiVersion,
    /// Which of several of this kind, or `-`.
    pub case: &'static str,
    /// With its header, without the frame's size.
    pub request: Vec<u8>,
    /// With its header, without the frame's size.
    pub response: Vec<u8>,
}

/// All record batches.
///
/// # Panics
/// If the committed file is not what its README says; so do all functions here.
#[must_use]
pub fn batches() -> Vec<GoldenBatch> {
    let mut lists: BTreeMap<&str, Vec<GoldenRecord>> = BTreeMap::new();
    let mut list = "";
    let mut batches: Vec<GoldenBatch> = Vec::new();
    for line in BATCHES.lines() {
        let (kind, rest) = line.split_once(' ').expect("a line has a kind");
        match kind {
            "records" => list = rest,
            "record" => lists.entry(list).or_default().push(record(rest)),
            "batch" => batches.push(batch(rest, &lists)),
            "bytes" => batches.last_mut().expect("bytes follow a batch").bytes = hex(rest),
            _ => panic!("unknown line: {line}"),
        }
    }
    batches
}

/// All requests and responses.
#[must_use]
pub fn messages() -> Vec<GoldenMessage> {
    let message = |line: &'static str| {
        let [api, version, direction, case, header, body] = words(line);
        GoldenMessage {
            api,
            version: ApiVersion(version.parse().expect("a version")),
            is_request: direction == "request",
            case,
            header: hex(header),
            body: hex(body),
        }
    };
    MESSAGES.lines().map(message).collect()
}

/// All exchanges of one captured conversation, [`JAVA_CLIENT`] or [`LIBRDKAFKA`].
#[must_use]
pub fn exchanges(capture: &'static str) -> Vec<Exchange> {
    let exchange = |line: &'static str| {
        let [api, version, case, request, response] = words(line);
        let version = ApiVersion(version.parse().expect("a version"));
        Exchange { api, version, case, request: hex(request), response: hex(response) }
    };
    capture.lines().map(exchange).collect()
}

/// Puts the 4-byte size in front.
#[must_use]
pub fn framed(body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len()).expect("a frame is below 2 GiB");
    [&size.to_be_bytes(), body].concat()
}

/// Splits a line into its `N` words.
///
/// # Panics
/// If it has another number of words.
#[must_use]
pub fn words<const N: usize>(line: &str) -> [&str; N] {
    // A message without fields has an empty body, and its line ends with a space.
    line.split(' ').collect::<Vec<_>>().try_into().unwrap_or_else(|_| panic!("not {N} words: {line}"))
}

/// Reads `-` (null), `xHEX` or `*N:HEX` (repeated).
///
/// # Panics
/// If it is none of these.
#[must_use]
pub fn data(text: &str) -> Option<Vec<u8>> {
    if text == "-" {
        None
    } else if let Some(digits) = text.strip_prefix('x') {
        Some(hex(digits))
    } else {
        let (times, digits) = text.strip_prefix('*').and_then(|rest| rest.split_once(':')).expect("*N:HEX");
        Some(hex(digits).repeat(times.parse().expect("a count")))
    }
}

fn hex(digits: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn record(line: &str) -> GoldenRecord {
    let mut words = line.split(' ');
    let mut word = || words.next().expect("timestamp, key and value");
    let (timestamp, key, value) = (word(), word(), word());
    let header = |word: &str| {
        let (key, value) = word.split_once('=').expect("HEADER=VALUE");
        (String::from_utf8(data(key).expect("a header key")).expect("UTF-8"), data(value))
    };
    GoldenRecord {
        timestamp: timestamp.parse().expect("a timestamp"),
        key: data(key),
        value: data(value),
        headers: words.map(header).collect(),
    }
}

fn batch(line: &str, lists: &BTreeMap<&str, Vec<GoldenRecord>>) -> GoldenBatch {
    let (name, rest) = line.split_once(' ').expect("a name");
    let pair = |word: &str| word.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())).expect("name=value");
    let fields: BTreeMap<String, String> = rest.split(' ').map(pair).collect();
    let list = fields["records"].as_str();
    GoldenBatch {
        name: format!("{name} {list} {}", fields["codec"]),
        records: lists.get(list).cloned().unwrap_or_default(),
        codec: fields["codec"].parse().expect("a codec"),
        fields,
        bytes: Vec::new(),
    }
}
