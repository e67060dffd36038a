//! Works out what mechanisms have to say, beside the connections.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use milena_cluster::{ConnId, Input, SaslOrder};
use milena_sasl::{SaslError, SaslErrorKind, Step};
use tokio::sync::mpsc;

use super::{SaslExchange, SaslMechanism, SaslPeer};

/// Runs one exchange per connection, each on a task of its own.
#[derive(Debug)]
pub(crate) struct Authenticator {
    mechanism: Option<Arc<dyn SaslMechanism>>,
    /// Where the broker's answers go; an exchange ends when its end of this is dropped.
    exchanges: HashMap<ConnId, mpsc::UnboundedSender<Heard>>,
    told: mpsc::UnboundedSender<Input>,
    steps: mpsc::UnboundedReceiver<Input>,
}

/// What an exchange hears of the broker.
#[derive(Debug)]
enum Heard {
    Answer(Bytes),
    Refusal(SaslError),
}

impl Authenticator {
    pub(crate) fn new(mechanism: Option<Arc<dyn SaslMechanism>>) -> Self {
        let (told, steps) = mpsc::unbounded_channel();
        Self { mechanism, exchanges: HashMap::new(), told, steps }
    }

    /// Does what is ordered; ends in one [`Input::Authenticate`] unless the connection ends first.
    pub(crate) fn order(&mut self, conn: ConnId, order: SaslOrder) {
        match (order, &self.mechanism) {
            (SaslOrder::Begin { host, port }, Some(mechanism)) => {
                let (challenges, answers) = mpsc::unbounded_channel();
                self.exchanges.insert(conn, challenges);
                let peer = SaslPeer { host, port };
                tokio::spawn(converse(conn, Arc::clone(mechanism), peer, answers, self.told.clone()));
            }
            (SaslOrder::Answer { challenge }, Some(_)) => self.tell(conn, Heard::Answer(challenge)),
            (SaslOrder::Refused { error }, _) => self.tell(conn, Heard::Refusal(error)),
            _ => {
                let error = SaslError::no_credentials("no mechanism is set up");
                drop(self.told.send(Input::Authenticate { conn, step: Err(error) }));
            }
        }
    }

    fn tell(&self, conn: ConnId, heard: Heard) {
        if let Some(exchange) = self.exchanges.get(&conn) {
            // An exchange that is over has told its end.
            drop(exchange.send(heard));
        }
    }

    /// The connection is over.
    pub(crate) fn forget(&mut self, conn: ConnId) {
        self.exchanges.remove(&conn);
    }

    pub(crate) fn try_next(&mut self) -> Option<Input> {
        self.steps.try_recv().ok()
    }

    /// Cancel-safe.
    pub(crate) async fn next(&mut self) -> Input {
        match self.steps.recv().await {
            Some(input) => input,
            // The sender is a field of ours.
            None => std::future::pending().await,
        }
    }
}

async fn converse(
    conn: ConnId,
    mechanism: Arc<dyn SaslMechanism>,
    peer: SaslPeer,
    mut answers: mpsc::UnboundedReceiver<Heard>,
    told: mpsc::UnboundedSender<Input>,
) {
    // On a task of its own, so that a panic is an error like any other.
    let started = tokio::spawn(async move { mechanism.start(peer).await });
    let mut exchange = match started.await {
        Ok(Ok(exchange)) => exchange,
        Ok(Err(error)) => return drop(told.send(Input::Authenticate { conn, step: Err(error) })),
        Err(_) => return drop(told.send(Input::Authenticate { conn, step: Err(panicked()) })),
    };
    let mut challenge = Bytes::new();
    loop {
        let Some((back, step)) = off_the_runtime(exchange, challenge).await else {
            return drop(told.send(Input::Authenticate { conn, step: Err(panicked()) }));
        };
        exchange = back;
        let goes_on = matches!(step, Ok(Step::Send(_)));
        if told.send(Input::Authenticate { conn, step }).is_err() || !goes_on {
            return;
        }
        match answers.recv().await {
            Some(Heard::Answer(answer)) => challenge = answer,
            Some(Heard::Refusal(error)) => {
                let hears = tokio::task::spawn_blocking(move || exchange.refused(&error));
                if hears.await.is_err() {
                    tracing::error!("a SASL mechanism panicked as it was told of a refusal; it may say the same again");
                }
                return;
            }
            None => return,
        }
    }
}

type Stepped = (Box<dyn SaslExchange>, Result<Step, SaslError>);

/// One step, on a thread that may block; `None` if it panicked.
async fn off_the_runtime(mut exchange: Box<dyn SaslExchange>, challenge: Bytes) -> Option<Stepped> {
    let step = tokio::task::spawn_blocking(move || {
        let step = exchange.step(&challenge);
        (exchange, step)
    });
    step.await.ok()
}

/// What it said on its way may hold anything, credentials included.
fn panicked() -> SaslError {
    SaslError::new(SaslErrorKind::Mechanism, "it panicked")
}
