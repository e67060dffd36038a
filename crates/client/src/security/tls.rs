//! From settings to TLS, and TLS as a layer of the network.

use std::io;

use milena_pool::{BoxFuture, Secure, Stream, Target};
use milena_sasl::Secret;
use milena_tls::{Format, Identity, Password, Store, TlsClient, TlsConfig, TlsVersion, Trust};

use super::settings::{Source, StoreType, TlsSettings};

impl TlsSettings {
    /// The same in milena's words. Nothing is read yet.
    pub fn config(&self) -> TlsConfig {
        let mut config = TlsConfig::new();
        match &self.trust {
            None | Some(Source::System) => {}
            Some(source) => {
                let store = typed(store(source), self.trust_type, self.trust_password.as_ref(), None);
                config = config.trust(Trust::Stores(vec![store]));
            }
        }
        if let Some(source) = &self.key_store {
            let (password, key_password) = (self.key_store_password.as_ref(), self.key_password.as_ref());
            config =
                config.identity(Identity::store(typed(store(source), self.key_store_type, password, key_password)));
        } else if let (Some(chain), Some(key)) = (&self.chain, &self.key) {
            let key = typed(store(key), None, None, self.key_password.as_ref());
            config = config.identity(Identity::apart(store(chain), key));
        }
        if self.check_host_name == Some(false) {
            config = config.dangerously_accept_any_host_name();
        }
        if let Some((v1_2, v1_3)) = self.versions {
            let chosen = [(v1_2, TlsVersion::V1_2), (v1_3, TlsVersion::V1_3)];
            config = config.versions(chosen.into_iter().filter(|(chosen, _)| *chosen).map(|(_, version)| version));
        }
        match &self.cipher_suites {
            Some(suites) => config.cipher_suites(suites.clone()),
            None => config,
        }
    }
}

fn store(source: &Source) -> Store {
    match source {
        Source::File(path) => Store::file(path.as_str()),
        Source::Text(text) => Store::bytes(text.expose()),
        Source::System => Store::bytes(Vec::new()),
    }
}

/// PEM has a password for the key alone, PKCS#12 one for everything.
fn typed(store: Store, of: Option<StoreType>, password: Option<&Secret>, key_password: Option<&Secret>) -> Store {
    let (store, password) = match of {
        Some(StoreType::Pem) => (store.only(Format::Pem), key_password.or(password)),
        Some(StoreType::Pkcs12) => (store.only(Format::Pkcs12), password.or(key_password)),
        Some(StoreType::Jks) | None => (store, password.or(key_password)),
    };
    match password.and_then(Secret::expose_str) {
        Some(password) => store.password(Password::from(password)),
        None => store,
    }
}

/// TLS between the sockets and what is said on them.
#[derive(Clone, Debug)]
pub struct TlsLayer {
    client: TlsClient,
}

impl TlsLayer {
    /// Encrypts with `client`.
    #[must_use]
    pub fn new(client: TlsClient) -> Self {
        Self { client }
    }
}

impl Secure for TlsLayer {
    fn secure(&self, target: &Target, stream: Box<dyn Stream>) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let (client, host) = (self.client.clone(), target.host.clone());
        Box::pin(async move {
            let stream = client.connect(&host, stream).await?;
            tracing::debug!(agreed = stream.agreed(), "the connection is secure");
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}
