//! What wakes the driver when nothing happens until some point in time.
//!
//! tokio's timers count in whole milliseconds: they are up to two late, which is much of a linger of 5 ms. And to set one for earlier than all
//! others is a system call to wake the thread that is just setting it. So on Linux the producer's own thread has a timer of the kernel's.

use std::pin::Pin;
use std::time::Duration;

use milena_wire::Timestamp;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::clock::Clock;
use crate::runtime::Io;

/// Wakes one waiter. It is only ever set for earlier: one that was set for an earlier time than is now needed wakes its waiter for nothing, once,
/// and every request that has its answer would otherwise set it twice.
#[derive(Debug)]
pub(crate) struct Alarm {
    clock: Clock,
    timer: Timer,
    /// What the timer is set for, unless it has run out.
    set_for: Option<Timestamp>,
}

#[derive(Debug)]
enum Timer {
    #[cfg(target_os = "linux")]
    Kernel(kernel::Timer),
    Runtime(Pin<Box<Sleep>>),
}

/// How an [`Alarm`] will be made, known before there is a runtime to make it on.
#[derive(Debug)]
pub(crate) enum Precision {
    /// Of the kernel's timers, some microseconds.
    #[cfg(target_os = "linux")]
    Exact(std::os::fd::OwnedFd),
    /// Of the runtime's, which may be the user's, and stand still.
    Milliseconds,
}

impl Precision {
    /// The best that can be had where the producer's I/O runs.
    pub(crate) fn best(io: &Io) -> Self {
        if !matches!(io, Io::OwnThread) {
            return Self::Milliseconds;
        }
        #[cfg(target_os = "linux")]
        match kernel::create() {
            Ok(timer) => return Self::Exact(timer),
            Err(error) => {
                tracing::debug!(%error, "the kernel has no timer to give; linger.ms is true to a millisecond")
            }
        }
        Self::Milliseconds
    }

    /// `linger.ms` is the longest a record waits, so that what the runtime's timers are late is taken off it. Of the last millisecond nothing is
    /// taken: shorter lingers stay as late as the timer makes them.
    pub(crate) fn timed(&self, linger: Duration) -> Duration {
        const GRAIN: Duration = Duration::from_millis(1);
        match self {
            #[cfg(target_os = "linux")]
            Self::Exact(_) => linger,
            Self::Milliseconds => linger.saturating_sub(GRAIN).max(linger.min(GRAIN)),
        }
    }
}

impl Alarm {
    /// Must be called on the runtime where it will be waited for.
    pub(crate) fn new(clock: Clock, precision: Precision) -> Self {
        let timer = match precision {
            #[cfg(target_os = "linux")]
            Precision::Exact(timer) => kernel::Timer::new(timer).map_or_else(Timer::of_the_runtime, Timer::Kernel),
            Precision::Milliseconds => Timer::of_the_runtime(),
        };
        Self { clock, timer, set_for: None }
    }

    /// Waits until `at`, or not as long. Cancel-safe.
    pub(crate) async fn ring(&mut self, at: Timestamp) {
        if self.set_for.is_none_or(|earlier| at < earlier) {
            self.set(at);
            self.set_for = Some(at);
        }
        match &mut self.timer {
            #[cfg(target_os = "linux")]
            Timer::Kernel(timer) => timer.expired().await,
            Timer::Runtime(sleep) => sleep.as_mut().await,
        }
        self.set_for = None;
    }

    fn set(&mut self, at: Timestamp) {
        #[cfg(target_os = "linux")]
        if let Timer::Kernel(timer) = &self.timer
            && !timer.set(at.since(self.clock.now()))
        {
            self.timer = Timer::of_the_runtime();
        }
        match &mut self.timer {
            #[cfg(target_os = "linux")]
            Timer::Kernel(_) => {}
            Timer::Runtime(sleep) => sleep.as_mut().reset(Instant::from_std(self.clock.instant(at))),
        }
    }
}

