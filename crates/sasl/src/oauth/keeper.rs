//! When to get the next token.

use std::time::Duration;

use super::token::BearerToken;
use crate::error::SaslError;

/// When a token is replaced, in the words of Kafka's `sasl.login.refresh.*` and `sasl.login.retry.*`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Refresh {
    /// Which part of its life a token is used for. Default: 0.8.
    pub window_factor: f64,
    /// Up to which part of its life is added to that, so that many clients do not come at once. Default: 0.05.
    pub window_jitter: f64,
    /// The shortest time between two tokens, unless a token lives for too short a time. Default: 60 s.
    pub min_period: Duration,
    /// How long before its end a token is replaced at the latest, unless it lives for too short a time. Default: 300 s.
    pub buffer: Duration,
    /// First wait after a failure. Default: 100 ms.
    pub retry_backoff: Duration,
    /// What `retry_backoff` grows to, doubling with each failure. Default: 10 s.
    pub retry_backoff_max: Duration,
}

impl Default for Refresh {
    fn default() -> Self {
        Self {
            window_factor: 0.8,
            window_jitter: 0.05,
            min_period: Duration::from_secs(60),
            buffer: Duration::from_secs(300),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(10),
        }
    }
}

/// What a keeper wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// A token, now.
    Fetch,
    /// To be asked again at this time, in milliseconds since 1970; with `None`, once somebody needs a token.
    Later(Option<i64>),
}

/// Holds the token in force, and decides when to get the next: before it expires, whether or not anybody needs one.
///
/// One fetch is under way at a time: after [`Wanted::Fetch`], tell what came of it before asking again. Times are in
/// milliseconds since 1970, since that is what tokens have; they may jump.
#[derive(Debug)]
pub struct TokenKeeper {
    refresh: Refresh,
    token: Option<BearerToken>,
    /// When the token in force is to be replaced.
    refresh_at: i64,
    failures: u32,
    /// Tokens in a row that brokers refused, however willing whoever gives them is.
    refusals: u32,
    retry_at: i64,
    /// Why there is no token, or no newer one.
    error: Option<SaslError>,
    random: u64,
}

impl TokenKeeper {
    /// Without a token yet. `seed` should differ between clients.
    #[must_use]
    pub fn new(refresh: Refresh, seed: u64) -> Self {
        Self {
            refresh,
            token: None,
            refresh_at: 0,
            failures: 0,
            refusals: 0,
            retry_at: i64::MIN,
            error: None,
            random: seed,
        }
    }

    /// The token in force, unless it has expired.
    #[must_use]
    pub fn token(&self, now: i64) -> Option<&BearerToken> {
        self.token.as_ref().filter(|token| token.expires_ms().is_none_or(|at| at > now))
    }

    /// What to do now. `needed`: somebody waits for a token.
    #[must_use]
    pub fn wanted(&self, now: i64, needed: bool) -> Wanted {
        let due = match &self.token {
            _ if needed && self.token(now).is_none() => i64::MIN,
            Some(token) if token.expires_ms().is_some() => self.refresh_at,
            _ => return Wanted::Later(None),
        };
        let at = due.max(self.retry_at(now));
        if at <= now { Wanted::Fetch } else { Wanted::Later(Some(at)) }
    }

    /// Why whoever needs a token now need not wait for it: the last fetch failed, and the next one is not due yet.
    #[must_use]
    pub fn failure(&self, now: i64) -> Option<&SaslError> {
        self.error.as_ref().filter(|_| self.retry_at(now) > now && self.token(now).is_none())
    }

    /// Not before is anybody asked again. A clock that was set back since the last failure would have put that off for as long.
    fn retry_at(&self, now: i64) -> i64 {
        let longest = now.saturating_add(millis(self.refresh.retry_backoff_max));
        if self.retry_at > longest { now } else { self.retry_at }
    }

    /// A fetch ended.
    pub fn fetched(&mut self, now: i64, result: Result<BearerToken, SaslError>) {
        let result = result.and_then(|token| match token.expires_ms() {
            Some(at) if at <= now => Err(SaslError::no_credentials("the token that the provider gave has expired")),
            _ => Ok(token),
        });
        match result {
            Ok(token) => {
                self.refresh_at = token.expires_ms().map_or(i64::MAX, |expires| self.replace_at(now, &token, expires));
                self.token = Some(token);
                self.failures = 0;
                self.retry_at = i64::MIN;
                self.error = None;
            }
            Err(error) => self.failed(now, error),
        }
    }

    /// The broker refused a token; if it is the one in force, the next one who needs one gets another.
    pub fn refused(&mut self, now: i64, token: &BearerToken, error: SaslError) {
        if self.token.as_ref().is_some_and(|held| held.value().expose() == token.value().expose()) {
            self.token = None;
            self.failures = self.refusals;
            self.refusals = self.refusals.saturating_add(1);
            self.failed(now, error);
        }
    }

