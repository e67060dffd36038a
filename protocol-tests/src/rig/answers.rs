//! Answers that say something else than the broker said.

use milena_wire::message::metadata::MetadataResponse;
use milena_wire::message::produce::ProduceResponse;
use milena_wire::{ApiKey, Reader, ResponseHeader};

use super::proxy::{Act, Passing, Way};

/// A Metadata answer as `change` leaves it; all else passes.
///
/// # Panics
/// If the broker's answer cannot be read.
pub fn rewritten_metadata(frame: &Passing<'_>, change: impl FnOnce(&mut MetadataResponse)) -> Act {
    if frame.way != Way::ToClient || frame.api != ApiKey::METADATA {
        return Act::Pass;
    }
    let (header, body) = parts(frame);
    let mut answer = MetadataResponse::decode(frame.version, body).expect("an answer that can be read");
    change(&mut answer);
    Act::Replace(answer.encode_frame(frame.version, header.correlation).to_vec())
}

/// A Produce answer as `change` leaves it; all else passes.
///
/// # Panics
/// If the broker's answer cannot be read.
pub fn rewritten_produce(frame: &Passing<'_>, change: impl FnOnce(&mut ProduceResponse)) -> Act {
    if frame.way != Way::ToClient || frame.api != ApiKey::PRODUCE {
        return Act::Pass;
    }
    let (header, body) = parts(frame);
    let mut answer = ProduceResponse::decode(frame.version, body).expect("an answer that can be read");
    change(&mut answer);
    Act::Replace(answer.encode_frame(frame.version, header.correlation).to_vec())
}

fn parts<'a>(frame: &Passing<'a>) -> (ResponseHeader, &'a [u8]) {
    let bytes = &frame.bytes[4..];
    let mut reader = Reader::new(bytes);
    let header = ResponseHeader::decode(frame.api, frame.version, &mut reader).expect("an answer has a header");
    (header, &bytes[reader.position()..])
}
