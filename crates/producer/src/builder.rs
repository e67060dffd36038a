//! Building a producer: typed settings, checked at once, no broker needed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use milena_accumulator::{Accumulator, AccumulatorConfig, Failure, FailureKind, Fate, PartitionerKind};
use milena_client::bootstrap_list;
use milena_cluster::{Cluster, ClusterConfig, HostPort};
use milena_pool::{Connector, Resolver, SystemResolver, TcpConnector};
use milena_sender::{Guarantee, RecreatedTopic, RefusedIdentity, Sender, SenderConfig};
use milena_spool::{Recovered, Spool};
use milena_wire::{Codec, Compression, ErrorCode};
use tokio::sync::{mpsc, watch};
use tracing::Instrument;

use crate::alarm::{Alarm, Precision};
use crate::clock::Clock;
use crate::commands::{self, Ending};
use crate::config::{ConfigError, ConfigProblem, ProducerConfig};
use crate::dead_letter::{FailurePolicy, To};
use crate::driver::drive;
use crate::handler::DeliveryHandler;
use crate::letter_topic::Kit;
use crate::letters::Letters;
use crate::patience::Patience;
use crate::producer::Shared;
use crate::runtime::Io;
use crate::seal::SealPool;
use crate::security::Security;
use crate::spool_policy::SpoolPolicy;
use crate::spooler::{Spooler, Tools};
use crate::watch::Watch;
use crate::world::{Real, Sockets};
use crate::{Producer, seed};

/// Settings of a producer that is not built yet. See [`ProducerConfig`] for what each means and its default.
#[must_use = "settings do nothing until `build` is called"]
pub struct ProducerBuilder {
    pub(crate) config: ProducerConfig,
    pub(crate) grows: Grows,
    pub(crate) problems: Vec<ConfigProblem>,
    /// What properties lack, unless a mechanism is set in code.
    pub(crate) sasl_problem: Option<ConfigProblem>,
    io: Io,
    pub(crate) tcp: TcpConnector,
    pub(crate) connector: Option<Arc<dyn Connector>>,
    pub(crate) security: Security,
    pub(crate) resolver: Arc<dyn Resolver>,
    handler: Option<Arc<dyn DeliveryHandler>>,
    failed: Option<FailurePolicy>,
    pub(crate) spool: Option<SpoolPolicy>,
}

/// Which defaults were not set to anything: they grow with what properties set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grows {
    pub(crate) buffer_memory: bool,
    pub(crate) delivery_timeout: bool,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty),* $(,)?) => {
        $(
            $(#[$doc])*
            pub fn $name(mut self, $name: $type) -> Self {
                self.config.$name = $name;
                self
            }
        )*
    };
}

impl ProducerBuilder {
    pub(crate) fn new(bootstrap: &str) -> Self {
        let (addresses, problems) = match bootstrap_list(bootstrap) {
            Ok(addresses) => (addresses, Vec::new()),
            Err(error) => {
                let problem = ConfigProblem { setting: "bootstrap.servers".into(), problem: error.to_string() };
                (Vec::new(), vec![problem])
            }
        };
        Self { problems, ..Self::for_brokers(addresses) }
    }

    pub(crate) fn for_brokers(bootstrap: Vec<HostPort>) -> Self {
        Self::again(ProducerConfig::new(bootstrap), Io::default(), None, Arc::new(SystemResolver))
    }

    /// From settings that are checked already.
    pub(crate) fn again(
        config: ProducerConfig,
        io: Io,
        connector: Option<Arc<dyn Connector>>,
        resolver: Arc<dyn Resolver>,
    ) -> Self {
        let tcp = TcpConnector::default();
        let security = Security::default();
        Self {
            config,
            grows: Grows { buffer_memory: true, delivery_timeout: true },
            problems: Vec::new(),
            sasl_problem: None,
            io,
            tcp,
            connector,
            security,
            resolver,
            handler: None,
            failed: None,
            spool: None,
        }
    }

