//! Settings that follow their files.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::TlsConfigError;
use crate::identity::fingerprint;
use crate::store::Piece;

/// Reads the stores of one side, and makes of them what rustls wants.
pub(crate) trait Recipe: Send + Sync + 'static {
    type Made: Send + Sync;

    /// The bytes of all stores: trusted certificates, then the own ones.
    fn read(&self) -> Result<[Vec<Vec<Piece>>; 2], TlsConfigError>;

    fn make(&self, pieces: &[Vec<Vec<Piece>>; 2]) -> Result<Self::Made, TlsConfigError>;
}

/// What was made of the files when they were last good, made again when they change.
pub(crate) struct Live<R: Recipe> {
    recipe: R,
    state: Mutex<State<R::Made>>,
}

struct State<M> {
    made: Arc<M>,
    of: u64,
    /// What was wrong the last time, so that it is said once.
    wrong: Option<TlsConfigError>,
}

impl<R: Recipe> Live<R> {
    pub(crate) fn new(recipe: R) -> Result<Self, TlsConfigError> {
        let pieces = recipe.read()?;
        let made = Arc::new(recipe.make(&pieces)?);
        let state = State { made, of: fingerprint(pieces.iter()), wrong: None };
        Ok(Self { recipe, state: Mutex::new(state) })
    }

    pub(crate) fn recipe(&self) -> &R {
        &self.recipe
    }

    /// What holds now. Reads files. If they changed for the worse, what held before goes on holding.
    pub(crate) fn current(&self) -> Arc<R::Made> {
        // Held while files are read: many connections at once need not all parse the same new ones.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match self.renewed(state.of) {
            Ok(None) => state.wrong = None,
            Ok(Some((made, of))) => {
                tracing::info!("certificates or keys have changed, and new connections use the new ones");
                *state = State { made: Arc::new(made), of, wrong: None };
            }
            Err(error) => {
                if state.wrong.as_ref() != Some(&error) {
                    tracing::error!(%error, "certificates or keys have changed and cannot be used; those from before stay in use");
                    state.wrong = Some(error);
                }
            }
        }
        Arc::clone(&state.made)
    }

    fn renewed(&self, of: u64) -> Result<Option<(R::Made, u64)>, TlsConfigError> {
        let pieces = self.recipe.read()?;
        let now = fingerprint(pieces.iter());
        if now == of {
            return Ok(None);
        }
        Ok(Some((self.recipe.make(&pieces)?, now)))
    }
}
