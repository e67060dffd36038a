//! The sink with TLS: what it takes, and what it does not.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use milena_tls::{Store, TlsClient, TlsConfig, TlsVersion, Trust};
use milena_wire::{TlsError, TlsFault};
use tokio::net::TcpStream;

struct Sink {
    child: Child,
    lines: Vec<String>,
}

impl Sink {
    fn start(args: &[String], lines: usize) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sink"));
        let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let lines = output.lines().take(lines).map(Result::unwrap).collect();
        Self { child, lines }
    }

    async fn agreed(&self, config: TlsConfig) -> std::io::Result<String> {
        let stream = TcpStream::connect(&self.lines[0]).await.unwrap();
        Ok(TlsClient::new(config).unwrap().connect("127.0.0.1", stream).await?.agreed())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn trusting(file: &Path) -> TlsConfig {
    TlsConfig::new().trust(Trust::Stores(vec![Store::file(file)]))
}

#[tokio::test]
async fn there_is_one_cipher_and_nobody_gets_another() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trusted.pem");
    let sink = Sink::start(&[format!("--tls={}", file.display()), "bench=1".to_owned()], 2);
    let only = "TLSv1_3 TLS13_AES_128_GCM_SHA256";
    assert_eq!(sink.lines[1], only);
    assert_eq!(sink.agreed(trusting(&file)).await.unwrap(), only);
    let strong = ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"];
    assert_eq!(sink.agreed(trusting(&file).cipher_suites(strong)).await.unwrap(), only);
    for others in [trusting(&file).cipher_suites([strong[0], strong[1]]), trusting(&file).versions([TlsVersion::V1_2])]
    {
        let error = sink.agreed(others).await.unwrap_err();
        assert_eq!(TlsError::of(&error).unwrap().fault, TlsFault::NothingInCommon);
    }
}

#[test]
fn an_option_that_is_none_is_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_sink")).args(["--tsl=/tmp/x", "bench=1"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no such option: --tsl=/tmp/x"), "{output:?}");
}
