//! Each kind of resource by whole cycles: out, in, and rolled back.

pub(crate) mod api_gateway_stage;
pub(crate) mod aurora_serverless;
pub(crate) mod eks_node_group;
pub(crate) mod elasticache_replication_group;
pub(crate) mod every;
pub(crate) mod kinesis_stream;
pub(crate) mod lambda_function;
pub(crate) mod readers;
pub(crate) mod sagemaker_endpoint;
pub(crate) mod scalable_target;
pub(crate) mod warm_pool;
