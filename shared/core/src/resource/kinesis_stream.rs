//! Shards of a Kinesis data stream.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::Common;
use super::{DailyLimit, DimensionSpec, Draft, Facts, Guide, Kind, Named, ResourceSpec};

/// us-east-1, provisioned mode, <https://aws.amazon.com/kinesis/data-streams/pricing/>, November 2026.
const SHARD_USD_HOURLY: f64 = 0.015;
/// A resharding of a few shards takes about a minute.
const PROVISIONING_S: u32 = 60;
/// Kinesis Data Streams API reference, UpdateShardCount: ten times in 24 hours.
const RESHARDINGS: DailyLimit = DailyLimit::Changes { daily: 10 };

/// Shards of a Kinesis data stream.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "targets wait for this type's adapter")]
pub(crate) struct KinesisStream {
    #[serde(flatten)]
    common: Common,
    min_capacity: u32,
    max_capacity: u32,
    /// Percent of a shard's throughput to use. Default 70.
    #[schemars(range(min = 1, max = 100))]
    target_utilization: Option<f64>,
}

impl Kind for KinesisStream {
    const GUIDE: Guide = Guide {
        example: "{type: KINESIS_STREAM, name: clicks, min_capacity: 2, max_capacity: 64}",
        also: "",
        dimensions: None,
        measured_by: "",
        target: "",
    };

    fn describe(self, _: &mut Draft<'_>) -> ResourceSpec {
        let facts = Facts { daily_limit: Some(RESHARDINGS), ..Facts::of_units_at(SHARD_USD_HOURLY) };
        let shards = DimensionSpec::only("shards", self.min_capacity, self.max_capacity, facts);
        ResourceSpec {
            common: self.common,
            named: Some(Named::Stream),
            within: Vec::new(),
            adapter: None,
            dimensions: vec![shards],
            provisioning_s: PROVISIONING_S,
        }
    }
}
