//! From properties, under Java's and librdkafka's names, to a builder.

use std::time::Duration;

use milena_accumulator::PartitionerKind;
use milena_client::property::{
    Acks, ClientSettings, OnRefusedIdentity, Partitioner, ProducerSettings, Settings, SpoolFsync, SpoolSettings,
};
use milena_client::security::SecurityProtocol;
use milena_pool::TcpConnector;
use milena_sender::{Guarantee, RefusedIdentity};
use milena_spool::Fsync;

use crate::builder::Grows;
use crate::config::{ConfigProblem, ProducerConfig};
use crate::{FailurePolicy, Producer, ProducerBuilder, SpoolPolicy};

impl Producer {
    /// Starts the settings of a producer with all that `settings` have: `bootstrap.servers`, without which
    /// [`build`](ProducerBuilder::build) fails, and the rest as [`ProducerBuilder::settings`] takes it over.
    ///
    /// ```no_run
    /// use milena_producer::Producer;
    /// use milena_producer::property::Properties;
    ///
    /// # fn open() -> Result<Producer, Box<dyn std::error::Error>> {
    /// let settings = Properties::new().add_file("producer.properties")?.settings()?;
    /// let producer = Producer::from_settings(&settings).build()?;
    /// # Ok(producer)
    /// # }
    /// ```
    pub fn from_settings(settings: &Settings) -> ProducerBuilder {
        ProducerBuilder::for_brokers(settings.client.bootstrap.clone().unwrap_or_default()).settings(settings)
    }
}

impl ProducerBuilder {
    /// Takes over every setting that `settings` has but `bootstrap.servers`, for the brokers that this was made with stay; the others
    /// stay as they are, but that a default grows as it does in Java (`delivery.timeout.ms`, `buffer.memory`).
    /// [`Producer::from_settings`] takes the brokers over, too.
    ///
    /// Properties come from [`Properties`](milena_client::property::Properties). What does not fit together is reported by
    /// [`build`](Self::build): `enable.idempotence=true` with `acks` other than `all`, for one. What is only worth a word
    /// ([`Settings::warnings`]) is logged.
    pub fn settings(mut self, settings: &Settings) -> Self {
        for warning in settings.warnings() {
            tracing::warn!("{warning}");
        }
        if settings.client.bootstrap.as_ref().is_some_and(|named| *named != self.config.bootstrap) {
            tracing::warn!("bootstrap.servers has no effect: the producer was told of other brokers in code");
        }
        apply_client(&mut self.config, &settings.client);
        apply_producer(&mut self.config, &mut self.grows, &settings.producer);
        match guarantee(&settings.producer) {
            Ok(Some(guarantee)) => self.config.guarantee = guarantee,
            Ok(None) => {}
            Err(problem) => self.problems.push(problem),
        }
        self.tcp = tcp(self.tcp, &settings.client);
        if settings.client.security_protocol.is_some_and(SecurityProtocol::has_sasl) {
            match settings.client.sasl.mechanism() {
                Ok(mechanism) => self.config.sasl = Some(mechanism),
                // A mechanism set in code, before or after this, takes the place of what properties lack.
                Err((property, problem)) => {
                    self.sasl_problem = Some(ConfigProblem { setting: property.into(), problem })
                }
            }
        }
        self = self.security(&settings.client);
        self = self.spool_settings(&settings.producer.spool);
        match &settings.producer.dead_letter_topic {
            Some(topic) => self.on_failure(FailurePolicy::topic(topic.as_str())),
            None => self,
        }
    }

    fn spool_settings(mut self, given: &SpoolSettings) -> Self {
        let SpoolSettings { dir, max_bytes, fsync, accept_duplicates, broker_memory, .. } = given;
        let Some(dir) = dir else {
            if max_bytes.is_some() || fsync.is_some() || accept_duplicates.is_some() || broker_memory.is_some() {
                let problem = "is not given, and without it the other settings of milena.spool have no effect".into();
                self.problems.push(ConfigProblem { setting: "milena.spool.dir".into(), problem });
            }
            return self;
        };
        let mut policy = SpoolPolicy::new(dir);
        set(&mut policy.max_bytes, max_bytes.as_ref());
        set(&mut policy.accept_duplicates, accept_duplicates.as_ref());
        set(&mut policy.broker_memory, broker_memory.as_ref());
        policy.fsync = match *fsync {
            None => policy.fsync,
            Some(SpoolFsync::Always) => Fsync::Always,
            Some(SpoolFsync::Interval(every)) => Fsync::Interval(every),
            Some(SpoolFsync::Never) => Fsync::Never,
        };
        self.spool(policy)
    }

