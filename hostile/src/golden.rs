//! What other clients and brokers put on the wire, from the golden vectors: what hostile bytes are made from.

use milena_wire::{ApiKey, ApiVersion};

const MESSAGES: &str = include_str!("../../protocol-tests/golden/messages.txt");
const BATCHES: &str = include_str!("../../protocol-tests/golden/batches.txt");
const CAPTURES: [&str; 2] = [
    include_str!("../../protocol-tests/golden/java-client.txt"),
    include_str!("../../protocol-tests/golden/librdkafka.txt"),
];

/// A request or response, header included, without its size.
pub(crate) struct Message {
    pub(crate) api: ApiKey,
    pub(crate) version: ApiVersion,
    pub(crate) is_request: bool,
    pub(crate) bytes: Vec<u8>,
}

/// All messages of an API that is spoken here.
pub(crate) fn messages() -> Vec<Message> {
    let alone = MESSAGES.lines().filter_map(|line| {
        let [api, version, direction, _, header, body] = words(line)?;
        let bytes = [hex(header), hex(body)].concat();
        Some(Message { api: api_named(api)?, version: number(version), is_request: direction == "request", bytes })
    });
    let captured = CAPTURES.into_iter().flat_map(str::lines).filter_map(words).filter_map(
        |[api, version, _, request, response]| {
            let one =
                |is_request, bytes| Some(Message { api: api_named(api)?, version: number(version), is_request, bytes });
            Some([one(true, hex(request))?, one(false, hex(response))?])
        },
    );
    alone.chain(captured.flatten()).collect()
}

/// Batches that Java wrote, of every codec.
pub(crate) fn batches() -> Vec<Vec<u8>> {
    BATCHES.lines().filter_map(|line| line.strip_prefix("bytes ")).map(hex).collect()
}

fn api_named(name: &str) -> Option<ApiKey> {
    Some(match name {
        "produce" => ApiKey::PRODUCE,
        "metadata" => ApiKey::METADATA,
        "apiversions" => ApiKey::API_VERSIONS,
        "createtopics" => ApiKey::CREATE_TOPICS,
        "initproducerid" => ApiKey::INIT_PRODUCER_ID,
        _ => return None,
    })
}

fn words<const N: usize>(line: &str) -> Option<[&str; N]> {
    line.split(' ').collect::<Vec<_>>().try_into().ok()
}

fn number(text: &str) -> ApiVersion {
    ApiVersion(text.parse().unwrap_or(0))
}

fn hex(digits: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap_or(0);
    (0..digits.len()).step_by(2).map(byte).collect()
}
