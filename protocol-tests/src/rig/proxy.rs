//! A TCP proxy in front of one broker that knows Kafka's frames, and does to them what it is told.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use milena_wire::{ApiKey, ApiVersion};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::flow::{self, End};

/// A direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// Requests.
    ToBroker,
    /// Answers.
    ToClient,
}

/// A frame on its way.
#[derive(Clone, Copy, Debug)]
pub struct Passing<'a> {
    /// Where it goes.
    pub way: Way,
    /// What is asked, or answered.
    pub api: ApiKey,
    /// In which version.
    pub version: ApiVersion,
    /// The frame with its size in front.
    pub bytes: &'a [u8],
}

/// What is done to a frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Act {
    /// It goes on as it is.
    Pass,
    /// These bytes go on in its place.
    Replace(Vec<u8>),
    /// This many of its bytes go on, then both sides of the connection are closed in order.
    CutAfter(usize),
    /// This many of its bytes go on, then both sides of the connection are reset.
    ResetAfter(usize),
    /// This many of its bytes go on, and nothing after them in this direction, for ever.
    StallAfter(usize),
    /// It goes on in pieces of this many bytes, a millisecond apart.
    Trickle(usize),
}

type Hook = Box<dyn FnMut(&Passing<'_>) -> Act + Send>;

/// What all connections share.
pub(super) struct Shared {
    hook: Mutex<Hook>,
    switch: watch::Sender<Switch>,
    accepted: AtomicU64,
    open: AtomicU64,
    /// Requests that came after one that was stalled.
    swallowed: AtomicU64,
}

/// What is done to whole connections.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Switch {
    /// How often all connections were closed.
    cuts: u64,
    /// Of these, the number of the last that was a reset.
    reset: u64,
    /// How often connections were forgotten.
    forgets: u64,
    /// New connections are accepted, and nothing is read from any or written to it.
    pub(super) mute: bool,
    /// New connections are closed as soon as they are accepted.
    refuses: bool,
    ended: bool,
}