    #[cfg(feature = "tls")]
    fn security(self, given: &ClientSettings) -> Self {
        if !given.security_protocol.is_some_and(SecurityProtocol::has_tls) {
            return self;
        }
        if given.tls.check_host_name == Some(false) {
            tracing::warn!(
                "ssl.endpoint.identification.algorithm turns off the check of host names: every server with a certificate of a \
                 trusted issuer can pretend to be the broker"
            );
        }
        self.tls(given.tls.config())
    }

    #[cfg(not(feature = "tls"))]
    fn security(self, _: &ClientSettings) -> Self {
        self
    }
}

fn set<T: Clone>(field: &mut T, given: Option<&T>) {
    if let Some(value) = given {
        field.clone_from(value);
    }
}

fn apply_client(config: &mut ProducerConfig, given: &ClientSettings) {
    set(&mut config.client_id, given.client_id.as_ref());
    set(&mut config.request_timeout, given.request_timeout.as_ref());
    set(&mut config.retry_backoff, given.retry_backoff.as_ref());
    set(&mut config.retry_backoff_max, given.retry_backoff_max.as_ref());
    set(&mut config.reconnect_backoff, given.reconnect_backoff.as_ref());
    set(&mut config.reconnect_backoff_max, given.reconnect_backoff_max.as_ref());
    set(&mut config.connect_timeout, given.connect_timeout.as_ref());
    set(&mut config.connect_timeout_max, given.connect_timeout_max.as_ref());
    // librdkafka has no bound for it to grow to.
    if given.connect_timeout.is_some() && given.connect_timeout_max.is_none() {
        config.connect_timeout_max = config.connect_timeout_max.max(config.connect_timeout);
    }
    set(&mut config.idle_timeout, given.idle_timeout.as_ref());
    set(&mut config.metadata_max_age, given.metadata_max_age.as_ref());
    set(&mut config.metadata_max_idle, given.metadata_max_idle.as_ref());
    set(&mut config.rebootstrap, given.rebootstrap.as_ref());
    set(&mut config.rebootstrap_trigger, given.rebootstrap_trigger.as_ref());
    set(&mut config.auto_create_topics, given.auto_create_topics.as_ref());
    set(&mut config.max_frame, given.max_frame.as_ref());
    // As in Java: a first wait above the bound means a constant one.
    config.retry_backoff = config.retry_backoff.min(config.retry_backoff_max);
    // As in Java: who sets the first alone wants a constant wait.
    if given.reconnect_backoff.is_some() && given.reconnect_backoff_max.is_none() {
        config.reconnect_backoff_max = config.reconnect_backoff;
    }
}

