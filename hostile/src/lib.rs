//! Bytes from somebody who means harm, and what must hold whatever they are.
//!
//! Each [`Target`] is a function over bytes that panics if something does not hold: a decoder that panics or believes a
//! length, a value that is not the same when it is written and read again. Three things call them: libFuzzer (`just fuzz`;
//! the workspace `fuzz` has a program for each), the tests of this crate, which replay `corpus` and change every seed at
//! every place, and whoever looks into a finding.
//!
//! Linking this crate makes its allocator count, and what a target may allocate is part of what it asserts.

mod batches;
mod broker;
mod budget;
mod connection;
mod frames;
mod golden;
mod input;
mod log;
mod messages;
mod sasl;
mod settings;
mod spool;
mod stores;
#[cfg(feature = "tls")]
mod tls;

use milena_wire::Codec;

pub use batches::{batches, gzip, lz4, snappy, zstd};
pub use broker::broker;
pub use connection::connection;
pub use frames::frames;
pub use log::log;
pub use messages::{requests, responses};
pub use sasl::{sasl_client, sasl_server};
pub use settings::properties;
pub use spool::spool;
pub use stores::{pem, pkcs12};
#[cfg(feature = "tls")]
pub use tls::tls;

/// Something that reads bytes of others.
#[derive(Clone, Copy)]
pub struct Target {
    /// Of the function, the program in `fuzz`, and the folder in `corpus`.
    pub name: &'static str,
    /// Panics if the bytes did harm.
    pub run: fn(&[u8]),
    /// Well-formed inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "responses", run: responses, seeds: messages::response_seeds },
    Target { name: "requests", run: requests, seeds: messages::request_seeds },
    Target { name: "batches", run: batches, seeds: batches::batch_seeds },
    Target { name: "gzip", run: gzip, seeds: || batches::stream_seeds(Codec::Gzip) },
    Target { name: "snappy", run: snappy, seeds: || batches::stream_seeds(Codec::Snappy) },
    Target { name: "lz4", run: lz4, seeds: || batches::stream_seeds(Codec::Lz4) },
    Target { name: "frames", run: frames, seeds: frames::frame_seeds },
    Target { name: "connection", run: connection, seeds: connection::connection_seeds },
    Target { name: "broker", run: broker, seeds: broker::broker_seeds },
    Target { name: "sasl_client", run: sasl_client, seeds: sasl::client_seeds },
    Target { name: "sasl_server", run: sasl_server, seeds: sasl::server_seeds },
    Target { name: "properties", run: properties, seeds: settings::property_seeds },
    Target { name: "pem", run: pem, seeds: stores::pem_seeds },
    Target { name: "pkcs12", run: pkcs12, seeds: stores::pkcs12_seeds },
    Target { name: "log", run: log, seeds: log::log_seeds },
    #[cfg(feature = "tls")]
    Target { name: "tls", run: tls, seeds: tls::tls_seeds },
    Target { name: "spool", run: spool, seeds: spool::spool_seeds },
    Target { name: "zstd", run: zstd, seeds: || batches::stream_seeds(Codec::Zstd) },
];
