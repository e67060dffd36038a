//! How a producer's connections are made secure.

use std::fmt;
use std::sync::Arc;

use milena_client::sasl::SaslMechanism;
#[cfg(feature = "tls")]
use milena_client::security::TlsLayer;
use milena_pool::{Connector, Secure, Secured};
#[cfg(feature = "tls")]
use milena_tls::{TlsClient, TlsConfig};

use crate::ProducerBuilder;
use crate::config::ConfigProblem;

/// What was chosen. By default nothing: plain text.
#[derive(Default)]
pub(crate) struct Security {
    #[cfg(feature = "tls")]
    tls: Option<TlsConfig>,
    layer: Option<Arc<dyn Secure>>,
}

impl ProducerBuilder {
    /// Encrypts all connections with TLS (`security.protocol=SSL`). The stores it names are read by [`build`](Self::build), and
    /// again for each connection, so that new certificates need no restart. Default: plain text.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.security.tls = Some(tls);
        self
    }

    /// Authenticates all connections by SASL (`security.protocol=SASL_SSL` with TLS, `SASL_PLAINTEXT` without). Default: none.
    pub fn sasl(mut self, mechanism: impl SaslMechanism) -> Self {
        self.config.sasl = Some(Arc::new(mechanism));
        self
    }

    /// Encrypts all connections with something of one's own. Default: plain text.
    pub fn secure(mut self, secure: Arc<dyn Secure>) -> Self {
        self.security.layer = Some(secure);
        self
    }
}

impl Security {
    /// Reads what there is to read.
    #[cfg(feature = "tls")]
    pub(crate) fn prepare(&mut self) -> Result<(), ConfigProblem> {
        if let Some(tls) = self.tls.take() {
            let wrong = |problem| ConfigProblem { setting: "ssl".into(), problem };
            if self.layer.is_some() {
                return Err(wrong("is set up twice: by TLS settings, and by an encryption of your own".to_owned()));
            }
            let client = TlsClient::new(tls).map_err(|error| wrong(error.to_string()))?;
            self.layer = Some(Arc::new(TlsLayer::new(client)));
        }
        Ok(())
    }

    /// There is nothing to read.
    #[cfg(not(feature = "tls"))]
    pub(crate) fn prepare(&mut self) -> Result<(), ConfigProblem> {
        Ok(())
    }

    /// `connector` with what was chosen on top of it.
    pub(crate) fn over(self, connector: Arc<dyn Connector>) -> Arc<dyn Connector> {
        match self.layer {
            Some(layer) => Arc::new(Secured::new(connector, layer)),
            None => connector,
        }
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security").field("layer", &self.layer).finish_non_exhaustive()
    }
}
