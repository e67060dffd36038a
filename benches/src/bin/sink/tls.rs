//! TLS of one kind: whoever connects pays for the same cipher, or does not connect.

use std::path::Path;

use milena_tls::issue::{Authority, Validity};
use milena_tls::{Store, TlsClient, TlsConfig, TlsServer, TlsServerConfig, TlsVersion, Trust};
use tokio::net::TcpStream;

/// All clients have it, and none has a reason to want another on a processor with instructions for AES.
const SUITE: &str = "TLS_AES_128_GCM_SHA256";
/// Where the nodes listen.
const HOST: &str = "127.0.0.1";

/// A certificate made for this run; what clients have to trust is written to `file`.
pub(crate) fn server(file: &Path) -> Result<TlsServer, String> {
    let at = |error: std::io::Error| format!("{}: {error}", file.display());
    let authority = Authority::new("milena sink").map_err(at)?;
    let issued = authority.server(&[HOST, "localhost"], Validity::default()).map_err(at)?;
    std::fs::write(file, authority.certificate()).map_err(at)?;
    let config = TlsServerConfig::new(issued.identity()).versions([TlsVersion::V1_3]).cipher_suites([SUITE]);
    TlsServer::new(config).map_err(|error| error.to_string())
}

/// The protocol and cipher that a client agrees on which has no wishes, found out by being one.
pub(crate) fn agreed(file: &Path, bootstrap: &str) -> Result<String, String> {
    let trust = Trust::Stores(vec![Store::file(file)]);
    let client = TlsClient::new(TlsConfig::new().trust(trust)).map_err(|error| error.to_string())?;
    let node = bootstrap.split(',').next().unwrap_or_default().to_owned();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(|error| error.to_string())?;
    let connection = runtime.block_on(async { client.connect(HOST, TcpStream::connect(node).await?).await });
    connection.map(|connection| connection.agreed()).map_err(|error| error.to_string())
}
