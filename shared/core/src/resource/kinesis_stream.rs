//! Shards of a Kinesis data stream in provisioned mode.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::Common;
use super::{
    Adapter, DailyLimit, DimensionSpec, Draft, Facts, Guide, Kind, Measure, Metric, Mode, Named, Rate,
    ResourceSpec, TARGET_UTILIZATION, guard, published,
};

/// us-east-1, provisioned mode, <https://aws.amazon.com/kinesis/data-streams/pricing/>, November 2026.
const SHARD_USD_HOURLY: f64 = 0.015;
/// A resharding of a few shards takes about a minute.
const PROVISIONING_S: u32 = 60;
/// Kinesis Data Streams API reference, UpdateShardCount: ten times in any 24 hours.
const RESHARDINGS: DailyLimit = DailyLimit::Changes { daily: 10 };
/// Kinesis Data Streams developer guide, quotas and limits: a shard takes so much a second and refuses the rest.
const SHARD_TAKES: [(&str, f64); 2] = [("IncomingBytes", 1_048_576.0), ("IncomingRecords", 1_000.0)];
/// Records refused a minute. Producers send again what is refused now and then; one a second for a whole cycle is more than
/// that, whatever the means of a minute say.
const REFUSED_MAX: f64 = 60.0;

/// Shards of a Kinesis data stream.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct KinesisStream {
    #[serde(flatten)]
    common: Common,
    /// Smallest number of units.
    min_capacity: u32,
    /// Largest number of units.
    max_capacity: u32,
    /// Percent of a shard's throughput to use. Default 70.
    #[schemars(range(min = 1, max = 100))]
    target_utilization: Option<f64>,
}

impl Kind for KinesisStream {
    const GUIDE: Guide = Guide {
        example: "{type: KINESIS_STREAM, name: clicks, min_capacity: 2, max_capacity: 64}",
        also: ", provisioned mode",
        dimensions: None,
        measured_by: "incoming bytes and records, and records refused",
        target: "`target_utilization`, 70",
        never: &[
            "It never changes the mode, and leaves a stream on demand alone.",
            "It never goes beyond double or half of the open shards in one call.",
        ],
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        if self.min_capacity == 0 {
            draft.fault(&["min_capacity"], "must be at least 1; a stream has no fewer shards");
        }
        if self.common.mode == Some(Mode::Floor) {
            draft.fault(&["mode"], "must be `desired`: AWS has no policy of its own that a floor could lie under");
        }
        let percent = draft.or(&["target_utilization"], self.target_utilization, TARGET_UTILIZATION);
        let metrics = metrics(&self.common.name, percent);
        let facts = Facts {
            is_served: true,
            daily_limit: Some(RESHARDINGS),
            carries: &SHARD_TAKES,
            ..Facts::of_units_at(SHARD_USD_HOURLY)
        };
        let shards = DimensionSpec::only("shards", self.min_capacity, self.max_capacity, facts);
        ResourceSpec {
            common: self.common,
            named: Some(Named::Stream),
            within: Vec::new(),
            adapter: Some(Adapter::KinesisStream),
            dimensions: vec![shards.metrics(metrics)],
            provisioning_s: PROVISIONING_S,
        }
    }
}

/// What is written to a stream, and what of it is refused.
fn metrics(stream: &str, percent: f64) -> Vec<Metric> {
    let named = [("StreamName", stream)];
    // What is above a shard's limit is refused within a second that no metric shows: there is no limit to plan with above the
    // operator's own target.
    let written = SHARD_TAKES.map(|(metric_name, most)| Metric {
        name: metric_name.trim_start_matches("Incoming").to_lowercase(),
        measure: Measure::Load { target_per_unit: most * percent / 100.0, limit_per_unit: None },
        query: Some(published("AWS/Kinesis", metric_name, named, ("Sum", Rate::PerSecond))),
    });
    let refused = guard("refused", REFUSED_MAX, ("AWS/Kinesis", "WriteProvisionedThroughputExceeded", named));
    written.into_iter().chain([refused]).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    fn file(rest: &str) -> String {
        format!(
            "configuration_name: shop\nscaling_groups: {{in: {{resources: [{{type: KINESIS_STREAM, name: clicks, \
             max_capacity: 64, {rest}}}]}}}}\n"
        )
    }

    #[test]
    fn a_shard_takes_so_many_bytes_and_records_a_second() {
        let platform = parse(&file("min_capacity: 2, target_utilization: 50")).unwrap().platform;
        let dimension = platform.dimensions().next().unwrap().dimension;
        let told: Vec<String> = dimension
            .metrics
            .iter()
            .map(|metric| {
                let query = metric.query.as_ref().unwrap();
                format!("{} {:?} {:?}", query.line(), query.rate, metric.measure)
            })
            .collect();
        assert_eq!(
            told,
            [
                "AWS/Kinesis IncomingBytes StreamName=clicks Sum PerSecond \
                 Load { target_per_unit: 524288.0, limit_per_unit: None }",
                "AWS/Kinesis IncomingRecords StreamName=clicks Sum PerSecond \
                 Load { target_per_unit: 500.0, limit_per_unit: None }",
                "AWS/Kinesis WriteProvisionedThroughputExceeded StreamName=clicks Sum PerMinute Latency { limit: 60.0 }",
            ]
        );
    }

    #[test]
    fn what_no_stream_can_have_is_a_fault() {
        for (rest, fault) in [
            ("min_capacity: 0", "min_capacity: must be at least 1"),
            ("min_capacity: 2, mode: floor", "mode: must be `desired`"),
        ] {
            let faults = parse(&file(rest)).unwrap_err();
            assert!(faults.0.iter().any(|told| told.to_string().contains(fault)), "{faults:?}");
        }
    }
}
