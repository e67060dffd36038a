//! What a mechanism is, and the simplest one.

use std::fmt;

use milena_pool::BoxFuture;
use milena_sasl::{SaslError, Step, plain_token};

use super::Password;

/// The broker that a client authenticates to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SaslPeer {
    /// Its host, as configured or advertised: what a Kerberos principal is made of.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// A way to authenticate. Shared by all connections.
///
/// Neither an error nor `Debug` may show any part of the credentials.
pub trait SaslMechanism: fmt::Debug + Send + Sync + 'static {
    /// Its registered name, such as `GSSAPI`.
    fn name(&self) -> &str;

    /// Begins to authenticate to `peer`. The future runs on a task of its own, so that it may take its time to fetch something; it
    /// must not block. A panic counts as an error.
    fn start(&self, peer: SaslPeer) -> BoxFuture<Result<Box<dyn SaslExchange>, SaslError>>;
}

/// One conversation of a mechanism with a broker. Dropped when it is over, or when its connection is.
pub trait SaslExchange: Send + 'static {
    /// Takes the broker's answer, at first an empty one, and says what comes next. May block and compute: it is called on a thread for
    /// such things.
    ///
    /// # Errors
    ///
    /// Why it gives up; its connection is closed.
    fn step(&mut self, challenge: &[u8]) -> Result<Step, SaslError>;

    /// The broker refused what this said last, by an error instead of an answer: whatever it came from may have to be had anew for the next
    /// connection. Called in place of [`step`](Self::step), and as the last. Does nothing by default.
    fn refused(&mut self, error: &SaslError) {
        let _ = error;
    }
}

/// PLAIN: user and password as they are. To be used with TLS alone.
#[derive(Clone, Debug)]
pub struct Plain {
    user: String,
    password: Password,
}

impl Plain {
    /// By this user and password.
    #[must_use]
    pub fn new(user: &str, password: impl Into<Password>) -> Self {
        Self { user: user.to_owned(), password: password.into() }
    }
}

impl SaslMechanism for Plain {
    fn name(&self) -> &'static str {
        "PLAIN"
    }

    fn start(&self, _: SaslPeer) -> BoxFuture<Result<Box<dyn SaslExchange>, SaslError>> {
        let exchange = PlainExchange { plain: self.clone(), told: false };
        Box::pin(async move { Ok(Box::new(exchange) as Box<dyn SaslExchange>) })
    }
}

struct PlainExchange {
    plain: Plain,
    told: bool,
}

impl SaslExchange for PlainExchange {
    fn step(&mut self, _: &[u8]) -> Result<Step, SaslError> {
        if std::mem::replace(&mut self.told, true) {
            return Ok(Step::Done);
        }
        Ok(Step::Send(plain_token(&self.plain.user, &self.plain.password.read()?)?.into_bytes()))
    }
}
