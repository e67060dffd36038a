//! Handshakes in memory, stores as other programs write them, and files that change.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod handshake;
mod reload;
mod stores;

use std::io;

use milena_tls::{TlsClient, TlsConfig, TlsServer, TlsServerConfig, TlsStream};
use milena_wire::{TlsError, TlsFault};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

type End = io::Result<TlsStream<DuplexStream>>;

/// Both ends of a connection on which a client looked for `host`.
async fn meet(client: &TlsClient, host: &str, server: &TlsServer) -> (End, End) {
    let (ours, theirs) = tokio::io::duplex(16 * 1024);
    tokio::join!(client.connect(host, ours), server.accept(theirs))
}

/// Says hello and waits for it to come back; with TLS 1.3 that is when a client hears that its certificate is not accepted.
async fn exchange((client, server): (End, End)) -> io::Result<()> {
    let mut client = client?;
    tokio::spawn(async move {
        let Ok(mut server) = server else { return };
        let mut heard = [0; 5];
        if server.read_exact(&mut heard).await.is_ok() {
            let _gone = server.write_all(&heard).await;
            let _gone = server.flush().await;
        }
    });
    // A server that has closed breaks the pipe, but what it said before can be read.
    let _broken = client.write_all(b"hello").await;
    let _broken = client.flush().await;
    let mut heard = [0; 5];
    client.read_exact(&mut heard).await?;
    assert_eq!(&heard, b"hello");
    Ok(())
}

fn fault(result: io::Result<()>) -> TlsFault {
    let error = result.unwrap_err();
    TlsError::of(&error).unwrap_or_else(|| panic!("{error:?}")).fault
}

fn client(config: TlsConfig) -> TlsClient {
    TlsClient::new(config).unwrap()
}

fn server(config: TlsServerConfig) -> TlsServer {
    TlsServer::new(config).unwrap()
}
