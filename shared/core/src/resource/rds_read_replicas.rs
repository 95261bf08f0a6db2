//! Read replicas of an RDS instance.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::Common;
use super::{
    Adapter, DimensionSpec, Draft, Facts, Guide, Kind, Mode, Named, Readers, ResourceSpec, TARGET_UTILIZATION,
    Undo, average, utilization,
};
use crate::scalar::Span;

/// About a db.m5.large: us-east-1, PostgreSQL, Single-AZ, <https://aws.amazon.com/rds/pricing/>, November 2026.
const REPLICA_USD_HOURLY: f64 = 0.19;
/// A replica is restored from a snapshot and catches up: a quarter of an hour, and longer for large storage.
const PROVISIONING_S: u32 = 900;
/// Replication is asynchronous, and a minute behind is more than a busy replica is.
const LAG_MAX_MS: u32 = 60_000;

/// Read replicas of an RDS instance.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct RdsReadReplicas {
    #[serde(flatten)]
    common: Common,
    /// Smallest number of units.
    min_capacity: u32,
    /// Largest number of units.
    #[schemars(range(max = 15))]
    max_capacity: u32,
    /// Percent of the CPU to use, of the first replica that Headroom makes. Default 70.
    #[schemars(range(min = 1, max = 100))]
    target_cpu_utilization: Option<f64>,
    /// The class of replicas that are made. Default that of the oldest replica, or of the source.
    instance_class: Option<String>,
    /// Whether replicas that Headroom did not make may be deleted too, after its own. Default false.
    adopt_readers: Option<bool>,
    /// How far behind the source a replica may be and count as ready. Default 1m.
    max_replica_lag: Option<Span>,
}

impl Kind for RdsReadReplicas {
    const GUIDE: Guide = Guide {
        example: "{type: RDS_READ_REPLICAS, name: orders, min_capacity: 1, max_capacity: 5}",
        also: "",
        dimensions: None,
        measured_by: "CPU of the first replica that Headroom makes",
        target: "`target_cpu_utilization`, 70",
        never: &[
            "It never touches the source.",
            "It never deletes a replica that it did not make, unless `adopt_readers: true`.",
            "It never deletes a replica while another one is behind the source.",
        ],
    };

    fn describe(self, draft: &mut Draft<'_>) -> ResourceSpec {
        draft.lower_case(&self.common.name);
        if self.common.mode == Some(Mode::Floor) {
            draft.fault(&["mode"], "must be `desired`: AWS has no policy of its own that a floor could lie under");
        }
        let first = Readers::name(&self.common.name, 1);
        if self.common.metrics.as_deref().unwrap_or_default().is_empty() {
            let sentence = format!(
                "are measured by the CPU of `{first}`, the first replica that Headroom makes: CloudWatch has none of all together. \
                 Name `metrics` where others carry the load"
            );
            draft.warn(&[], sentence);
        }
        let given = self.target_cpu_utilization;
        let cpu = draft.target(("target_cpu_utilization", "CPUUtilization"), given, Some(TARGET_UTILIZATION));
        let named = [("DBInstanceIdentifier", first.as_str())];
        let cpu = cpu.map(|cpu| utilization("cpu", cpu, average("AWS/RDS", "CPUUtilization", named)));
        // A replica that is made again is another instance, with an empty cache.
        let facts = Facts {
            is_served: true,
            undo: Undo::Partial,
            moves_by_unit: true,
            ..Facts::of_storage_at(REPLICA_USD_HOURLY)
        };
        let replicas = DimensionSpec::only("replicas", self.min_capacity, self.max_capacity, facts);
        ResourceSpec {
            adapter: Some(Adapter::RdsReadReplicas(Readers {
                class: self.instance_class,
                adopted: self.adopt_readers == Some(true),
                lag_max_ms: self.max_replica_lag.map_or(LAG_MAX_MS, super::milliseconds),
            })),
            common: self.common,
            named: Some(Named::DbInstance),
            within: Vec::new(),
            dimensions: vec![replicas.metrics(cpu)],
            provisioning_s: PROVISIONING_S,
        }
    }
}