/// A proxy. It ends when it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts one in front of `broker`, on a port of its own.
    ///
    /// # Panics
    /// If there is no port.
    #[must_use]
    pub fn start(broker: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let shared = Arc::new(Shared {
            hook: Mutex::new(Box::new(|_| Act::Pass)),
            switch: watch::Sender::new(Switch::default()),
            accepted: AtomicU64::new(0),
            open: AtomicU64::new(0),
            swallowed: AtomicU64::new(0),
        });
        let its = Arc::clone(&shared);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let live = move || runtime.block_on(its.listen(listener, broker));
        Self { shared, address, thread: Some(std::thread::spawn(live)) }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Connections that are open now, those that were forgotten included.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Requests that clients wrote to a connection behind one that [`Act::StallAfter`] stopped.
    #[must_use]
    pub fn swallowed(&self) -> u64 {
        self.shared.swallowed.load(Ordering::Relaxed)
    }

    /// From now on this says what becomes of each frame.
    pub fn on_frame(&self, hook: impl FnMut(&Passing<'_>) -> Act + Send + 'static) {
        *self.shared.hook() = Box::new(hook);
    }

    /// The next frame of this kind suffers this; all others pass.
    pub fn strike(&self, way: Way, api: ApiKey, act: Act) {
        let mut act = Some(act);
        self.on_frame(
            move |frame| {
                if frame.way == way && frame.api == api { act.take().unwrap_or(Act::Pass) } else { Act::Pass }
            },
        );
    }

    /// All frames pass again.
    pub fn calm(&self) {
        self.on_frame(|_| Act::Pass);
    }

    /// Closes all connections in order.
    pub fn cut(&self) {
        self.shared.switch.send_modify(|switch| switch.cuts += 1);
    }

    /// Resets all connections.
    pub fn reset(&self) {
        self.shared.switch.send_modify(|switch| {
            switch.cuts += 1;
            switch.reset = switch.cuts;
        });
    }

    /// Forgets all connections, as a middlebox does: nothing gets through them any more, and neither side is told. New ones work.
    pub fn forget(&self) {
        self.shared.switch.send_modify(|switch| switch.forgets += 1);
    }

    /// Accepts and says nothing, on old connections and new ones, until told otherwise.
    pub fn mute(&self, mute: bool) {
        self.shared.switch.send_modify(|switch| switch.mute = mute);
    }

    /// Closes all connections, and new ones at once, until told otherwise.
    pub fn refuse(&self, refuses: bool) {
        self.shared.switch.send_modify(|switch| {
            switch.cuts += u64::from(refuses);
            switch.refuses = refuses;
        });
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.switch.send_modify(|switch| switch.ended = true);
        if let Some(thread) = self.thread.take() {
            // Its panic has been reported.
            let _panicked = thread.join();
        }
    }
}

impl Shared {
    fn hook(&self) -> MutexGuard<'_, Hook> {
        self.hook.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request got no further than here.
    pub(super) fn swallow(&self) {
        self.swallowed.fetch_add(1, Ordering::Relaxed);
    }

    /// What is to be done to a frame.
    pub(super) fn judge(&self, frame: &Passing<'_>) -> Act {
        (self.hook())(frame)
    }

    async fn listen(self: Arc<Self>, listener: TcpListener, broker: SocketAddr) {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime");
        let mut switch = self.switch.subscribe();
        loop {
            tokio::select! {
                // The sender lives in `self`.
                _ = switch.wait_for(|switch| switch.ended) => return,
                accepted = listener.accept() => {
                    let Ok((client, _)) = accepted else { continue };
                    self.accepted.fetch_add(1, Ordering::Relaxed);
                    self.open.fetch_add(1, Ordering::Relaxed);
                    let shared = Arc::clone(&self);
                    tokio::spawn(async move {
                        shared.serve(client, broker).await;
                        shared.open.fetch_sub(1, Ordering::Relaxed);
                    });
                }
            }
        }
    }

    async fn serve(&self, mut client: TcpStream, broker: SocketAddr) {
        let mut switch = self.switch.subscribe();
        let before = *switch.borrow_and_update();
        if before.refuses {
            return;
        }
        let mut forgets = self.switch.subscribe();
        let through = async {
            quiet(&mut self.switch.subscribe()).await;
            let mut broker = TcpStream::connect(broker).await?;
            broker.set_nodelay(true)?;
            client.set_nodelay(true)?;
            let end = tokio::select! {
                biased;
                () = forgotten(&mut forgets, before) => None,
                end = flow::run(self, &mut client, &mut broker, self.switch.subscribe()) => Some(end),
            };
            let Some(end) = end else {
                // The sockets are held, and that is all.
                return std::future::pending().await;
            };
            if end == End::Reset {
                broker.set_zero_linger()?;
            }
            Ok::<End, io::Error>(end)
        };
        let end = tokio::select! {
            biased;
            switched = switch.wait_for(|switch| switch.cuts != before.cuts || switch.ended) => {
                if switched.is_ok_and(|switch| switch.reset > before.cuts) { End::Reset } else { End::Closed }
            }
            ended = through => ended.unwrap_or(End::Closed),
        };
        if end == End::Reset {
            // If it is closed already there is nothing to reset.
            let _closed = client.set_zero_linger();
        }
    }
}

/// Waits for the proxy to forget the connections of then.
async fn forgotten(switch: &mut watch::Receiver<Switch>, before: Switch) {
    // An error means that the proxy ends, and the connection with it.
    drop(switch.wait_for(|switch| switch.forgets != before.forgets).await);
}

/// Waits for as long as nothing is to be read or written.
pub(super) async fn quiet(switch: &mut watch::Receiver<Switch>) {
    // An error means that the proxy ends, and the connection with it.
    let _ended = switch.wait_for(|switch| !switch.mute).await;
}