fn apply_producer(config: &mut ProducerConfig, grows: &mut Grows, given: &ProducerSettings) {
    grows.buffer_memory &= given.buffer_memory.is_none();
    grows.delivery_timeout &= given.delivery_timeout.is_none();
    set(&mut config.retries, given.retries.as_ref());
    set(&mut config.max_in_flight, given.max_in_flight.as_ref());
    set(&mut config.linger, given.linger.as_ref());
    set(&mut config.batch_size, given.batch_size.as_ref());
    set(&mut config.buffer_memory, given.buffer_memory.as_ref());
    set(&mut config.max_block, given.max_block.as_ref());
    set(&mut config.unknown_topic_grace, given.unknown_topic_grace.as_ref());
    let refused = given.refused_identity.map(|given| match given {
        OnRefusedIdentity::Wait => RefusedIdentity::Wait,
        OnRefusedIdentity::FailAtStart => RefusedIdentity::FailAtStart,
        OnRefusedIdentity::Fail => RefusedIdentity::Fail,
    });
    set(&mut config.refused_identity, refused.as_ref());
    set(&mut config.adaptive, given.adaptive.as_ref());
    set(&mut config.compression, given.compression.as_ref());
    // One limit in Java, two here.
    set(&mut config.max_record_size, given.max_request_size.as_ref());
    if let Some(size) = given.max_request_size {
        config.max_request_size = size;
        if grows.buffer_memory {
            config.buffer_memory = config.buffer_memory.max(size);
        }
    }
    // As in Java: a default timeout that is too short for the other two grows, one that was set is an error.
    set(&mut config.delivery_timeout, given.delivery_timeout.as_ref());
    if grows.delivery_timeout {
        let needed = config.linger.saturating_add(config.request_timeout);
        config.delivery_timeout = config.delivery_timeout.max(needed.min(Duration::from_millis(i32::MAX as u64)));
    }
    let ignores_keys = given.ignore_keys == Some(true);
    let is_built_in = matches!(config.partitioner, PartitionerKind::Java | PartitionerKind::IgnoreKeys);
    if ignores_keys && given.partitioner.is_none() && !is_built_in {
        tracing::warn!("partitioner.ignore.keys has no effect: the producer was given another partitioner in code");
    }
    let partitioner = match given.partitioner {
        None if ignores_keys && is_built_in => Some(PartitionerKind::IgnoreKeys),
        Some(Partitioner::Java) if ignores_keys => Some(PartitionerKind::IgnoreKeys),
        Some(Partitioner::Java) => Some(PartitionerKind::Java),
        Some(Partitioner::UniformSticky) => Some(PartitionerKind::IgnoreKeys),
        Some(Partitioner::RoundRobin) => Some(PartitionerKind::RoundRobin),
        Some(Partitioner::Random) => Some(PartitionerKind::Random),
        Some(Partitioner::Consistent) => Some(PartitionerKind::Consistent),
        Some(Partitioner::ConsistentRandom) => Some(PartitionerKind::ConsistentRandom),
        Some(Partitioner::Murmur2) => Some(PartitionerKind::Murmur2),
        Some(Partitioner::Murmur2Random) => Some(PartitionerKind::Murmur2Random),
        Some(Partitioner::Fnv1a) => Some(PartitionerKind::Fnv1a),
        Some(Partitioner::Fnv1aRandom) => Some(PartitionerKind::Fnv1aRandom),
        _ => None,
    };
    set(&mut config.partitioner, partitioner.as_ref());
}

fn guarantee(given: &ProducerSettings) -> Result<Option<Guarantee>, ConfigProblem> {
    let contradiction = |acks: &str| ConfigProblem {
        setting: "enable.idempotence".into(),
        problem: format!("true needs acks=all, and acks={acks} was given; drop one of the two"),
    };
    match (given.acks, given.enable_idempotence) {
        (Some(Acks::None), Some(true)) => Err(contradiction("0")),
        (Some(Acks::Leader), Some(true)) => Err(contradiction("1")),
        (Some(Acks::None), _) => Ok(Some(Guarantee::AtMostOnce)),
        (Some(Acks::Leader), _) => Ok(Some(Guarantee::AtLeastOnce { all_replicas: false })),
        (_, Some(false)) => Ok(Some(Guarantee::AtLeastOnce { all_replicas: true })),
        (Some(Acks::All), _) | (None, Some(true)) => Ok(Some(Guarantee::ExactlyOnce)),
        (None, None) => Ok(None),
    }
}

fn tcp(mut tcp: TcpConnector, given: &ClientSettings) -> TcpConnector {
    tcp.send_buffer = given.send_buffer.or(tcp.send_buffer);
    tcp.receive_buffer = given.receive_buffer.or(tcp.receive_buffer);
    tcp.nodelay = given.nodelay.unwrap_or(tcp.nodelay);
    if given.keepalive == Some(false) {
        tcp.keepalive = None;
    }
    tcp
}

#[cfg(test)]
mod tests {
    use milena_client::property::Properties;

    use super::*;

    fn given(acks: Option<Acks>, idempotence: Option<bool>) -> ProducerSettings {
        let mut settings = ProducerSettings::default();
        settings.acks = acks;
        settings.enable_idempotence = idempotence;
        settings
    }

