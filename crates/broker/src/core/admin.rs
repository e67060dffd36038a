//! Requests that create, delete, extend and describe.

use milena_wire::message::create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse, ExtendedTopic};
use milena_wire::message::create_topics::{CreatableTopic, CreateTopicsRequest, CreateTopicsResponse, CreatedTopic};
use milena_wire::message::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse, DeletedTopic};
use milena_wire::message::describe_configs::{
    BROKER, ConfigResource, DescribeConfigsRequest, DescribeConfigsResponse, DescribedConfig, DescribedResource, TOPIC,
};
use milena_wire::message::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use milena_wire::{ErrorCode, ProducerEpoch, ProducerId, TopicId, TopicName};

use super::{At, Core, Refusal};

/// Where a described setting comes from.
const SOURCE_TOPIC: i8 = 1;
const SOURCE_DEFAULT: i8 = 5;

impl Core {
    pub(super) fn create_topics(&mut self, at: At, request: &CreateTopicsRequest) -> CreateTopicsResponse {
        let topics = request.topics.iter().map(|wanted| {
            let created = self.create_one(at, wanted, request.validate_only);
            let mut topic = CreatedTopic { name: wanted.name.clone(), configs: Some(Vec::new()), ..Default::default() };
            match created {
                Ok((id, partitions, replicas)) => {
                    topic.id = id;
                    topic.partitions = partitions;
                    topic.replication_factor = replicas;
                }
                Err(refusal) => {
                    topic.error = refusal.code;
                    topic.error_message = Some(refusal.message);
                }
            }
            topic
        });
        CreateTopicsResponse { topics: topics.collect(), ..Default::default() }
    }

    fn create_one(&mut self, at: At, wanted: &CreatableTopic, dry: bool) -> Result<(TopicId, i32, i16), Refusal> {
        let of_cluster = i16::try_from(self.nodes.len()).unwrap_or(i16::MAX);
        let (partitions, replicas) = match wanted.assignments.first() {
            // Where the replicas go is decided here all the same.
            Some(first) => (
                i32::try_from(wanted.assignments.len()).unwrap_or(i32::MAX),
                i16::try_from(first.brokers.len()).unwrap_or(i16::MAX),
            ),
            None => (
                if wanted.partitions == -1 { self.config.default_partitions } else { wanted.partitions },
                match wanted.replication_factor {
                    -1 => self.config.default_replication.min(of_cluster),
                    replicas => replicas,
                },
            ),
        };
        let configs = wanted.configs.iter().filter_map(|c| Some((c.name.clone(), c.value.clone()?))).collect();
        if dry {
            self.check_new_topic(&wanted.name, partitions, replicas, configs)?;
            return Ok((TopicId::ZERO, partitions, replicas));
        }
        let id = self.create_topic(at, &wanted.name, partitions, replicas, configs)?;
        Ok((id, partitions, replicas))
    }

    pub(super) fn delete_topics(&mut self, request: &DeleteTopicsRequest, dry: bool) -> DeleteTopicsResponse {
        let by_name = request.names.iter().map(|name| (Some(name.clone()), TopicId::ZERO));
        let wanted = request.topics.iter().map(|topic| (topic.name.clone(), topic.id)).chain(by_name);
        let topics = wanted.map(|(name, id)| {
            let known = name.clone().or_else(|| self.names.get(&id).cloned());
            let deleted = match &known {
                None => Err(Refusal::new(ErrorCode::UNKNOWN_TOPIC_ID, "no topic has this id")),
                Some(_) if dry => Ok(id),
                Some(name) => self.delete_topic(name),
            };
            match deleted {
                Ok(id) => DeletedTopic { name: known, id, ..Default::default() },
                Err(Refusal { code, message, .. }) => {
                    DeletedTopic { name, id, error: code, error_message: Some(message) }
                }
            }
        });
        DeleteTopicsResponse { topics: topics.collect(), ..Default::default() }
    }

    pub(super) fn create_partitions_of(&mut self, request: &CreatePartitionsRequest) -> CreatePartitionsResponse {
        let topics = request.topics.iter().map(|wanted| {
            let refusal = self.create_partitions(&wanted.name, wanted.count, request.validate_only).err();
            ExtendedTopic {
                name: wanted.name.clone(),
                error: refusal.as_ref().map_or(ErrorCode::NONE, |refusal| refusal.code),
                error_message: refusal.map(|refusal| refusal.message),
            }
        });
        CreatePartitionsResponse { topics: topics.collect(), ..Default::default() }
    }

    pub(super) fn init_producer_id(&mut self, request: &InitProducerIdRequest) -> InitProducerIdResponse {
        let given = match request.transactional_id.as_deref() {
            // Without a transactional id the old identity does not matter: a new one it is.
            None => self.new_producer_id().map_err(|refusal| refusal.code),
            Some("") => Err(ErrorCode::INVALID_REQUEST),
            Some(_) => Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        };
        let (error, producer_id, producer_epoch) = match given {
            Ok(id) => (ErrorCode::NONE, id, self.config.first_epoch),
            Err(code) => (code, ProducerId::NONE, ProducerEpoch::NONE),
        };
        InitProducerIdResponse { error, producer_id, producer_epoch, ..Default::default() }
    }

    pub(super) fn describe_configs(&self, request: &DescribeConfigsRequest) -> DescribeConfigsResponse {
        let results = request.resources.iter().map(|resource| {
            let mut result =
                DescribedResource { kind: resource.kind, name: resource.name.clone(), ..Default::default() };
            match self.configs_of(resource) {
                Ok(configs) => result.configs = configs,
                Err(refusal) => {
                    result.error = refusal.code;
                    result.error_message = Some(refusal.message);
                }
            }
            result
        });
        DescribeConfigsResponse { results: results.collect(), ..Default::default() }
    }

    fn configs_of(&self, resource: &ConfigResource) -> Result<Vec<DescribedConfig>, Refusal> {
        let described = |name: &str, value: String, source| DescribedConfig {
            name: name.to_owned(),
            value: Some(value),
            source,
            ..Default::default()
        };
        let mut configs = match resource.kind {
            TOPIC => {
                let topic = self.topics.get(&TopicName::new(&resource.name)).ok_or_else(|| {
                    Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("no topic {}", resource.name))
                })?;
                let config = &topic.config;
                let in_force = [
                    ("max.message.bytes", config.max_message_bytes.to_string()),
                    ("min.insync.replicas", config.min_insync_replicas.to_string()),
                    ("segment.bytes", config.segment_bytes.to_string()),
                ];
                let defaults = in_force.into_iter().filter(|(name, _)| !config.given.contains_key(*name));
                let defaults = defaults.map(|(name, value)| described(name, value, SOURCE_DEFAULT));
                let given = config.given.iter().map(|(name, value)| described(name, value.clone(), SOURCE_TOPIC));
                defaults.chain(given).collect::<Vec<_>>()
            }
            BROKER => vec![
                described("auto.create.topics.enable", self.config.auto_create_topics.to_string(), SOURCE_DEFAULT),
                described("message.max.bytes", self.config.max_message_bytes.to_string(), SOURCE_DEFAULT),
                described("min.insync.replicas", self.config.min_insync_replicas.to_string(), SOURCE_DEFAULT),
                described("num.partitions", self.config.default_partitions.to_string(), SOURCE_DEFAULT),
            ],
            kind => {
                let message = format!("resources of kind {kind} have no configs here");
                return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
            }
        };
        if let Some(keys) = &resource.keys {
            configs.retain(|config| keys.contains(&config.name));
        }
        Ok(configs)
    }
}