impl Timer {
    fn of_the_runtime() -> Self {
        Self::Runtime(Box::pin(sleep_until(Instant::now())))
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    //! A timer that is a file (`timerfd_create(2)`).

    use std::future::pending;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    #[derive(Debug)]
    pub(super) struct Timer(AsyncFd<OwnedFd>);

    pub(super) fn create() -> io::Result<OwnedFd> {
        Ok(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?)
    }

    impl Timer {
        #[expect(
            deprecated,
            reason = "unsound for types that change their file, which an OwnedFd is not; what replaces it is unsafe"
        )]
        pub(super) fn new(timer: OwnedFd) -> Option<Self> {
            AsyncFd::with_interest(timer, Interest::READABLE).map(Self).ok()
        }

        /// Forgets what it was set for before. False if the kernel refuses.
        pub(super) fn set(&self, wait: Duration) -> bool {
            const NEVER: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
            // No time at all would stop it.
            let wait = wait.max(Duration::from_nanos(1));
            let Ok(it_value) = Timespec::try_from(wait) else { return false };
            let spec = Itimerspec { it_interval: NEVER, it_value };
            timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &spec).is_ok()
        }

        /// It is not read: the kernel tells of each time that it runs out, read or not.
        pub(super) async fn expired(&self) {
            match self.0.readable().await {
                Ok(mut ready) => ready.clear_ready(),
                // The runtime shuts down, and whoever waits here with it.
                Err(_) => pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const SOON: Duration = Duration::from_millis(3);

    fn alarms() -> Vec<Alarm> {
        let clock = Clock::start();
        let best = Alarm::new(clock, Precision::best(&Io::OwnThread));
        #[cfg(target_os = "linux")]
        assert!(matches!(best.timer, Timer::Kernel(_)));
        vec![best, Alarm::new(clock, Precision::Milliseconds)]
    }

    async fn give_up_at_once(waits: impl Future<Output = ()>) {
        let mut waits = pin!(waits);
        assert!(poll_fn(|cx| Poll::Ready(waits.as_mut().poll(cx).is_pending())).await);
    }

    #[tokio::test]
    async fn it_rings_again_and_again_and_never_before_its_time() {
        for mut alarm in alarms() {
            for _ in 0..5 {
                let at = alarm.clock.now() + SOON;
                alarm.ring(at).await;
                assert!(alarm.clock.now() >= at);
            }
            alarm.ring(Timestamp::ZERO).await;
        }
    }

    #[tokio::test]
    async fn what_is_due_earlier_is_not_missed_because_of_what_is_due_later() {
        for mut alarm in alarms() {
            let later = alarm.clock.now() + HOUR;
            give_up_at_once(alarm.ring(later)).await;
            let at = alarm.clock.now() + SOON;
            alarm.ring(at).await;
            assert!(alarm.clock.now() >= at);
        }
    }

    #[tokio::test]
    async fn what_is_due_later_than_it_was_set_for_rings_once_for_nothing_and_then_in_time() {
        for mut alarm in alarms() {
            let first = alarm.clock.now() + SOON;
            give_up_at_once(alarm.ring(first)).await;
            alarm.ring(first + HOUR).await;
            assert!(alarm.clock.now() >= first);
            give_up_at_once(alarm.ring(first + HOUR)).await;
            let at = alarm.clock.now() + SOON;
            alarm.ring(at).await;
            assert!(alarm.clock.now() >= at);
        }
    }

    #[test]
    fn a_linger_is_shortened_by_what_timers_are_late_while_enough_of_it_is_left() {
        let of = |us| Precision::Milliseconds.timed(Duration::from_micros(us)).as_micros();
        assert_eq!([0, 500, 1_000, 1_900, 2_000, 5_000].map(of), [0, 500, 1_000, 1_000, 1_000, 4_000]);
        #[cfg(target_os = "linux")]
        assert_eq!(Precision::best(&Io::OwnThread).timed(Duration::from_millis(5)), Duration::from_millis(5));
    }
}
