//! Looking: metrics and capacity of every dimension, and the past of those seen for the first time.

use headroom_aws::failure::Failure;
use headroom_aws::fleet::{Depth, Fleet};
use headroom_aws::metrics::{Metrics, Points, Window};
use headroom_aws::past;
use headroom_aws::store::{Learned, version_of};
use headroom_aws::table::Table;
use headroom_core::collect::{self, Asked};
use headroom_core::cycle::{Batch, Cycle};
use headroom_core::observe::Observation;
use headroom_core::platform::{Platform, Query, Resource};
use jiff::Timestamp;

use crate::Ports;

/// Native policies change with deployments, not with load.
const NATIVES_S: i64 = 3_600;

/// Reads and stores what a cycle needs; says in a sentence what was seen.
pub(crate) async fn look<T: Table, M: Metrics, F: Fleet, C, E>(
    ports: &Ports<T, M, F, C, E>,
    platform: &Platform,
    cycle: &Cycle,
    looked_at: Option<Timestamp>,
) -> Result<String, Failure> {
    let asked = collect::asked(platform);
    let read = ports.store.learned(&platform.name).await?;
    let mut learned = read.value.clone();
    read_past(ports, platform, &asked, cycle.now, looked_at, &mut learned).await;
    ask_natives(ports, platform, cycle.now, &mut learned).await?;
    if learned != read.value {
        ports.store.put_learned(&platform.name, &read, &learned).await?;
    }
    let resources: Vec<&Resource> = platform.resources().map(|(_, resource)| resource).collect();
    let observed = ports.fleet.observe(&resources, &learned.natives, cycle.now, Depth::Cheap).await;
    let reach = collect::reach(platform);
    let (from, to) = collect::recent(cycle.now, reach);
    let points = points(ports, &asked, Window { from, to, period_s: collect::PERIOD_S }).await?;
    let (shards, hours) = collect::live_places(platform, cycle.now, reach);
    let live = ports.store.live_chunks(&platform.name, &shards, &hours).await?;
    let read = collect::read(platform, &asked, &points, &observed, &live, cycle.now);
    ports.store.put_live_chunks(&platform.name, &read.chunks).await?;
    for batch in Batch::cover(platform) {
        let mine = read.observations.iter().filter(|seen| batch.contains(&seen.key.resource));
        let mine: Vec<Observation> = mine.cloned().collect();
        ports.store.put_observations(cycle, &batch, &mine).await?;
    }
    Ok(summary(platform, &read.observations))
}

fn summary(platform: &Platform, observations: &[Observation]) -> String {
    let unknown = observations.iter().filter(|seen| {
        seen.capacity.known().is_none() || seen.readings.iter().any(|reading| reading.load.known().is_none())
    });
    let (all, unserved) = (platform.dimensions().count(), platform.dimensions().count() - observations.len());
    format!("{all} dimensions, {} not fully known, {unserved} without an adapter", unknown.count())
}

async fn points<T, M: Metrics, F, C, E>(
    ports: &Ports<T, M, F, C, E>,
    asked: &[Asked<'_>],
    window: Window,
) -> Result<Vec<Points>, Failure> {
    let queries: Vec<Query> = asked.iter().map(|asked| asked.query.clone()).collect();
    Ok(ports.metrics.read(&queries, window).await?)
}

/// Which resources have a native policy: asked once an hour, or when the platform has changed.
async fn ask_natives<T: Table, M, F: Fleet, C, E>(
    ports: &Ports<T, M, F, C, E>,
    platform: &Platform,
    now: Timestamp,
    learned: &mut Learned,
) -> Result<(), Failure> {
    let open = platform.resources().map(|(_, resource)| resource).filter(|resource| resource.mode.is_none());
    let open: Vec<&Resource> = open.collect();
    let ids: Vec<String> = open.iter().map(|resource| resource.id.to_string()).collect();
    let of = Some(version_of(&ids.join("\n")).0);
    let age_s = learned.natives_asked_at.map(|asked_at| now.as_second() - asked_at.as_second());
    let fresh = age_s.is_some_and(|age_s| (0..NATIVES_S).contains(&age_s)) && learned.natives_asked_of == of;
    if fresh || open.is_empty() {
        return Ok(());
    }
    match ports.fleet.natives(&open).await {
        Ok(natives) => {
            *learned =
                Learned { natives, natives_asked_at: Some(now), natives_asked_of: of, ..learned.clone() };
            Ok(())
        }
        // An old answer is better than none. Without any, nothing can be said about who owns the capacity.
        Err(error) if learned.natives_asked_at.is_some() => {
            tracing::warn!(%error, "native policies could not be read; the last answer counts");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads the past of metrics seen for the first time, and what no cycle read since the last one. What fails is a gap
/// in the history, or tried again in the next cycle, and stops nothing.
async fn read_past<T: Table, M: Metrics, F, C, E>(
    ports: &Ports<T, M, F, C, E>,
    platform: &Platform,
    asked: &[Asked<'_>],
    now: Timestamp,
    looked_at: Option<Timestamp>,
    learned: &mut Learned,
) {
    let warn = |error: Failure| {
        tracing::warn!(error.name = error.name(), "the past of some metrics could not be read: {error}");
    };
    if let Err(error) = read_new(ports, platform, asked, now, learned).await {
        warn(error);
    }
    let missed = looked_at.and_then(|at| collect::missed(now, collect::reach(platform), at));
    if let Some((from, to, period_s)) = missed {
        let window = Window { from, to, period_s };
        for some in asked.chunks(collect::PAST_METRICS_MAX) {
            if let Err(error) = read_window(ports, platform, some, window).await {
                warn(error);
            }
        }
    }
}

async fn read_new<T: Table, M: Metrics, F, C, E>(
    ports: &Ports<T, M, F, C, E>,
    platform: &Platform,
    asked: &[Asked<'_>],
    now: Timestamp,
    learned: &mut Learned,
) -> Result<(), Failure> {
    let new = asked.iter().filter(|asked| !learned.columns.contains(&asked.column().0));
    let new: Vec<Asked<'_>> = new.take(collect::PAST_METRICS_MAX).copied().collect();
    if new.is_empty() {
        return Ok(());
    }
    let windows = collect::past(now, collect::reach(platform), platform.predictive.training_period);
    for (from, to, period_s) in windows {
        read_window(ports, platform, &new, Window { from, to, period_s }).await?;
    }
    tracing::info!(platform = %platform.name, metrics = new.len(), "read the past of {} metrics", new.len());
    learned.columns.extend(new.iter().map(|asked| asked.column().0));
    Ok(())
}

/// Reads a window of the past into history.
async fn read_window<T: Table, M: Metrics, F, C, E>(
    ports: &Ports<T, M, F, C, E>,
    platform: &Platform,
    asked: &[Asked<'_>],
    window: Window,
) -> Result<(), Failure> {
    let loads = past::loads(&ports.metrics, asked, window).await?;
    let loads = asked.iter().zip(loads);
    for (shard, days) in collect::past_chunks((window.from, window.to, window.period_s), loads) {
        ports.store.put_past(&platform.name, shard, &days, window.to).await?;
    }
    Ok(())
}
