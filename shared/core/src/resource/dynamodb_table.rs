//! Read and write units of a DynamoDB table in provisioned mode, and of its indexes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::{Common, Missing, Range};
use super::{
    Adapter, DailyLimit, DimensionSpec, Draft, Facts, Guide, Kind, Measure, Metric, Named, Query, Rate,
    ResourceSpec, ScalableTargetId, TARGET_UTILIZATION, published, TrackedMetric,
};

/// us-east-1, standard table class, <https://aws.amazon.com/dynamodb/pricing/provisioned/>, November 2026.
const READ_UNIT_USD_HOURLY: f64 = 0.000_13;
/// From the same page.
const WRITE_UNIT_USD_HOURLY: f64 = 0.000_65;
/// An update of a table's throughput takes about a minute.
const PROVISIONING_S: u32 = 60;
/// Four decreases in a day of UTC, and one more for each hour without any: DynamoDB developer guide, service quotas,
/// "Decreasing provisioned throughput".
const DECREASES: DailyLimit = DailyLimit::Decreases { daily: 4, then_every_s: 3_600 };

/// Read and write units of a DynamoDB table in provisioned mode, and of its indexes.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct DynamoDbTable {
    #[serde(flatten)]
    common: Common,
    /// Bounds of the read units.
    read_capacity: Option<Throughput>,
    /// Bounds of the write units.
    write_capacity: Option<Throughput>,
    /// Global secondary indexes, by name.
    indexes: Option<BTreeMap<String, IndexThroughput>>,
}

/// Bounds and target of a table's or index's read or write units.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Throughput {
    min: u32,
    max: u32,
    /// Percent of the provisioned units to use. Default 70.
    #[schemars(range(min = 1, max = 100))]
    target_utilization: Option<f64>,
    /// What a minute without points means: an idle table publishes none. Default unknown, which holds the capacity.
    missing: Option<Missing>,
}

/// Read and write units of an index.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IndexThroughput {
    read_capacity: Option<Throughput>,
    write_capacity: Option<Throughput>,
}

/// What a unit should carry is a share of it, and the policy's target a percentage.
const TRACKED: &[TrackedMetric] = &[
    TrackedMetric::new(("AWS/DynamoDB", "ConsumedReadCapacityUnits"), "DynamoDBReadCapacityUtilization").in_percent(),
    TrackedMetric::new(("AWS/DynamoDB", "ConsumedWriteCapacityUnits"), "DynamoDBWriteCapacityUtilization").in_percent(),
];

impl Kind for DynamoDbTable {
    const GUIDE: Guide = Guide {
        example: "{type: DYNAMODB_TABLE, name: orders, read_capacity: {min: 5, max: 400}, write_capacity: {min: 5, max: 200}, \
                  indexes: {by-email: {read_capacity: {min: 5, max: 100}}}}",
        also: ", provisioned mode",
        dimensions: Some("`read`, `write`, `INDEX:read`, `INDEX:write`"),
        measured_by: "consumed units",
        target: "`target_utilization`, 70",
        never: &[
            "It never changes the billing mode, and leaves a table on demand alone.",
            "It never changes a table or an index while DynamoDB updates it.",
        ],
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        let table = self.common.name.as_str();
        let own = IndexThroughput { read_capacity: self.read_capacity, write_capacity: self.write_capacity };
        let mut dimensions = units(draft, &[], (table, None), own);
        for (index, throughput) in self.indexes.unwrap_or_default() {
            draft.named(&["indexes", &index], Named::Index, &index);
            dimensions.extend(units(draft, &["indexes", &index], (table, Some(&index)), throughput));
        }
        ResourceSpec {
            common: self.common,
            named: Some(Named::Table),
            within: Vec::new(),
            adapter: Some(Adapter::DynamoDbTable),
            dimensions,
            provisioning_s: PROVISIONING_S,
        }
    }
}

