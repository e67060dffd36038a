//! What the bytes go through: a socket, and TLS where it is asked for.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use peer_common::{Work, fail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

pub(crate) trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

pub(crate) fn open(work: &Work) -> Box<dyn Stream> {
    let stream = TcpStream::connect(&work.bootstrap).unwrap_or_else(|error| fail(error));
    stream.set_nodelay(true).unwrap_or_else(|error| fail(error));
    match &work.tls {
        None => Box::new(stream),
        Some(trusted) => Box::new(StreamOwned::new(secured(work, trusted), stream)),
    }
}

fn secured(work: &Work, trusted: &str) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(trusted).unwrap_or_else(|error| fail(error)) {
        roots.add(certificate.unwrap_or_else(|error| fail(error))).unwrap_or_else(|error| fail(error));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls_graviola::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|error| fail(error))
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = work.bootstrap.rsplit_once(':').map_or(&*work.bootstrap, |(host, _)| host).to_owned();
    let name = ServerName::try_from(host).unwrap_or_else(|error| fail(error));
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap_or_else(|error| fail(error));
    // A request at once, and not piece by piece.
    connection.set_buffer_limit(None);
    connection
}
