//! The kinds of things that go wrong, and when they do.

use std::time::Duration;

use super::rng::Rng;

/// One kind of thing that goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// A connection dies; some of what was under way to the broker may still arrive, perhaps much later.
    Cut,
    /// All connections to a node die.
    CutNode,
    /// Nothing gets through on a connection for a while.
    Stall,
    /// The client's socket takes no bytes for a while.
    Jam,
    /// Nothing gets through to or from a node for a while, new connections included.
    Isolate,
    /// A node is frozen for a while.
    Pause,
    /// A node stops and comes back.
    Stop,
    /// A leader moves to a replica in sync; what that has not copied is lost.
    Move,
    /// A leader moves there and back.
    Flap,
    /// A replica becomes leader whatever it lacks.
    Unclean,
    /// A node stops, comes back, and leads again although it lacks what the others have.
    Relapse,
    /// A topic gets more partitions.
    Grow,
    /// The wall clock is set.
    SetClock,
    /// A batch is refused with some code.
    Refuse,
    /// A batch is appended and then answered with some code.
    AppendThen,
    /// An answer leaves partitions out.
    Omit,
    /// A request runs late, even if its connection has died meanwhile.
    DelayRequest,
    /// An answer comes late.
    DelayAnswer,
    /// The connection closes before a request runs.
    CloseBefore,
    /// The connection closes after a request has run.
    CloseAfter,
    /// Half an answer.
    CutAnswer,
    /// A request is never answered.
    Silence,
    /// An answer is garbage.
    Garble,
    /// An answer belongs to no request.
    WrongCorrelation,
    /// The broker asks for a pause.
    Throttle,
    /// A producer id is refused.
    InitError,
    /// A topic's metadata is an error.
    MetadataError,
    /// A topic's metadata lacks partitions.
    MetadataOmits,
    /// A node's metadata stays as it is for a while.
    FreezeMetadata,
    /// A topic is deleted and created again.
    Recreate,
    /// A partition forgets its producers.
    Forget,
    /// Names do not resolve for a while.
    NoNames,
    /// The user purges.
    Purge,
    /// The user flushes.
    Flush,
    /// The user asks for the cluster or for topics.
    Ask,
    /// Brokers refuse who the client is, a few times.
    RefuseIdentity,
    /// SASL requests are answered wrongly, late, in part or never.
    StrikeSasl,
    /// Brokers end all connections and let nobody in for a while.
    LockOut,
}

impl Fault {
    /// Those of brokers that want to know who the client is.
    pub const IDENTITY: [Self; 3] = [Self::RefuseIdentity, Self::StrikeSasl, Self::LockOut];

    /// All others.
    pub const ALL: [Self; 35] = [
        Self::Cut,
        Self::CutNode,
        Self::Stall,
        Self::Jam,
        Self::Isolate,
        Self::Pause,
        Self::Stop,
        Self::Move,
        Self::Flap,
        Self::Unclean,
        Self::Relapse,
        Self::Grow,
        Self::SetClock,
        Self::Refuse,
        Self::AppendThen,
        Self::Omit,
        Self::DelayRequest,
        Self::DelayAnswer,
        Self::CloseBefore,
        Self::CloseAfter,
        Self::CutAnswer,
        Self::Silence,
        Self::Garble,
        Self::WrongCorrelation,
        Self::Throttle,
        Self::InitError,
        Self::MetadataError,
        Self::MetadataOmits,
        Self::FreezeMetadata,
        Self::Recreate,
        Self::Forget,
        Self::NoNames,
        Self::Purge,
        Self::Flush,
        Self::Ask,
    ];

    /// How many of a hundred seeds that draw faults have this one.
    pub(crate) const fn share(self) -> u64 {
        match self {
            Self::Forget | Self::Recreate | Self::Unclean | Self::Relapse => 8,
            Self::Purge
            | Self::Grow
            | Self::SetClock
            | Self::Ask
            | Self::MetadataError
            | Self::Garble
            | Self::Isolate => 15,
            _ => 30,
        }
    }
}

/// One fault of a run. Where it strikes and for how long follows from its own seed, so that it is the same fault whatever others are left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Strike {
    /// Names it within its run.
    pub number: usize,
    /// When it strikes, from the run's start.
    pub at: Duration,
    /// What it is.
    pub fault: Fault,
    pub(crate) seed: u64,
}

/// Draws what goes wrong in `length`, one thing about every `gap_ms` milliseconds.
pub(crate) fn schedule(rng: &mut Rng, mix: &[Fault], gap_ms: u64, length: Duration) -> Vec<Strike> {
    let mut strikes = Vec::new();
    let mut at = rng.millis(0, gap_ms);
    while at < length && !mix.is_empty() {
        strikes.push(Strike { number: strikes.len(), at, fault: rng.pick(mix), seed: rng.next() });
        at += rng.millis(0, gap_ms * 2);
    }
    strikes
}