    /// A broker accepted a token.
    pub fn accepted(&mut self) {
        self.refusals = 0;
    }

    /// A token that does not say when it expires is good for one use.
    pub fn used(&mut self) {
        self.token.take_if(|token| token.expires_ms().is_none());
    }

    fn failed(&mut self, now: i64, error: SaslError) {
        let backoff = self.refresh.retry_backoff.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now.saturating_add(millis(backoff.min(self.refresh.retry_backoff_max)));
        self.error = Some(error);
    }

    fn replace_at(&mut self, now: i64, token: &BearerToken, expires: i64) -> i64 {
        let Refresh { window_factor, window_jitter, min_period, buffer, .. } = self.refresh;
        // A token from the future comes from a clock that is ahead of ours.
        let start = token.issued_ms().unwrap_or(now).min(now);
        let share = (window_factor + window_jitter * self.fraction()).clamp(0.0, 1.0);
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a point in time, roughly")]
        let after = |start: i64| start.saturating_add((expires.saturating_sub(start) as f64 * share) as i64);
        let (earliest, latest) = (now.saturating_add(millis(min_period)), expires.saturating_sub(millis(buffer)));
        if earliest > latest {
            // It lives for too short a time for both; not in a hurry, all the same. What counts is the life that it has left: whoever gave it
            // may have the same one for whoever asks until shortly before its end. One that had a longer life is about to be replaced there.
            let whole = expires.saturating_sub(start);
            let is_late = whole > millis(min_period).saturating_add(millis(buffer));
            let at = if is_late { after(now).min(earliest) } else { after(now) };
            return at.max(now.saturating_add(millis(self.refresh.retry_backoff)));
        }
        after(start).clamp(earliest, latest)
    }

