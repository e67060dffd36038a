//! Waiting for an I/O thread that is behind.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use milena_accumulator::{CatchUp, Refused, may_wait};

use crate::patience::Place;
use crate::producer::Shared;
use crate::record::Record;

/// How long a record waits for those in front of it to be sent, if there is memory for it. Where that takes longer it is the network or the broker that
/// is slow, and the memory is there to be filled.
const PATIENCE: Duration = Duration::from_millis(2);

impl Shared {
    /// What a record waits for that was `refused` only because the I/O thread is behind; none if it was for another reason.
    pub(crate) fn behind(&self, refused: &Refused, record: &Record<'_>) -> Option<CatchUp> {
        match refused {
            Refused::Behind { partition } => self.accumulator.catch_up(record.topic(), *partition),
            _ => None,
        }
    }

    /// Waits for the I/O thread, but not for long.
    pub(crate) async fn catch_up(&self, mut behind: CatchUp) {
        let patience = self.patience_with_io();
        let mut place: Option<Place<'_>> = None;
        let in_time = poll_fn(|context| {
            if Pin::new(&mut behind).poll(context).is_ready() {
                return Poll::Ready(true);
            }
            match &place {
                // The thread that would be waited for may be in a handler that runs futures of its own.
                _ if patience.is_zero() || !may_wait() => return Poll::Ready(false),
                Some(place) if place.is_over() => return Poll::Ready(false),
                Some(place) => place.renew(context.waker()),
                None => place = Some(self.patience.wait(Instant::now() + patience, context.waker())),
            }
            Poll::Pending
        })
        .await;
        if !in_time {
            behind.give_up();
        }
    }

    /// As [`catch_up`](Self::catch_up), on this thread and by its own clock: should it be the one that the I/O runs on, nobody else counts the time.
    /// Returns what else the record was `refused` for.
    pub(crate) fn catch_up_blocking(&self, refused: Refused, record: &Record<'_>) -> Option<Refused> {
        let Some(behind) = self.behind(&refused, record) else { return Some(refused) };
        behind.wait_blocking(self.patience_with_io());
        None
    }

    fn patience_with_io(&self) -> Duration {
        PATIENCE.min(self.config.max_block)
    }
}