    setters! {
        /// What is promised for each record. Default: [`Guarantee::ExactlyOnce`].
        guarantee: Guarantee,
        /// `linger.ms`. Default: 5 ms. A full batch leaves sooner: at once if its broker owes no answer, else in company with others.
        linger: Duration,
        /// `batch.size`, in bytes. Default: 256 KiB.
        batch_size: usize,
        /// The largest record, in bytes. Default: 1 MiB.
        max_record_size: usize,
        /// The largest request, in bytes. Default: 8 MiB.
        max_request_size: usize,
        /// `max.block.ms`. Default: 60 s.
        max_block: Duration,
        /// `compression.type`, with its level. Default: none.
        compression: Compression,
        /// Threads that compress, 1 to 256. Default: one per core, at most four.
        compression_threads: usize,
        /// How a record without a partition gets one. Default: as Java's.
        partitioner: PartitionerKind,
        /// Bytes of keyless records for one partition before the next is chosen. Default: 16 KiB.
        sticky_bytes: usize,
        /// `partitioner.adaptive.partitioning.enable`. Default: on.
        adaptive: bool,
        /// `request.timeout.ms`. Default: 30 s.
        request_timeout: Duration,
        /// `retry.backoff.ms`; a batch's first retry with a leader comes after a tenth of it. Default: 100 ms.
        retry_backoff: Duration,
        /// `retry.backoff.max.ms`. Default: 1 s.
        retry_backoff_max: Duration,
        /// `retries`. Default: 2147483647, which is without limit.
        retries: u32,
        /// `max.in.flight.requests.per.connection`. Default: 5.
        max_in_flight: usize,
        /// `topic.metadata.propagation.max.ms`: how long records for an unknown topic wait for it. Default: 10 s.
        unknown_topic_grace: Duration,
        /// What becomes of unsent records of a recreated topic. Default: they fail.
        recreated_topic: RecreatedTopic,
        /// `milena.refused.identity`: what becomes of waiting records when brokers refuse who this producer is. Default: they go on waiting.
        refused_identity: RefusedIdentity,
        /// `allow.auto.create.topics`. Default: on.
        auto_create_topics: bool,
        /// `metadata.max.age.ms`. Default: 5 min.
        metadata_max_age: Duration,
        /// `metadata.max.idle.ms`. Default: 5 min.
        metadata_max_idle: Duration,
        /// `metadata.recovery.strategy=rebootstrap`. Default: on.
        rebootstrap: bool,
        /// `metadata.recovery.rebootstrap.trigger.ms`; less than 1 s counts as 1 s. Default: 5 min.
        rebootstrap_trigger: Duration,
        /// `socket.connection.setup.timeout.ms`. Default: 10 s.
        connect_timeout: Duration,
        /// `socket.connection.setup.timeout.max.ms`. Default: 30 s.
        connect_timeout_max: Duration,
        /// `reconnect.backoff.ms`. Default: 50 ms.
        reconnect_backoff: Duration,
        /// `reconnect.backoff.max.ms`. Default: 1 s.
        reconnect_backoff_max: Duration,
        /// `connections.max.idle.ms`; [`Duration::MAX`] for never. Default: 9 min.
        idle_timeout: Duration,
        /// `receive.message.max.bytes`: the largest answer accepted, in bytes. Default: 100 MiB.
        max_frame: usize,
        /// How long the producer goes on delivering after its last handle is dropped. Default: 30 s.
        drop_timeout: Duration,
    }

    /// `buffer.memory`, in bytes. Default: 32 MiB.
    pub fn buffer_memory(mut self, buffer_memory: usize) -> Self {
        self.config.buffer_memory = buffer_memory;
        self.grows.buffer_memory = false;
        self
    }

    /// `delivery.timeout.ms`. Default: 120 s.
    pub fn delivery_timeout(mut self, delivery_timeout: Duration) -> Self {
        self.config.delivery_timeout = delivery_timeout;
        self.grows.delivery_timeout = false;
        self
    }

