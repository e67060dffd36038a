//! One row per code, in order and without gaps: its number, whether asking again may help, and what people are told.

use super::{Class, ErrorCode, Row};

macro_rules! error_codes {
    ($($name:ident = $code:literal, $class:ident, $description:literal;)*) => {
        impl ErrorCode {
            $(#[doc = concat!("`", stringify!($code), "`: ", $description, ".")]
            pub const $name: Self = Self($code);)*
        }

        /// Ordered by code; the first is that of `-1`.
        pub(super) const ROWS: &[Row] = &[$(Row {
            code: ErrorCode::$name,
            name: stringify!($name),
            class: Class::$class,
            description: $description,
        }),*];
    };
}

error_codes! {
    UNKNOWN_SERVER_ERROR = -1, Final, "the broker failed in a way it has no code for; its log says how";
    NONE = 0, Final, "no error";
    OFFSET_OUT_OF_RANGE = 1, Final, "the offset is outside the partition's log";
    CORRUPT_MESSAGE = 2, Retriable,
        "the batch arrived damaged, or the topic is compacted and a record has no key; give each record of a \
         compacted topic a key, else suspect the network";
    UNKNOWN_TOPIC_OR_PARTITION = 3, Metadata,
        "the topic or partition does not exist on this broker; create the topic, check its name, or allow the \
         client to describe it";
    INVALID_FETCH_SIZE = 4, Final, "the fetch size is not allowed";
    LEADER_NOT_AVAILABLE = 5, Metadata,
        "the partition has no leader at the moment; if this lasts, all its replicas are down";
    NOT_LEADER_OR_FOLLOWER = 6, Metadata,
        "another broker leads the partition now; the client finds it by itself";
    REQUEST_TIMED_OUT = 7, Retriable,
        "the broker did not finish in time, for one because replicas are slow; the request may have taken \
         effect";
    BROKER_NOT_AVAILABLE = 8, Final, "the broker is not available";
    REPLICA_NOT_AVAILABLE = 9, Metadata,
        "the replica is not available at the moment; the client looks for another";
    MESSAGE_TOO_LARGE = 10, Final,
        "the batch is larger than the topic allows; send smaller records or raise max.message.bytes of the \
         topic (message.max.bytes of the broker)";
    STALE_CONTROLLER_EPOCH = 11, Final, "the request comes from a controller that has been replaced";
    OFFSET_METADATA_TOO_LARGE = 12, Final, "the text stored with the committed offset is too long";
    NETWORK_EXCEPTION = 13, Metadata,
        "the connection was lost before the answer came; the request may have taken effect";
    COORDINATOR_LOAD_IN_PROGRESS = 14, Retriable,
        "the coordinator is still loading its state; it is ready in a moment";
    COORDINATOR_NOT_AVAILABLE = 15, Retriable,
        "there is no coordinator at the moment; if this lasts, Kafka's internal topics lack replicas";
    NOT_COORDINATOR = 16, Retriable, "another broker is the coordinator now; the client finds it by itself";
    INVALID_TOPIC_EXCEPTION = 17, Final,
        "the topic's name is not legal, or the topic is internal; names have up to 249 of a-z A-Z 0-9 . _ -";
    RECORD_LIST_TOO_LARGE = 18, Final,
        "the batch is larger than a log segment of the topic; make batches smaller or raise segment.bytes";
    NOT_ENOUGH_REPLICAS = 19, Retriable,
        "fewer replicas are in sync than min.insync.replicas asks for; nothing was written. Bring brokers \
         back";
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20, Retriable,
        "the leader wrote the batch, but then too few replicas were in sync for min.insync.replicas. Bring \
         brokers back";
    INVALID_REQUIRED_ACKS = 21, Final, "acks is none of 0, 1 and -1";
    ILLEGAL_GENERATION = 22, Final,
        "the group has moved on to another generation; the consumer must join again";
    INCONSISTENT_GROUP_PROTOCOL = 23, Final,
        "the member shares no assignment protocol with the rest of its group";
    INVALID_GROUP_ID = 24, Final, "the group's name is not allowed";
    UNKNOWN_MEMBER_ID = 25, Final, "the group does not know this member; it must join again";
    INVALID_SESSION_TIMEOUT = 26, Final,
        "the session timeout is outside what the broker allows (group.min.session.timeout.ms to \
         group.max.session.timeout.ms)";
    REBALANCE_IN_PROGRESS = 27, Final,
        "the group is distributing its partitions anew; the member must join again";
    INVALID_COMMIT_OFFSET_SIZE = 28, Final, "the commit is larger than the broker allows";
    TOPIC_AUTHORIZATION_FAILED = 29, Final,
        "the client may not write to the topic; grant its principal Write and Describe on it";
    GROUP_AUTHORIZATION_FAILED = 30, Final,
        "the client may not use the group; grant its principal Read on it";
    CLUSTER_AUTHORIZATION_FAILED = 31, Final,
        "the client may not do this to the cluster; an idempotent producer needs Write on a topic, on a broker \
         before 2.8 IdempotentWrite on the cluster";
    INVALID_TIMESTAMP = 32, Final,
        "a record's timestamp is further from the broker's clock than the topic allows; check the clocks and \
         message.timestamp.before.max.ms and after.max.ms";
    UNSUPPORTED_SASL_MECHANISM = 33, Final,
        "the broker does not offer the SASL mechanism; choose one of sasl.enabled.mechanisms of that listener";
    ILLEGAL_SASL_STATE = 34, Final,
        "the request is not allowed before the client has authenticated; check the security settings of both \
         sides";
    UNSUPPORTED_VERSION = 35, Final, "the broker does not speak this version of the API";
    TOPIC_ALREADY_EXISTS = 36, Final, "a topic of this name exists already";
    INVALID_PARTITIONS = 37, Final, "the number of partitions is not allowed, or not more than there are";
    INVALID_REPLICATION_FACTOR = 38, Final,
        "the number of replicas is below one, or there are not so many brokers";
    INVALID_REPLICA_ASSIGNMENT = 39, Final, "the replicas cannot be placed as asked for";
    INVALID_CONFIG = 40, Final, "a setting has a name or value that is not allowed";
    NOT_CONTROLLER = 41, Retriable, "another broker is the controller now";
    INVALID_REQUEST = 42, Final, "the broker could not make sense of the request; its log says why";
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43, Final,
        "the topic keeps an old record format that lacks what is asked for; raise log.message.format.version";
    POLICY_VIOLATION = 44, Final, "a policy of the cluster forbids it";
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45, Final,
        "the broker misses records of this producer before these; an earlier batch was not written, or the \
         broker lost it";
    DUPLICATE_SEQUENCE_NUMBER = 46, Final,
        "the broker has the batch already, but no longer knows at which offset; it is written";
    INVALID_PRODUCER_EPOCH = 47, Final,
        "a newer epoch of this producer id has been used; for a transaction, another instance with the same \
         transactional id is active";
    INVALID_TXN_STATE = 48, Final, "the transaction is not in a state that allows this";
    INVALID_PRODUCER_ID_MAPPING = 49, Final,
        "the producer id does not belong to the transactional id any longer; the id was idle for longer than \
         transactional.id.expiration.ms. Create a new producer";
    INVALID_TRANSACTION_TIMEOUT = 50, Final,
        "the transaction timeout is larger than transaction.max.timeout.ms of the broker";
    CONCURRENT_TRANSACTIONS = 51, Retriable,
        "the transaction before this one is still being completed; it will be in a moment";
    TRANSACTION_COORDINATOR_FENCED = 52, Final,
        "the marker comes from a transaction coordinator that has been replaced";
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53, Final,
        "the client may not use the transactional id; grant its principal Write and Describe on it";
    SECURITY_DISABLED = 54, Final, "the broker has no authorizer, so there is nothing to manage";
    OPERATION_NOT_ATTEMPTED = 55, Final, "the broker did not try, because another part of the request failed";
    KAFKA_STORAGE_ERROR = 56, Metadata,
        "the broker's disk failed; another broker takes the partition over if it has replicas";
    LOG_DIR_NOT_FOUND = 57, Final, "the broker has no such log directory";
    SASL_AUTHENTICATION_FAILED = 58, Final,
        "the broker refused the credentials; check user name, password or token";
    UNKNOWN_PRODUCER_ID = 59, Final,
        "the broker has forgotten this producer, for its records have been deleted from the partition or it \
         was idle for long";
    REASSIGNMENT_IN_PROGRESS = 60, Final, "the partitions are being moved already";
    DELEGATION_TOKEN_AUTH_DISABLED = 61, Final, "the broker does not use delegation tokens";
    DELEGATION_TOKEN_NOT_FOUND = 62, Final, "the broker does not know the delegation token";
    DELEGATION_TOKEN_OWNER_MISMATCH = 63, Final, "the delegation token belongs to someone else";
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64, Final,
        "delegation tokens cannot be requested over this kind of connection";
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65, Final, "the client may not use the delegation token";
    DELEGATION_TOKEN_EXPIRED = 66, Final, "the delegation token has expired";
    INVALID_PRINCIPAL_TYPE = 67, Final, "principals of this type are not supported";
    NON_EMPTY_GROUP = 68, Final, "the group still has members";
    GROUP_ID_NOT_FOUND = 69, Final, "there is no such group";
    FETCH_SESSION_ID_NOT_FOUND = 70, Retriable,
        "the broker has forgotten the fetch session; a new one is started";
    INVALID_FETCH_SESSION_EPOCH = 71, Retriable, "the fetch session is out of step; a new one is started";
    LISTENER_NOT_FOUND = 72, Metadata,
        "the leader has no listener of the name this connection uses; give all brokers the same listeners";
    TOPIC_DELETION_DISABLED = 73, Final,
        "the cluster does not allow topics to be deleted (delete.topic.enable)";
    FENCED_LEADER_EPOCH = 74, Metadata,
        "the client knows an older leader of the partition; it finds the new one by itself";
    UNKNOWN_LEADER_EPOCH = 75, Retriable,
        "the client knows of a newer leader than this broker does; the broker learns of it in a moment";
    UNSUPPORTED_COMPRESSION_TYPE = 76, Final,
        "the broker or the request's version does not know this compression; zstd needs Kafka 2.1";
    STALE_BROKER_EPOCH = 77, Final, "the broker has registered anew since";
    OFFSET_NOT_AVAILABLE = 78, Retriable,
        "a new leader does not know yet how far the log is committed; it will in a moment";
    MEMBER_ID_REQUIRED = 79, Final, "the member must join again with the id it was just given";
    PREFERRED_LEADER_NOT_AVAILABLE = 80, Metadata, "the preferred leader is not available";
    GROUP_MAX_SIZE_REACHED = 81, Final, "the group is full (group.max.size)";
    FENCED_INSTANCE_ID = 82, Final, "another consumer uses the same group.instance.id";
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83, Metadata, "no replica that could lead is available";
    ELECTION_NOT_NEEDED = 84, Metadata, "the partition has the leader it should have";
    NO_REASSIGNMENT_IN_PROGRESS = 85, Final, "the partitions are not being moved";
    GROUP_SUBSCRIBED_TO_TOPIC = 86, Final,
        "the group is subscribed to the topic, so its offsets cannot be deleted";
    INVALID_RECORD = 87, Final,
        "the broker refused records of the batch, for one because a compacted topic needs keys; the record \
         errors say which";
    UNSTABLE_OFFSET_COMMIT = 88, Retriable, "a transaction that commits these offsets is still open";
    THROTTLING_QUOTA_EXCEEDED = 89, Retriable, "the client is over its quota; wait, or raise the quota";
    PRODUCER_FENCED = 90, Final,
        "a newer producer with the same transactional id has taken over; close this one";
    RESOURCE_NOT_FOUND = 91, Final, "there is no such resource";
    DUPLICATE_RESOURCE = 92, Final, "the request names the same resource twice";
    UNACCEPTABLE_CREDENTIAL = 93, Final, "the credential does not meet the rules";
    INCONSISTENT_VOTER_SET = 94, Final, "sender or receiver is not one of the expected voters";
    INVALID_UPDATE_VERSION = 95, Final, "the feature level is not allowed";
    FEATURE_UPDATE_FAILED = 96, Final,
        "the feature level could not be changed; the controller's log says why";
    PRINCIPAL_DESERIALIZATION_FAILURE = 97, Final,
        "a forwarded request names its principal in a way the broker cannot read; check the brokers' security \
         settings";
    SNAPSHOT_NOT_FOUND = 98, Final, "there is no such snapshot";
    POSITION_OUT_OF_RANGE = 99, Final, "the position is outside the snapshot";
    UNKNOWN_TOPIC_ID = 100, Metadata,
        "the broker does not know the topic's id; it was just created, or deleted";
    DUPLICATE_BROKER_REGISTRATION = 101, Final, "another broker has this id";
    BROKER_ID_NOT_REGISTERED = 102, Final, "no broker has this id";
    INCONSISTENT_TOPIC_ID = 103, Metadata,
        "the log belongs to another topic of the same name; the topic was deleted and created again";
    INCONSISTENT_CLUSTER_ID = 104, Final, "the broker belongs to another cluster; check the addresses";
    TRANSACTIONAL_ID_NOT_FOUND = 105, Final, "there is no such transactional id";
    FETCH_SESSION_TOPIC_ID_ERROR = 106, Retriable,
        "the fetch session mixes topics with and without ids; a new one is started";
    INELIGIBLE_REPLICA = 107, Final, "a replica that may not be in sync was named as such";
    NEW_LEADER_ELECTED = 108, Final, "the change was made, and another leader elected";
    OFFSET_MOVED_TO_TIERED_STORAGE = 109, Final, "the offset is in remote storage now";
    FENCED_MEMBER_EPOCH = 110, Final, "the group has fenced the member; it must join again";
    UNRELEASED_INSTANCE_ID = 111, Final, "another member of the group still uses the instance id";
    UNSUPPORTED_ASSIGNOR = 112, Final, "the group does not support the assignor";
    STALE_MEMBER_EPOCH = 113, Final, "the member's epoch is old; it must wait for the new one";
    MISMATCHED_ENDPOINT_TYPE = 114, Final,
        "brokers were asked what controllers should be, or the other way round";
    UNSUPPORTED_ENDPOINT_TYPE = 115, Final, "this kind of endpoint is not supported";
    UNKNOWN_CONTROLLER_ID = 116, Final, "there is no such controller";
    UNKNOWN_SUBSCRIPTION_ID = 117, Final,
        "the telemetry subscription has changed; it must be asked for again";
    TELEMETRY_TOO_LARGE = 118, Final, "the client's metrics are larger than the broker takes";
    INVALID_REGISTRATION = 119, Final, "the controller refused the broker's registration";
    TRANSACTION_ABORTABLE = 120, Final, "the transaction cannot go on; abort it and start it again";
    INVALID_RECORD_STATE = 121, Final,
        "the records cannot be acknowledged any longer; they were released to another consumer";
    SHARE_SESSION_NOT_FOUND = 122, Retriable,
        "the broker has forgotten the share session; a new one is started";
    INVALID_SHARE_SESSION_EPOCH = 123, Retriable, "the share session is out of step; a new one is started";
    FENCED_STATE_EPOCH = 124, Final, "the share group's state has a newer epoch";
    INVALID_VOTER_KEY = 125, Final, "the voter is not this replica";
    DUPLICATE_VOTER = 126, Final, "the voter is one already";
    VOTER_NOT_FOUND = 127, Final, "there is no such voter";
    INVALID_REGULAR_EXPRESSION = 128, Final, "the regular expression of the subscription is not valid";
    REBOOTSTRAP_REQUIRED = 129, Final,
        "the client's view of the cluster is out of date; it starts again from its bootstrap addresses";
    STREAMS_INVALID_TOPOLOGY = 130, Final, "the Streams topology is not valid";
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131, Final, "the Streams topology's epoch is not valid";
    STREAMS_TOPOLOGY_FENCED = 132, Final, "the Streams topology's epoch is old";
    SHARE_SESSION_LIMIT_REACHED = 133, Retriable,
        "the broker has no room for another share session at the moment";
}
