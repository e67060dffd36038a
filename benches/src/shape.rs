use milena_wire::{HeaderRef, RecordParts};

/// What the records of a case look like.
#[derive(Clone, Debug)]
pub struct Shape {
    key: Option<Vec<u8>>,
    value: Vec<u8>,
    headers: usize,
}

/// Headers as tracing puts them on every record.
const HEADERS: [HeaderRef<'static>; 3] = [
    HeaderRef { key: "traceparent", value: Some(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") },
    HeaderRef { key: "content-type", value: Some(b"application/json") },
    HeaderRef { key: "retries", value: None },
];

impl Shape {
    /// A value of `bytes`, and nothing else.
    #[must_use]
    pub fn value(bytes: usize) -> Self {
        Self { key: None, value: text(bytes), headers: 0 }
    }

    /// With a key of eight bytes.
    #[must_use]
    pub fn keyed(self) -> Self {
        Self { key: Some(b"customer".to_vec()), ..self }
    }

    /// With three headers.
    #[must_use]
    pub fn with_headers(self) -> Self {
        Self { headers: HEADERS.len(), ..self }
    }

    /// The key's bytes.
    #[must_use]
    pub fn key_bytes(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    /// The value's bytes.
    #[must_use]
    pub fn value_bytes(&self) -> &[u8] {
        &self.value
    }

    /// The fields as the accumulator takes them.
    #[must_use]
    pub fn parts(&self) -> RecordParts<'_> {
        RecordParts { key: self.key.as_deref(), value: Some(&self.value), headers: &HEADERS[..self.headers] }
    }
}

/// Words, numbers and punctuation as log lines have them: compressible, but not a repetition.
#[must_use]
pub fn text(bytes: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "level=info",
        "level=warn",
        "GET",
        "POST",
        "/v1/orders",
        "/v1/customers",
        "status=200",
        "status=503",
        "took",
        "ms",
        "user",
        "session",
        "cache=hit",
        "cache=miss",
        "region=eu",
        "bytes",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut out = Vec::with_capacity(bytes + 32);
    while out.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = WORDS[usize::try_from(state >> 60).unwrap_or(0)];
        out.extend_from_slice(word.as_bytes());
        out.extend_from_slice(format!(" {} ", (state >> 40) % 10_000).as_bytes());
    }
    out.truncate(bytes);
    out
}