    /// From 0 up to 1.
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0)) / 4_294_967_296.0
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::SaslErrorKind;

    const HOUR: i64 = 3_600_000;

    fn token(expires: i64) -> BearerToken {
        BearerToken::new("abc").unwrap().expires_at(expires)
    }

    fn keeper() -> TokenKeeper {
        TokenKeeper::new(Refresh::default(), 7)
    }

    fn error() -> SaslError {
        SaslError::no_credentials("no network")
    }

    fn next(keeper: &TokenKeeper, now: i64) -> i64 {
        match keeper.wanted(now, false) {
            Wanted::Later(Some(at)) => at,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_token_is_fetched_for_whoever_needs_it_and_the_next_ones_for_nobody() {
        let mut keeper = keeper();
        assert_eq!(keeper.wanted(0, false), Wanted::Later(None));
        assert_eq!(keeper.wanted(0, true), Wanted::Fetch);
        let mut now = 0;
        for _ in 0..50 {
            keeper.fetched(now, Ok(token(now + HOUR)));
            assert!(keeper.token(now).is_some());
            assert!(matches!(keeper.wanted(now, true), Wanted::Later(_)), "there is one already");
            let at = next(&keeper, now);
            assert!((now + HOUR * 80 / 100..=now + HOUR * 85 / 100).contains(&at), "{}", at - now);
            assert_eq!(keeper.wanted(at, false), Wanted::Fetch, "though nobody asked");
            now = at;
        }
    }

    #[test]
    fn buffers_bound_the_time_of_the_refresh_where_they_fit() {
        for (life, expected) in [
            (20 * 60_000, 15 * 60_000..15 * 60_001), // 300 s before its end
            (6 * 60_000, 60_000..60_001),            // both bounds at once
            (5 * 60_000, 240_000..255_001),          // they do not fit
            (10_000, 8_000..8_501),
            (100, 100..101), // never in a hurry
        ] {
            let mut keeper = keeper();
            keeper.fetched(0, Ok(token(life)));
            let at = next(&keeper, 0);
            assert!(expected.contains(&at), "a life of {life}: {at}");
        }
    }

    #[test]
    fn an_issuer_that_gives_the_same_token_until_its_end_is_not_asked_on_and_on() {
        // It says that it is good from 0 to an hour.
        let token = BearerToken::new("eyJhbGciOiJub25lIn0.eyJpYXQiOjAsImV4cCI6MzYwMH0.").unwrap();
        assert_eq!((token.issued_ms(), token.expires_ms()), (Some(0), Some(HOUR)));
        let mut keeper = keeper();
        let mut asked = Vec::new();
        let mut now = HOUR - 359_000;
        while now < HOUR {
            keeper.fetched(now, Ok(token.clone()));
            asked.push(now);
            now = next(&keeper, now);
        }
        assert!((8..20).contains(&asked.len()), "{asked:?} in six minutes");
        assert!(asked[..6].windows(2).all(|two| two[1] - two[0] <= 60_000), "soon after there is another: {asked:?}");
    }

    #[test]
    fn whoever_needs_a_token_that_has_expired_has_another_fetched() {
        let slow = Refresh { retry_backoff: Duration::from_secs(10), ..Refresh::default() };
        let mut keeper = TokenKeeper::new(slow, 7);
        keeper.fetched(0, Ok(token(5_000)));
        assert_eq!(keeper.wanted(4_999, true), Wanted::Later(Some(10_000)), "it serves");
        assert_eq!(keeper.wanted(5_000, true), Wanted::Fetch);
        assert_eq!(keeper.wanted(5_000, false), Wanted::Later(Some(10_000)));
    }

    #[test]
    fn a_clock_that_is_set_back_after_a_failure_puts_nothing_off() {
        let mut keeper = keeper();
        keeper.fetched(2 * HOUR, Err(error()));
        assert_eq!(keeper.failure(2 * HOUR), Some(&error()));
        assert_eq!(keeper.failure(0), None);
        assert_eq!(keeper.wanted(0, true), Wanted::Fetch);
    }

    #[test]
    fn failures_are_repeated_with_growing_waits_while_the_old_token_serves() {
        let mut keeper = keeper();
        keeper.fetched(0, Ok(token(HOUR)));
        let mut now = next(&keeper, 0);
        let mut waits = Vec::new();
        for _ in 0..9 {
            assert_eq!(keeper.wanted(now, false), Wanted::Fetch);
            keeper.fetched(now, Err(error()));
            assert!(keeper.token(now).is_some() && keeper.failure(now).is_none());
            waits.push(next(&keeper, now) - now);
            now = next(&keeper, now);
        }
        assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        assert!(keeper.token(HOUR).is_none(), "until it expires");
        keeper.fetched(HOUR, Err(error()));
        assert_eq!(keeper.failure(HOUR), Some(&error()));
        assert_eq!(keeper.failure(HOUR + 10_000), None, "then the next fetch is waited for");
        keeper.fetched(HOUR + 10_000, Ok(token(2 * HOUR)));
        assert!(keeper.failure(HOUR + 10_000).is_none());
    }

    #[test]
    fn a_token_that_has_expired_when_it_comes_is_none() {
        let mut keeper = keeper();
        keeper.fetched(HOUR, Ok(token(HOUR)));
        assert!(keeper.token(HOUR).is_none());
        assert_eq!(keeper.failure(HOUR).unwrap().kind, SaslErrorKind::NoCredentials);
    }

    #[test]
    fn a_token_that_the_broker_refused_is_replaced_after_a_while_and_a_newer_one_is_not() {
        let mut keeper = keeper();
        keeper.fetched(0, Ok(token(HOUR)));
        let other = BearerToken::new("def").unwrap();
        keeper.refused(1, &other, error());
        assert!(keeper.token(1).is_some());
        keeper.refused(1, &token(HOUR), error());
        assert!(keeper.token(1).is_none());
        assert_eq!(keeper.wanted(1, true), Wanted::Later(Some(101)));
        assert_eq!(keeper.wanted(101, true), Wanted::Fetch);
    }

    #[test]
    fn tokens_that_brokers_refuse_are_replaced_more_and_more_slowly_until_one_is_accepted() {
        let mut keeper = keeper();
        let mut now = 0;
        let mut refuse = |keeper: &mut TokenKeeper| {
            keeper.fetched(now, Ok(token(now + HOUR)));
            keeper.refused(now, &token(now + HOUR), error());
            let Wanted::Later(Some(at)) = keeper.wanted(now, true) else { panic!("not at once") };
            let wait = at - now;
            now = at;
            wait
        };
        let waits: Vec<i64> = (0..9).map(|_| refuse(&mut keeper)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        keeper.accepted();
        assert_eq!(refuse(&mut keeper), 100);
    }

    #[test]
    fn a_token_without_an_end_is_used_once() {
        let mut keeper = keeper();
        keeper.fetched(0, Ok(BearerToken::new("abc").unwrap()));
        assert_eq!(keeper.wanted(HOUR, false), Wanted::Later(None));
        assert!(keeper.token(HOUR).is_some());
        keeper.used();
        assert!(keeper.token(HOUR).is_none());
        assert_eq!(keeper.wanted(HOUR, true), Wanted::Fetch);
        keeper.fetched(0, Ok(token(HOUR)));
        keeper.used();
        assert!(keeper.token(0).is_some());
    }

    #[test]
    fn clocks_that_disagree_or_jump_do_no_harm() {
        let mut keeper = keeper();
        for (now, expires) in [(i64::MAX - 1, i64::MAX), (i64::MIN, i64::MAX), (0, i64::MAX), (i64::MIN, i64::MIN + 1)]
        {
            keeper.fetched(now, Ok(token(expires)));
            let _ = keeper.wanted(now, true);
        }
    }
}