    #[test]
    fn a_spool_is_made_of_its_properties_and_these_are_nothing_without_its_folder() {
        let read = |text: &str| {
            let mut properties = Properties::new();
            let settings = properties.add_text("spool.properties", text).settings().unwrap();
            crate::Producer::builder("localhost:9092").settings(&settings)
        };
        let all = "milena.spool.dir=/var/spool/x\nmilena.spool.max.bytes=99\nmilena.spool.fsync=250\n\
                   milena.spool.accept.duplicates=true\nmilena.spool.broker.memory.ms=3600000";
        let policy = read(all).spool.unwrap();
        assert_eq!(policy.dir, std::path::Path::new("/var/spool/x"));
        assert_eq!((policy.max_bytes, policy.accept_duplicates), (99, true));
        assert_eq!(policy.fsync, Fsync::Interval(Duration::from_millis(250)));
        assert_eq!(policy.broker_memory, Duration::from_secs(3600));
        let alone = read("milena.spool.dir=x").spool.unwrap();
        assert_eq!((alone.max_bytes, alone.fsync), (SpoolPolicy::new("x").max_bytes, Fsync::Always));
        assert_eq!(read("milena.spool.dir=x\nmilena.spool.fsync=never").spool.unwrap().fsync, Fsync::Never);

        let homeless = read("milena.spool.max.bytes=99");
        assert!(homeless.spool.is_none());
        assert_eq!(homeless.problems[0].setting, "milena.spool.dir");
    }

    #[test]
    fn what_becomes_of_waiting_records_is_chosen_by_name() {
        for (value, chosen) in [
            ("wait", RefusedIdentity::Wait),
            ("fail-at-start", RefusedIdentity::FailAtStart),
            ("fail", RefusedIdentity::Fail),
        ] {
            let text = format!("milena.refused.identity={value}");
            let settings = Properties::new().add_text("test", &text).settings().unwrap();
            let builder = crate::Producer::builder("localhost:9092").settings(&settings);
            assert_eq!(builder.config.refused_identity, chosen);
            assert!(builder.config.to_string().contains(&format!("milena.refused.identity = {value}\n")));
        }
        let problems = Properties::new().add_text("test", "milena.refused.identity=never").settings().unwrap_err();
        assert!(problems.to_string().contains("fail-at-start"), "{problems}");
    }

    #[test]
    fn the_largest_answer_is_the_same_for_whoever_reads_it_and_whoever_takes_it() {
        let settings = Properties::new().add_text("test", "receive.message.max.bytes=200000000").settings().unwrap();
        let builder = Producer::builder("localhost:9092").settings(&settings);
        assert_eq!(builder.config.max_frame, 200_000_000);
        assert_eq!(crate::builder::cluster_config(&builder.config).max_frame, 200_000_000);
    }

    #[test]
    fn brokers_are_those_of_the_properties_unless_others_are_named_in_code() {
        let bootstrap = |builder: ProducerBuilder| builder.build().map(|producer| producer.config().bootstrap.clone());
        let settings = |text| Properties::new().add_text("test", text).settings().unwrap();
        let named = settings("bootstrap.servers=kafka-1:9092,kafka-2:9092\nlinger.ms=7");
        let from = Producer::from_settings(&named);
        assert_eq!(from.config.linger, Duration::from_millis(7));
        assert_eq!(bootstrap(from).unwrap(), named.client.bootstrap.clone().unwrap());
        let elsewhere = bootstrap(Producer::builder("localhost:9092").settings(&named)).unwrap();
        assert_eq!(elsewhere.iter().map(ToString::to_string).collect::<Vec<_>>(), ["localhost:9092"]);
        let nowhere = bootstrap(Producer::from_settings(&settings("linger.ms=7"))).unwrap_err().to_string();
        assert!(nowhere.contains("bootstrap.servers"), "{nowhere}");
    }

    #[test]
    fn acks_and_idempotence_make_one_guarantee_or_a_contradiction() {
        let least = |all_replicas| Some(Guarantee::AtLeastOnce { all_replicas });
        assert_eq!(guarantee(&given(None, None)), Ok(None));
        assert_eq!(guarantee(&given(None, Some(true))), Ok(Some(Guarantee::ExactlyOnce)));
        assert_eq!(guarantee(&given(Some(Acks::All), None)), Ok(Some(Guarantee::ExactlyOnce)));
        assert_eq!(guarantee(&given(None, Some(false))), Ok(least(true)));
        assert_eq!(guarantee(&given(Some(Acks::All), Some(false))), Ok(least(true)));
        assert_eq!(guarantee(&given(Some(Acks::Leader), None)), Ok(least(false)));
        assert_eq!(guarantee(&given(Some(Acks::None), Some(false))), Ok(Some(Guarantee::AtMostOnce)));
        assert!(guarantee(&given(Some(Acks::Leader), Some(true))).is_err());
        assert!(guarantee(&given(Some(Acks::None), Some(true))).is_err());
    }
}
