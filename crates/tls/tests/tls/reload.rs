//! Files that change while connections come and go.

use std::path::Path;

use milena_tls::issue::{Authority, Issued, Validity};
use milena_tls::{Identity, Store, TlsConfig, TlsServerConfig, Trust};
use milena_wire::TlsFault;

use crate::{client, exchange, fault, meet, server};

fn issued(authority: &Authority) -> Issued {
    authority.server(&["localhost"], Validity::default()).unwrap()
}

fn write(folder: &Path, issued: &Issued) {
    std::fs::write(folder.join("chain.pem"), &issued.certificate).unwrap();
    std::fs::write(folder.join("key.pem"), &issued.key).unwrap();
}

#[tokio::test]
async fn new_connections_use_new_files_and_old_ones_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new("old").unwrap(), Authority::new("new").unwrap());
    write(folder.path(), &issued(&old));
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, old.certificate()).unwrap();

    let file = |name: &str| Store::file(folder.path().join(name));
    let server = server(TlsServerConfig::new(Identity::apart(file("chain.pem"), file("key.pem"))));
    let client = client(TlsConfig::new().trust(Trust::Stores(vec![Store::file(&ca)])));
    let before = meet(&client, "localhost", &server).await;

    // The broker's certificate changes first, as it does in life when nobody coordinates.
    write(folder.path(), &issued(&new));
    assert_eq!(fault(exchange(meet(&client, "localhost", &server).await).await), TlsFault::UnknownIssuer);
    std::fs::write(&ca, new.certificate()).unwrap();
    exchange(meet(&client, "localhost", &server).await).await.unwrap();
    exchange(before).await.unwrap();
}

#[tokio::test]
async fn files_that_are_broken_change_nothing_until_they_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("old").unwrap();
    let (first, second) = (issued(&authority), issued(&authority));
    write(folder.path(), &first);
    let file = |name: &str| Store::file(folder.path().join(name));
    let server = server(TlsServerConfig::new(Identity::apart(file("chain.pem"), file("key.pem"))));
    let client = client(TlsConfig::new().trust(authority.trust()));
    let shown = async || {
        let ends = meet(&client, "localhost", &server).await;
        let shown = ends.0.as_ref().unwrap().peer_certificates().remove(0);
        exchange(ends).await.unwrap();
        shown
    };

    let before = shown().await;
    // Half of a pair, then nonsense, then nothing.
    std::fs::write(folder.path().join("chain.pem"), &second.certificate).unwrap();
    assert_eq!(shown().await, before);
    std::fs::write(folder.path().join("key.pem"), "not a key").unwrap();
    assert_eq!(shown().await, before);
    std::fs::remove_file(folder.path().join("key.pem")).unwrap();
    assert_eq!(shown().await, before);
    write(folder.path(), &second);
    assert_ne!(shown().await, before);
    write(folder.path(), &first);
    assert_eq!(shown().await, before);
}
