//! OAUTHBEARER, and where its tokens come from.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fmt, io};

use milena_pool::BoxFuture;
use milena_sasl::{BearerClient, BearerToken, Refresh, SaslError, Step, TokenKeeper, Wanted};
use tokio::task::JoinHandle;

use super::password::secret_of;
use super::{SaslExchange, SaslMechanism, SaslPeer};

/// How long one call of a provider may take, unless it says otherwise: the next has to wait for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How long is slept at most: wall clocks jump, and machines are suspended.
const NAP: Duration = Duration::from_secs(30);

/// Gets tokens from wherever they are issued. A closure that returns a future is one, too.
pub trait TokenProvider: Send + Sync + 'static {
    /// A token that can be used now. Asked again before it expires, and when a broker refused it; one call is under way at a time.
    ///
    /// # Errors
    ///
    /// [`IssuerRefused`](milena_sasl::SaslErrorKind::IssuerRefused) if who issues tokens gave a definite no, which counts as a refusal of
    /// identity; else [`SaslError::no_credentials`], and records wait.
    fn token(&self) -> BoxFuture<Result<BearerToken, SaslError>>;

    /// How long one call may take; then its future is dropped, and counts as a failure. Default: 60 s.
    fn patience(&self) -> Duration {
        PATIENCE
    }
}

impl<F, T> TokenProvider for F
where
    F: Fn() -> T + Send + Sync + 'static,
    T: Future<Output = Result<BearerToken, SaslError>> + Send + 'static,
{
    fn token(&self) -> BoxFuture<Result<BearerToken, SaslError>> {
        Box::pin(self())
    }
}

/// Takes the token from a file that something else keeps fresh.
#[derive(Clone, Debug)]
pub struct TokenFile(pub PathBuf);

impl TokenProvider for TokenFile {
    fn token(&self) -> BoxFuture<Result<BearerToken, SaslError>> {
        let path = self.0.clone();
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || BearerToken::new(secret_of(&path)?));
            read.await.unwrap_or_else(|error| Err(SaslError::no_credentials(io::Error::other(error).to_string())))
        })
    }
}

/// OAUTHBEARER: a token that somebody else issued. To be used with TLS alone.
///
/// A token is replaced before it expires, also while no connection needs one, so that a provider that is down for a while is not missed.
#[derive(Clone)]
pub struct OAuthBearer(Arc<Owner>);

/// Ends the replacing when the last clone goes.
struct Owner {
    tokens: Arc<Tokens>,
    replacing: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(task) = locked(&self.replacing).take() {
            task.abort();
        }
    }
}

struct Tokens {
    provider: Box<dyn TokenProvider>,
    keeper: Mutex<TokenKeeper>,
    /// Held while a token is being fetched.
    fetching: tokio::sync::Mutex<()>,
    /// Told when there is another token.
    fetched: tokio::sync::Notify,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

impl OAuthBearer {
    /// By tokens of `provider`.
    #[must_use]
    pub fn new(provider: impl TokenProvider) -> Self {
        Self::with_refresh(provider, Refresh::default())
    }

    /// By tokens of `provider`, replaced when `refresh` says.
    #[must_use]
    pub fn with_refresh(provider: impl TokenProvider, refresh: Refresh) -> Self {
        let mut seed = [0; 8];
        // It spreads the clients of a fleet, and protects nothing.
        let _at_worst_zero = getrandom::fill(&mut seed);
        let tokens = Tokens {
            provider: Box::new(provider),
            keeper: Mutex::new(TokenKeeper::new(refresh, u64::from_le_bytes(seed))),
            fetching: tokio::sync::Mutex::default(),
            fetched: tokio::sync::Notify::new(),
        };
        Self(Arc::new(Owner { tokens: Arc::new(tokens), replacing: Mutex::default() }))
    }

    /// Starts the task that replaces tokens, or another one if its runtime has ended.
    fn keep_fresh(&self) {
        let mut replacing = locked(&self.0.replacing);
        if replacing.as_ref().is_none_or(JoinHandle::is_finished) {
            *replacing = Some(tokio::spawn(replace(Arc::downgrade(&self.0.tokens))));
        }
    }
}

async fn replace(tokens: Weak<Tokens>) {
    while let Some(tokens) = tokens.upgrade() {
        let now = now();
        let wanted = locked(&tokens.keeper).wanted(now, false);
        match wanted {
            Wanted::Fetch => drop(tokens.fetch(false).await),
            Wanted::Later(Some(at)) => {
                let wait = Duration::from_millis(u64::try_from(at - now).unwrap_or(0)).min(NAP);
                tokio::time::sleep(wait).await;
            }
            Wanted::Later(None) => tokens.fetched.notified().await,
        }
    }
}

impl Tokens {
    /// The token in force.
    async fn get(&self) -> Result<BearerToken, SaslError> {
        loop {
            {
                let mut keeper = locked(&self.keeper);
                if let Some(token) = keeper.token(now()).cloned() {
                    keeper.used();
                    return Ok(token);
                }
            }
            self.fetch(true).await?;
        }
    }

    /// Fetches a token if that is still wanted once it is this caller's turn.
    async fn fetch(&self, needed: bool) -> Result<(), SaslError> {
        let _turn = self.fetching.lock().await;
        {
            let keeper = locked(&self.keeper);
            if needed && keeper.token(now()).is_some() {
                return Ok(());
            }
            match (keeper.failure(now()), keeper.wanted(now(), needed)) {
                (Some(error), _) => return Err(error.clone()),
                (None, Wanted::Fetch) => {}
                (None, Wanted::Later(_)) => return Ok(()),
            }
        }
        let patience = self.provider.patience();
        let late =
            format!("whoever is asked for tokens gave neither a token nor an error for {} s", patience.as_secs());
        let result = tokio::time::timeout(patience, self.provider.token()).await;
        let result = result.unwrap_or_else(|_| Err(SaslError::no_credentials(late)));
        if let Err(error) = &result {
            tracing::warn!(%error, "no token");
        }
        locked(&self.keeper).fetched(now(), result);
        self.fetched.notify_one();
        match locked(&self.keeper).failure(now()) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

impl SaslMechanism for OAuthBearer {
    fn name(&self) -> &'static str {
        "OAUTHBEARER"
    }

    fn start(&self, _: SaslPeer) -> BoxFuture<Result<Box<dyn SaslExchange>, SaslError>> {
        let this = self.clone();
        Box::pin(async move {
            this.keep_fresh();
            let token = this.0.tokens.get().await?;
            let tokens = Arc::clone(&this.0.tokens);
            Ok(Box::new(Exchange { tokens, client: BearerClient::new(token.clone()), token }) as Box<dyn SaslExchange>)
        })
    }
}

impl fmt::Debug for OAuthBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthBearer").finish_non_exhaustive()
    }
}

struct Exchange {
    tokens: Arc<Tokens>,
    client: BearerClient,
    token: BearerToken,
}

impl SaslExchange for Exchange {
    fn step(&mut self, challenge: &[u8]) -> Result<Step, SaslError> {
        let step = self.client.step(challenge)?;
        match &step {
            Step::GiveUp { error, .. } => self.refused(error),
            Step::Done => locked(&self.tokens.keeper).accepted(),
            _ => {}
        }
        Ok(step)
    }

    fn refused(&mut self, error: &SaslError) {
        locked(&self.tokens.keeper).refused(now(), &self.token, error.clone());
    }
}
