//! DescribeCluster (API 60): the brokers, as an admin client asks for them.

use super::versions::DESCRIBE_CLUSTER;
use crate::ErrorCode;
use crate::ids::BrokerId;

message! {
    /// Asks about the cluster.
    pub struct DescribeClusterRequest {
        /// Whether to say what the caller may do to the cluster.
        include_cluster_authorized_operations: bool [0..];
        /// Of what kind of endpoint to tell: `1` brokers, `2` controllers.
        endpoint_type: i8 [1..] = 1;
        /// Whether to name fenced brokers, too.
        include_fenced_brokers: bool [2..];
    }

    /// The cluster.
    pub struct DescribeClusterResponse {
        /// How long to keep quiet on this connection, in milliseconds (KIP-219).
        throttle_ms: i32 [0..];
        /// Whether there is an answer.
        error: ErrorCode [0..];
        /// What the broker has to say about the error.
        error_message: Option<String> [0..];
        /// What kind of endpoint this tells of.
        endpoint_type: i8 [1..] = 1;
        /// The cluster's id.
        cluster_id: String [0..];
        /// The controller, or some broker that forwards to it; negative if unknown.
        controller: BrokerId [0..];
        /// The brokers.
        brokers: Vec<ClusterBroker> [0..];
        /// A bit for each thing the caller may do; `i32::MIN` if not asked.
        cluster_authorized_operations: i32 [0..] = i32::MIN;
    }

    /// A broker.
    pub struct ClusterBroker {
        /// Its id.
        node: BrokerId [0..];
        /// Its host name or address.
        host: String [0..];
        /// Its port.
        port: i32 [0..];
        /// Its rack, if it has one.
        rack: Option<String> [0..];
        /// Whether it is fenced.
        is_fenced: bool [2..];
    }
}

request!(DescribeClusterRequest, DESCRIBE_CLUSTER);
response!(DescribeClusterResponse, DESCRIBE_CLUSTER);