    /// `client.id`. Default: `milena`.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.config.client_id = id.into();
        self
    }

    /// Fails a batch at once on any of these codes, though it could be sent again. Default: none.
    pub fn fail_at_once(mut self, codes: impl IntoIterator<Item = ErrorCode>) -> Self {
        self.config.fail_at_once = codes.into_iter().collect();
        self
    }

    /// Unanswered batches per partition. Default: by the guarantee, see [`ProducerConfig::partition_in_flight`].
    pub fn partition_in_flight(mut self, batches: usize) -> Self {
        self.config.partition_in_flight = Some(batches);
        self
    }

    /// Who drives I/O. Default: a thread of the producer's own.
    pub fn io(mut self, io: Io) -> Self {
        self.io = io;
        self
    }

    /// Options of TCP connections: buffers, keepalive, delay. Default: no delay, keepalive after 60 s.
    pub fn tcp(mut self, tcp: TcpConnector) -> Self {
        self.tcp = tcp;
        self
    }

    /// Opens connections: for proxies, port-forwards, memory in tests. Default: TCP.
    pub fn connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.connector = Some(connector);
        self
    }

    /// Turns host names into addresses. Default: the system's resolver.
    pub fn resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Hears of records enqueued with a token, and of unobserved failures, on a thread of its own or the I/O thread
    /// ([`HandlerThread`](crate::HandlerThread)). Default: failures are logged.
    pub fn delivery_handler(mut self, handler: impl DeliveryHandler) -> Self {
        self.handler = Some(Arc::new(handler));
        self
    }

    /// What becomes of failed records, besides their outcome: they are given back to a callback, or produced to a dead-letter topic. Default:
    /// nothing more.
    pub fn on_failure(mut self, policy: FailurePolicy) -> Self {
        if let To::Topic(topic) = &policy.to
            && topic.name.is_empty()
        {
            self.problems
                .push(ConfigProblem { setting: "milena.dead.letter.topic".into(), problem: "names no topic".into() });
        }
        self.failed = Some(policy);
        self
    }

    /// Keeps records on this machine's disk that could not be delivered, and sends them when the cluster is back: see [`SpoolPolicy`]. What the spool
    /// cannot take fails, and goes to [`on_failure`](Self::on_failure) if that is given. Default: nothing is kept.
    pub fn spool(mut self, policy: SpoolPolicy) -> Self {
        self.spool = Some(policy);
        self
    }

    /// Checks all settings and starts the producer's threads. Needs no broker.
    ///
    /// # Errors
    ///
    /// Every problem of the settings at once; or the operating system refused a thread. What was started until then ends.
    pub fn build(mut self) -> Result<Producer, ConfigError> {
        self.check()?;
        let spool = match self.spool.take() {
            Some(policy) => {
                let opened = Spool::open(policy.config()).map_err(|error| {
                    let problem = ConfigProblem { setting: "milena.spool.dir".into(), problem: with_causes(&error) };
                    ConfigError { problems: vec![problem], source: None }
                })?;
                Some((policy, opened))
            }
            None => None,
        };
        self.start(spool).map_err(|source| ConfigError { problems: Vec::new(), source: Some(source) })
    }

    pub(crate) fn check(&mut self) -> Result<(), ConfigError> {
        let mut problems = std::mem::take(&mut self.problems);
        let known = problems.len();
        for problem in self.config.check() {
            // What is wrong with a value already is not said twice.
            if !problems[..known].iter().any(|earlier| earlier.setting == problem.setting) {
                problems.push(problem);
            }
        }
        problems.extend(self.sasl_problem.take().filter(|_| self.config.sasl.is_none()));
        problems.extend(self.security.prepare().err());
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems, source: None }) }
    }

    /// As [`build`](Self::build), without the checks.
    pub(crate) fn start(self, spool: Option<(SpoolPolicy, (Spool, Recovered))>) -> std::io::Result<Producer> {
        let config = self.config;
        let seed = seed::from_process();
        let clock = Clock::start();
        let connector = self.security.over(self.connector.unwrap_or_else(|| Arc::new(self.tcp)));
        let (spooler, opened) = match spool {
            Some((policy, (spool, recovered))) => (Some(Spooler::new(policy, recovered)), Some(spool)),
            None => (None, None),
        };
        let diverts = self.failed.is_some() || spooler.is_some();
        let letters = match self.failed {
            Some(policy) => {
                let (config, io, resolver) = (config.clone(), self.io.clone(), Arc::clone(&self.resolver));
                Some(Letters::start(policy, Kit { config, io, connector: Arc::clone(&connector), resolver })?)
            }
            None => None,
        };
        let watch = Watch::start(&config.client_id, self.handler, letters, spooler.clone())?;
        let accumulator = Accumulator::new(accumulator_config(&config, diverts), seed, Arc::clone(&watch) as _);
        let cluster = Cluster::new(cluster_config(&config), seed);
        let precision = Precision::best(&self.io);
        let sender_config = SenderConfig { spool: spooler.is_some(), ..sender_config(&config, &precision) };
        let sender = Sender::new(sender_config, accumulator.clone(), cluster, seed);
        let metrics = sender.metrics();
        watch.count_in(&metrics);
        let health = sender.health();
        let (ending, ended) = watch::channel(Ending::NotYet);
        let mut abandon =
            Abandon { accumulator: accumulator.clone(), watch: Arc::clone(&watch), ending, ended_well: false };
        let (commands, queue) = commands::channel(ended);
        let (spool_inputs, spool_news) = mpsc::unbounded_channel();
        if let (Some(spooler), Some(spool)) = (&spooler, opened) {
            let cluster = cluster_config(&config);
            let (connector, resolver) = (Arc::clone(&connector), Arc::clone(&self.resolver));
            let tools = Tools {
                watch: Arc::clone(&watch),
                accumulator: accumulator.clone(),
                metrics: Arc::clone(&metrics),
                inputs: spool_inputs,
                sockets: milena_replay::Sockets { cluster, connector, resolver, sasl: config.sasl.clone() },
            };
            spooler.start(spool, tools)?;
        }
        let sockets =
            Sockets { connector, resolver: self.resolver, max_frame: config.max_frame, sasl: config.sasl.clone() };
        let threads = if config.compression.codec() == Codec::None { 0 } else { config.compression_threads };
        let seals = SealPool::start(&config.client_id, threads)?;
        let wake = Arc::clone(&watch);
        let span = tracing::info_span!("producer", client_id = config.client_id);
        let io = self.io.start(&config.client_id, async move {
            // Whatever ends this task, a panic or a runtime that shuts down included, leaves no record without an outcome:
            // what the sender holds fails as it is dropped, and what it has not taken fails here.
            let abandon = &mut abandon;
            let world = Real::start(clock, Alarm::new(clock, precision), sockets, queue, wake, seals, spool_news);
            drive(sender, world).instrument(span).await;
            abandon.ended_well = true;
        })?;
        Ok(Producer::new(Shared {
            accumulator,
            clock,
            commands,
            config,
            patience: Patience::new(io),
            metrics,
            health,
            watch,
            closed: AtomicBool::new(false),
        }))
    }
}

