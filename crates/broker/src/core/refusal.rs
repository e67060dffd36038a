//! Why a batch or a request was refused.

use milena_wire::ErrorCode;

/// A code, a text, and perhaps the records that are to blame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
    /// Index in the batch, and what is wrong with that record (KIP-467).
    pub(crate) records: Vec<(i32, String)>,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), records: Vec::new() }
    }

    pub(crate) fn with_records(mut self, records: Vec<(i32, String)>) -> Self {
        self.records = records;
        self
    }
}
