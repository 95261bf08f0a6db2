//! The past: of metrics seen for the first time, and what no cycle read since the last one. It is read in small parts, each
//! of which is kept at once, for as long as the invocation has time; the rest is read by the next cycles.

use std::time::Duration;

use headroom_aws::error::ErrorKind;
use headroom_aws::failure::Failure;
use headroom_aws::in_front::InFront;
use headroom_aws::metrics::{Metrics, POINTS_MAX, Window};
use headroom_aws::past;
use headroom_aws::store::Missed;
use headroom_aws::table::Table;
use headroom_core::collect::{self, MetricRequest};
use headroom_core::platform::Platform;
use jiff::Timestamp;

use crate::Ports;
use crate::look::Memory;

/// No part is begun with less time than this left: a part takes some seconds, half a minute when CloudWatch is slow, and
/// the cycle itself must still look. With 180 s a cycle reads the past for a minute.
const RESERVE: Duration = Duration::from_secs(120);

/// Reads what there is time for. What fails is tried again by the next cycle, and stops nothing.
pub(crate) async fn read_past<T: Table, M: Metrics, F, C, E>(
    ports: &Ports<T, M, F, C, E>,
    platform: &Platform,
    asked: &[MetricRequest<'_>],
    now: Timestamp,
    looked_at: Option<Timestamp>,
    memory: &mut Memory,
) {
    note_missed(platform, now, looked_at, &mut memory.learned.missed);
    let read = async {
        read_missed(ports, platform, asked, memory).await?;
        read_new(ports, platform, asked, now, memory).await
    };
    let read: Result<(), Failure> = read.await;
    if let Err(error) = read {
        tracing::warn!(error.name = error.name(), "the past of some metrics could not be read: {error}");
    }
}

/// Adds the time that no cycle read to what is to be read. A cycle that failed has noted it already.
fn note_missed(platform: &Platform, now: Timestamp, looked_at: Option<Timestamp>, missed: &mut Vec<Missed>) {
    let found = looked_at.and_then(|at| collect::missed(now, collect::reach(platform), at));
    let Some((from, to, period_s)) = found else { return };
    let from = missed.last().map_or(from, |last| from.max(last.to));
    if from < to {
        missed.push(Missed { from, to, period_s, done: None });
    }
}

async fn read_missed<T: Table, M: Metrics, F, C, E>(
    ports: &Ports<T, M, F, C, E>,
    platform: &Platform,
    asked: &[MetricRequest<'_>],
    memory: &mut Memory,
) -> Result<(), Failure> {
    let mut sorted = asked.to_vec();
    sorted.sort_by_key(MetricRequest::column);
    while let Some(missed) = memory.learned.missed.first().cloned() {
        let window = Window { from: missed.from, to: missed.to, period_s: missed.period_s };
        let left =
            sorted.iter().filter(|asked| missed.done.as_ref().is_none_or(|done| *done < asked.column().0));
        // What is seen for the first time is read with its whole past.
        let left = left.filter(|asked| memory.learned.columns.contains(&asked.column().0));
        let part: Vec<MetricRequest<'_>> = left.take(together(window)).copied().collect();
        let Some(last) = part.last() else {
            memory.learned.missed.remove(0);
            continue;
        };
        if !ports.time_left.is_enough_for(RESERVE) {
            return Ok(());
        }
        match read_window(ports, platform, &part, window, memory).await {
            // What AWS refuses for good is a gap in the history, and does not keep the rest from being read.
            Err(Failure::Aws(error))
                if !matches!(error.kind, ErrorKind::Throttled | ErrorKind::Unavailable) =>
            {
                tracing::warn!(%error, "some metrics have a gap in their history");
            }
            read => read?,
        }
        if let Some(missed) = memory.learned.missed.first_mut() {
            missed.done = Some(last.column().0);
        }
        memory.save(ports, platform).await?;
    }
    Ok(())
}

async fn read_new<T: Table, M: Metrics, F, C, E>(
    ports: &Ports<T, M, F, C, E>,
    platform: &Platform,
    asked: &[MetricRequest<'_>],
    now: Timestamp,
    memory: &mut Memory,
) -> Result<(), Failure> {
    let new = asked.iter().filter(|asked| !memory.learned.columns.contains(&asked.column().0));
    // The past of what is measured at target groups can be read once these are known.
    let groups = memory.learned.target_groups.clone();
    let new = new.filter(|asked| !collect::completed(asked.query, &groups).is_empty());
    let new: Vec<MetricRequest<'_>> = new.take(collect::PAST_METRICS_MAX).copied().collect();
    let windows = collect::past(now, collect::reach(platform), platform.predictive.training_period);
    let windows = windows.into_iter().map(|(from, to, period_s)| Window { from, to, period_s });
    let windows: Vec<Window> = windows.collect();
    let together = windows.iter().copied().map(together).min().unwrap_or(1);
    for part in new.chunks(together) {
        if !ports.time_left.is_enough_for(RESERVE) {
            break;
        }
        for window in &windows {
            read_window(ports, platform, part, *window, memory).await?;
        }
        memory.learned.columns.extend(part.iter().map(|asked| asked.column().0));
        memory.save(ports, platform).await?;
        tracing::info!(platform = %platform.name, metrics = part.len(), "read the past of {} metrics", part.len());
    }
    Ok(())
}

/// Metrics that are read together: as many as CloudWatch answers in one call.
fn together(window: Window) -> usize {
    (POINTS_MAX / window.periods().max(1)).clamp(1, collect::PAST_METRICS_MAX)
}

/// Reads a window of the past into history.
async fn read_window<T: Table, M: Metrics, F, C, E>(
    ports: &Ports<T, M, F, C, E>,
    platform: &Platform,
    asked: &[MetricRequest<'_>],
    window: Window,
    memory: &mut Memory,
) -> Result<(), Failure> {
    let metrics = InFront::new(&ports.metrics, &memory.learned.target_groups);
    let loads = past::loads(&metrics, asked, window).await?;
    memory.note_seen(asked.iter().zip(loads.iter().map(|past| past.loads.as_slice())));
    let loads = asked.iter().zip(loads);
    for (shard, days) in collect::past_chunks((window.from, window.to, window.period_s), loads) {
        ports.store.put_past(&platform.name, shard, &days, window.to).await?;
    }
    Ok(())
}