fn accumulator_config(config: &ProducerConfig, divert: bool) -> AccumulatorConfig {
    AccumulatorConfig {
        buffer_memory: config.buffer_memory,
        batch_size: config.batch_size,
        max_record_size: config.max_record_size,
        compression: config.compression,
        partitioner: config.partitioner.clone(),
        sticky_bytes: config.sticky_bytes,
        adaptive: config.adaptive,
        linger_zero: config.linger.is_zero(),
        divert,
    }
}

pub(crate) fn cluster_config(config: &ProducerConfig) -> ClusterConfig {
    ClusterConfig {
        client_id: config.client_id.clone(),
        request_timeout: config.request_timeout,
        connect_timeout: config.connect_timeout,
        connect_timeout_max: config.connect_timeout_max,
        reconnect_backoff: config.reconnect_backoff,
        reconnect_backoff_max: config.reconnect_backoff_max,
        retry_backoff: config.retry_backoff,
        retry_backoff_max: config.retry_backoff_max,
        metadata_max_age: config.metadata_max_age,
        metadata_max_idle: config.metadata_max_idle,
        idle_timeout: config.idle_timeout,
        max_in_flight: config.max_in_flight,
        rebootstrap: config.rebootstrap,
        rebootstrap_trigger: config.rebootstrap_trigger,
        auto_create_topics: config.auto_create_topics,
        max_frame: config.max_frame,
        sasl_mechanism: config.sasl.as_ref().map(|mechanism| mechanism.name().to_owned()),
        ..ClusterConfig::new(config.bootstrap.clone())
    }
}

fn sender_config(config: &ProducerConfig, precision: &Precision) -> SenderConfig {
    SenderConfig {
        guarantee: config.guarantee,
        linger: precision.timed(config.linger),
        delivery_timeout: config.delivery_timeout,
        request_timeout: config.request_timeout,
        max_request_size: config.max_request_size,
        retry_backoff: config.retry_backoff,
        retry_backoff_max: config.retry_backoff_max,
        retries: config.retries,
        fail_at_once: config.fail_at_once.clone(),
        partition_in_flight: config.partition_in_flight,
        unknown_topic_grace: config.unknown_topic_grace,
        recreated_topic: config.recreated_topic,
        refused_identity: config.refused_identity,
        seal_inline: config.compression.codec() == Codec::None,
        ..SenderConfig::default()
    }
}

/// An error and what is below it, on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        text = format!("{text}: {cause}");
        below = cause.source();
    }
    text
}

/// Fails what nobody will deliver any more, and says when that is done and whether it had to be. The threads that were started end with it.
struct Abandon {
    accumulator: Accumulator,
    watch: Arc<Watch>,
    ending: watch::Sender<Ending>,
    ended_well: bool,
}

impl Drop for Abandon {
    fn drop(&mut self) {
        self.accumulator.abandon(|topic, partition| {
            Failure::new(FailureKind::RuntimeGone, Fate::NotWritten, topic.clone(), partition)
        });
        self.watch.end();
        self.ending.send_replace(if self.ended_well { Ending::Closed } else { Ending::CutShort });
    }
}

impl fmt::Debug for ProducerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}
