//! Scripted misbehaviour: which requests it strikes, and what happens to them.

use std::time::Duration;

use milena_wire::{ApiKey, BrokerId, ErrorCode, PartitionId, TopicName};

/// One scripted reaction: the next `times` requests that match suffer it, then the rule is spent.
///
/// SASL requests are struck by rules that name no topic; what only makes sense elsewhere ([`Reaction::Throttle`], [`Reaction::Omit`]) leaves them as they are,
/// and after an error the connection is closed, as Kafka does.
///
/// Rules are tried in the order they were added; the first that matches a request wins, except that Produce errors
/// ([`Reaction::Error`], [`Reaction::ErrorAfterAppend`], [`Reaction::Omit`]) are matched per partition.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(crate) api: Option<ApiKey>,
    pub(crate) node: Option<BrokerId>,
    pub(crate) topic: Option<TopicName>,
    pub(crate) partition: Option<PartitionId>,
    pub(crate) skip: u32,
    pub(crate) times: u32,
    pub(crate) reaction: Reaction,
}

impl Rule {
    /// A rule that strikes the next one request for `api`, on any node.
    #[must_use]
    pub fn on(api: ApiKey, reaction: Reaction) -> Self {
        Self { api: Some(api), node: None, topic: None, partition: None, skip: 0, times: 1, reaction }
    }

    /// A rule for the next one request of any kind, on any node.
    #[must_use]
    pub fn any(reaction: Reaction) -> Self {
        Self { api: None, node: None, topic: None, partition: None, skip: 0, times: 1, reaction }
    }

    /// Only on this node.
    #[must_use]
    pub fn node(mut self, node: BrokerId) -> Self {
        self.node = Some(node);
        self
    }

    /// Only where this topic is named. For Produce, only its partitions are struck.
    #[must_use]
    pub fn topic(mut self, topic: &str) -> Self {
        self.topic = Some(TopicName::new(topic));
        self
    }

    /// Only this partition of a Produce request.
    #[must_use]
    pub fn partition(mut self, partition: PartitionId) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Lets the first `n` matches pass.
    #[must_use]
    pub fn skip(mut self, n: u32) -> Self {
        self.skip = n;
        self
    }

    /// Strikes `n` times instead of once.
    #[must_use]
    pub fn times(mut self, n: u32) -> Self {
        self.times = n;
        self
    }

    /// Strikes until the script is cleared.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }
}

/// What happens to a request that a [`Rule`] matches.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reaction {
    /// Answer this error; nothing is appended or changed.
    Error(ErrorCode),
    /// Do what was asked, append included, and then answer this error.
    ErrorAfterAppend(ErrorCode),
    /// Wait, then handle the request, even if its connection has died meanwhile (a zombie).
    Delay(Duration),
    /// Handle the request at once, and answer it this much later.
    DelayAnswer(Duration),
    /// Close the connection; the request is not handled.
    CloseBefore,
    /// Handle the request, then close the connection without an answer.
    CloseAfter,
    /// Handle the request, send the first half of the answer, then close the connection.
    CutAnswer,
    /// Handle the request, never answer; the connection stays open and serves nothing more.
    Silence,
    /// Handle the request, answer with the right frame size but garbage for a body.
    Garble,
    /// Handle the request, answer with another correlation id.
    WrongCorrelation,
    /// Handle the request, answer with this `throttle_time_ms`.
    Throttle(Duration),
    /// Handle the request, leave the partition out of the answer: for Produce each one struck; for Metadata the rule's
    /// partition, or all partitions of the topic if it names none.
    Omit,
}
