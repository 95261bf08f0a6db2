//! Clusters of Aurora Serverless v2: the range of ACUs in which Aurora itself moves, in halves.

use std::collections::BTreeMap;

use aws_sdk_rds::types::{
    ClusterPendingModifiedValues, DbCluster, ServerlessV2ScalingConfiguration as Range,
    ServerlessV2ScalingConfigurationInfo as RangeNow,
};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::{Mode, Query, Resource};
use headroom_core::units::Units;
use jiff::Timestamp;

use super::{AVAILABLE, Clients, Clusters, NAMES_MAX, clusters, level, names, newest};
use crate::error::{AwsError, ErrorKind};
use crate::fleet::{Capacities, Target};

/// The largest ACU that Headroom moves too, where the file asks for it.
const MAXIMUM: &str = "maximum";
/// Aurora takes no smaller maximum than one ACU.
const MAXIMUM_LEAST: Units = Units(2);
const HALVES: f64 = 2.0;

/// What the smallest instance of each cluster has now, as far as CloudWatch tells.
type InUse = BTreeMap<String, Units>;

pub(in crate::fleet) async fn observe(
    clients: &Clients,
    targets: &[Target<'_>],
    now: Timestamp,
) -> Capacities {
    let mut seen = Capacities::new();
    let in_use = in_use(clients, targets, now).await;
    for targets in targets.chunks(NAMES_MAX) {
        let clusters = clusters(&clients.rds, &names(targets)).await;
        seen.extend(targets.iter().flat_map(|target| see(target.resource, &clusters, &in_use)));
    }
    seen
}

fn see(
    resource: &Resource,
    clusters: &Result<Clusters, AwsError>,
    in_use: &InUse,
) -> Vec<(DimensionKey, Observed<Capacity>)> {
    let name = &resource.name;
    let found = match clusters {
        Ok(clusters) => clusters.get(name).ok_or_else(|| format!("there is no DB cluster {name}")),
        Err(error) => Err(error.to_string()),
    };
    let found = found.and_then(|cluster| Ok((cluster, range(cluster)?)));
    let of = |key: &DimensionKey| match &found {
        Ok((cluster, range)) => {
            Observed::Known(capacity(&key.dimension, cluster, range, in_use.get(name).copied()))
        }
        Err(why) => Observed::Unknown(why.clone()),
    };
    resource.dimensions.iter().map(|dimension| (dimension.key.clone(), of(&dimension.key))).collect()
}

fn range(cluster: &DbCluster) -> Result<&RangeNow, String> {
    cluster.serverless_v2_scaling_configuration().ok_or_else(|| {
        let name = cluster.db_cluster_identifier().unwrap_or_default();
        format!("DB cluster {name} has no range of ACUs: it is not one of Aurora Serverless v2")
    })
}

/// Halves of an ACU.
fn halves(acu: Option<f64>) -> Units {
    Units::at_most(acu.unwrap_or(0.0) * HALVES)
}

fn acu(halves: Units) -> f64 {
    halves.real() / HALVES
}

fn capacity(dimension: &str, cluster: &DbCluster, range: &RangeNow, in_use: Option<Units>) -> Capacity {
    let (min, max) = (halves(range.min_capacity()), halves(range.max_capacity()));
    let busy = busy(cluster);
    if dimension == MAXIMUM {
        // Nothing else is asked of a paused cluster than to stay so.
        let is_paused = min == Units(0) && in_use == Some(Units(0));
        let paused = || Busy::ScaleInHeld("the cluster is paused, and a change would wake it".to_owned());
        return Capacity {
            mode: Mode::Desired,
            set: max,
            ready: max,
            busy: busy.or_else(|| is_paused.then(paused)),
            aws_min: Some(min.max(MAXIMUM_LEAST)),
            ..Capacity::default()
        };
    }
    // Aurora has more than the minimum where the load wants it, so this is a floor.
    Capacity {
        mode: Mode::Floor,
        set: min,
        ready: in_use.unwrap_or(min),
        busy,
        aws_max: Some(max),
        whole: Some(max),
        ..Capacity::default()
    }
}

/// Aurora refuses changes of a cluster that is not available. A change of ours is applied at once, and with it everything
/// that waits for the maintenance window, restarts included: that is for a person to choose.
fn busy(cluster: &DbCluster) -> Option<Busy> {
    let status = cluster.status().unwrap_or("in an unknown state");
    if status != AVAILABLE {
        return Some(Busy::Locked(format!("the cluster is {status}")));
    }
    let pending = cluster.pending_modified_values()?;
    let is_empty = *pending == ClusterPendingModifiedValues::builder().build();
    (!is_empty).then(|| {
        Busy::Held(
            "changes wait for the cluster's maintenance window, and another one would bring them on"
                .to_owned(),
        )
    })
}

/// The newest capacity of the smallest instance of each cluster: Aurora user guide, "Important Amazon CloudWatch metrics for
/// Aurora Serverless v2". What is not told is not known, and the minimum then stands in.
async fn in_use(clients: &Clients, targets: &[Target<'_>], now: Timestamp) -> InUse {
    let names = names(targets);
    let query = |name: &String| level("ServerlessDatabaseCapacity", ("DBClusterIdentifier", name), "Minimum");
    let queries: Vec<Query> = names.iter().map(query).collect();
    let newest = newest(&clients.metrics, &queries, now).await;
    names.into_iter().zip(newest).filter_map(|(name, acu)| Some((name, halves(Some(acu?))))).collect()
}

/// Sets the range in one call. Aurora wants both ends of it: what is not to move is sent as it stands.
pub(in crate::fleet) async fn set(
    clients: &Clients,
    resource: &Resource,
    pause_after_s: Option<u32>,
    targets: &BTreeMap<DimensionKey, Units>,
) -> Result<(), AwsError> {
    let name = &resource.name;
    let wanted: Vec<String> =
        targets.iter().map(|(key, units)| format!("{}={units}", key.dimension)).collect();
    let doing = || format!("set {} of DB cluster {name}", wanted.join(" and "));
    let clusters = clusters(&clients.rds, std::slice::from_ref(name)).await?;
    let cluster = clusters.get(name);
    let cluster = cluster.ok_or_else(|| AwsError::new(ErrorKind::NotFound, doing(), "it does not exist"))?;
    let now = range(cluster).map_err(|why| AwsError::new(ErrorKind::Invalid, doing(), why))?;
    let target = |is_maximum: bool| {
        targets.iter().find(|(key, _)| (key.dimension == MAXIMUM) == is_maximum).map(|(_, units)| *units)
    };
    let min = target(false).unwrap_or(halves(now.min_capacity()));
    let max = target(true).unwrap_or(halves(now.max_capacity()));
    // AWS forgets the delay of a cluster that may not pause, and would begin with its own.
    let delay = pause_after_s.and_then(|delay_s| i32::try_from(delay_s).ok());
    let delay = delay.or(now.seconds_until_auto_pause()).filter(|_| min == Units(0));
    let range = Range::builder().min_capacity(acu(min)).max_capacity(acu(max));
    let range = range.set_seconds_until_auto_pause(delay).build();
    let request = clients.rds.modify_db_cluster().db_cluster_identifier(name);
    let request = request.serverless_v2_scaling_configuration(range).apply_immediately(true);
    let sent = request.customize().config_override(once!(aws_sdk_rds)).send().await;
    sent.map(drop).map_err(|error| AwsError::of(error, doing()))
}
