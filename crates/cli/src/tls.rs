//! `milena broker`'s options for TLS.

use std::path::{Path, PathBuf};

use milena_tls::issue::{Authority, Validity};
use milena_tls::{Identity, Store, TlsServer, TlsServerConfig, Trust};

/// How the broker secures its listeners.
#[derive(clap::Args, Debug)]
pub(crate) struct Tls {
    /// Speak TLS with the certificate chain and key in this PEM file; when it changes, new connections get the new ones
    #[arg(long, value_name = "FILE.pem")]
    tls: Option<PathBuf>,
    /// Speak TLS with a certificate made for this run; what clients have to trust is written to this file
    #[arg(long, value_name = "CA.pem", conflicts_with = "tls")]
    tls_made: Option<PathBuf>,
    /// Let in only clients that show a certificate signed by one of these
    #[arg(long, value_name = "CA.pem")]
    tls_clients: Option<PathBuf>,
}

impl Tls {
    /// TLS for a broker that is reached at `host`; nothing if it was not asked for.
    ///
    /// # Errors
    ///
    /// What is wrong with a file, in words for people.
    pub(crate) fn server(&self, host: &str) -> Result<Option<TlsServer>, String> {
        let identity = match (&self.tls, &self.tls_made) {
            (Some(file), _) => Identity::store(Store::file(file)),
            (None, Some(file)) => made(file, host).map_err(|error| format!("{}: {error}", file.display()))?,
            (None, None) if self.tls_clients.is_some() => {
                return Err("--tls-clients needs --tls or --tls-made: without TLS no client shows a certificate".into());
            }
            (None, None) => return Ok(None),
        };
        let mut config = TlsServerConfig::new(identity);
        if let Some(clients) = &self.tls_clients {
            config = config.require_clients(Trust::Stores(vec![Store::file(clients)]));
        }
        TlsServer::new(config).map(Some).map_err(|error| error.to_string())
    }
}

impl Tls {
    /// What a client has to set, if there is TLS; nothing if only its user knows.
    pub(crate) fn client_settings(&self) -> Option<Option<String>> {
        let made = self.tls_made.as_ref().map(|file| format!("ssl.ca.location={}", file.display()));
        (made.is_some() || self.tls.is_some()).then_some(made)
    }
}

/// A certificate for `host` and this machine's other names, by an authority whose certificate goes into `file`.
fn made(file: &Path, host: &str) -> std::io::Result<Identity> {
    let authority = Authority::new("milena broker")?;
    let mut names = vec!["localhost", "127.0.0.1", "::1"];
    if !names.contains(&host) && !host.is_empty() {
        names.push(host);
    }
    let issued = authority.server(&names, Validity::default())?;
    std::fs::write(file, authority.certificate())?;
    Ok(issued.identity())
}
