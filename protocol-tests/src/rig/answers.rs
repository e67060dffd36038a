//! Answers that say something else than the broker said.

use milena_wire::message::api_versions::ApiVersionsResponse;
use milena_wire::message::metadata::MetadataResponse;
use milena_wire::message::produce::ProduceResponse;
use milena_wire::{ApiKey, Reader, ResponseHeader};

use super::proxy::{Act, Passing, Way};

macro_rules! rewritten {
    ($(#[$doc:meta])* $name:ident, $api:ident, $answer:ident) => {
        $(#[$doc])*
        ///
        /// # Panics
        /// If the broker's answer cannot be read.
        pub fn $name(frame: &Passing<'_>, change: impl FnOnce(&mut $answer)) -> Act {
            if frame.way != Way::ToClient || frame.api != ApiKey::$api {
                return Act::Pass;
            }
            let (header, body) = parts(frame);
            let mut answer = $answer::decode(frame.version, body).expect("an answer that can be read");
            change(&mut answer);
            Act::Replace(answer.encode_frame(frame.version, header.correlation).to_vec())
        }
    };
}

rewritten! {
    /// An answer about versions as `change` leaves it; all else passes.
    rewritten_versions, API_VERSIONS, ApiVersionsResponse
}

rewritten! {
    /// A Metadata answer as `change` leaves it; all else passes.
    rewritten_metadata, METADATA, MetadataResponse
}

rewritten! {
    /// A Produce answer as `change` leaves it; all else passes.
    rewritten_produce, PRODUCE, ProduceResponse
}

fn parts<'a>(frame: &Passing<'a>) -> (ResponseHeader, &'a [u8]) {
    let bytes = &frame.bytes[4..];
    let mut reader = Reader::new(bytes);
    let header = ResponseHeader::decode(frame.api, frame.version, &mut reader).expect("an answer has a header");
    (header, &bytes[reader.position()..])
}