/// The read and the write units of a table or of an index.
fn units(
    draft: &mut Draft<'_>,
    at: &[&str],
    (table, index): (&str, Option<&str>),
    throughput: IndexThroughput,
) -> Vec<DimensionSpec> {
    let parts = [
        ("read_capacity", Access::Read, throughput.read_capacity),
        ("write_capacity", Access::Write, throughput.write_capacity),
    ];
    let given = parts.into_iter().filter_map(|(key, access, given)| Some((key, access, given?)));
    given
        .map(|(key, access, Throughput { min, max, target_utilization, missing })| {
            let at = [at, &[key]].concat();
            let below = |key| [at.as_slice(), &[key]].concat();
            if min == 0 {
                draft.fault(&below("min"), "must be at least 1; DynamoDB has no smaller capacity");
            }
            let percent = draft.or(&below("target_utilization"), target_utilization, TARGET_UTILIZATION);
            let name = access.name();
            let name = index.map_or_else(|| name.to_owned(), |index| format!("{index}:{name}"));
            let facts = Facts {
                is_served: true,
                daily_limit: Some(DECREASES),
                carries: &[("Consumed", 1.0)],
                tracked: TRACKED,
                shown: access.shown(table, index),
                ..Facts::of_storage_at(access.unit_usd_hourly())
            };
            DimensionSpec::new(&name, &at, Range { min, max }, facts)
                .metrics([consumed((table, index), access, percent, missing)])
                .target(access.target(table, index))
        })
        .collect()
}

#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
}

impl Access {
    fn name(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "write",
        }
    }

    fn unit_usd_hourly(self) -> f64 {
        match self {
            Access::Read => READ_UNIT_USD_HOURLY,
            Access::Write => WRITE_UNIT_USD_HOURLY,
        }
    }

    fn metric_name(self) -> &'static str {
        match self {
            Access::Read => "ConsumedReadCapacityUnits",
            Access::Write => "ConsumedWriteCapacityUnits",
        }
    }

    /// The units that are provisioned, and the requests that were throttled.
    fn shown(self, table: &str, index: Option<&str>) -> Vec<Query> {
        let (provisioned, throttled) = match self {
            Access::Read => ("ProvisionedReadCapacityUnits", "ReadThrottleEvents"),
            Access::Write => ("ProvisionedWriteCapacityUnits", "WriteThrottleEvents"),
        };
        let of = |name: &str, read: (&str, Rate)| match index {
            Some(index) => {
                let named = [("TableName", table), ("GlobalSecondaryIndexName", index)];
                published("AWS/DynamoDB", name, named, read)
            }
            None => published("AWS/DynamoDB", name, [("TableName", table)], read),
        };
        vec![of(provisioned, ("Average", Rate::Level)), of(throttled, ("Sum", Rate::PerMinute))]
    }

    fn target(self, table: &str, index: Option<&str>) -> ScalableTargetId {
        let units = match self {
            Access::Read => "ReadCapacityUnits",
            Access::Write => "WriteCapacityUnits",
        };
        match index {
            None => ScalableTargetId::new("dynamodb", format!("table/{table}"), &format!("dynamodb:table:{units}")),
            Some(index) => ScalableTargetId::new(
                "dynamodb",
                format!("table/{table}/index/{index}"),
                &format!("dynamodb:index:{units}"),
            ),
        }
    }
}

/// Consumed capacity units a second; a unit of capacity carries one of them.
fn consumed(
    (table, index): (&str, Option<&str>),
    access: Access,
    percent: f64,
    missing: Option<Missing>,
) -> Metric {
    let second = ("Sum", Rate::PerSecond);
    let query = match index {
        Some(index) => {
            let named = [("TableName", table), ("GlobalSecondaryIndexName", index)];
            published("AWS/DynamoDB", access.metric_name(), named, second)
        }
        None => published("AWS/DynamoDB", access.metric_name(), [("TableName", table)], second),
    };
    // What is consumed above what is provisioned is throttled at once, within a second that no metric shows: there is no
    // limit to plan with above the operator's own target.
    let measure = Measure::Load { target_per_unit: percent / 100.0, limit_per_unit: None };
    let query = Query { missing_is_zero: missing == Some(Missing::Zero), ..query };
    Metric { name: "consumed".to_owned(), measure, query: Some(query) }
}
