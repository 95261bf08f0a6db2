//! Looking: metrics and capacity of every dimension.

use headroom_aws::failure::Failure;
use headroom_aws::fleet::{Depth, Fleet};
use headroom_aws::in_front::InFront;
use headroom_aws::metrics::{MetricAnswer, Metrics, Points, Window};
use headroom_aws::store::{Learned, Versioned, version_of};
use headroom_aws::table::Table;
use headroom_core::collect::{self, MetricRequest};
use headroom_core::cycle::{Batch, Cycle};
use headroom_core::observe::Observation;
use headroom_core::platform::{Platform, Query, Resource};
use jiff::Timestamp;

use crate::{Ports, past};

/// Native policies and target groups change with deployments, not with load.
const ASKED_EVERY_S: i64 = 3_600;

/// Reads and stores what a cycle needs; says in a sentence what was seen.
pub(crate) async fn look<T: Table, M: Metrics, F: Fleet, C, E>(
    ports: &Ports<T, M, F, C, E>,
    platform: &Platform,
    cycle: &Cycle,
    looked_at: Option<Timestamp>,
) -> Result<String, Failure> {
    let asked = collect::metric_requests(platform);
    let mut memory = Memory::read(ports, platform).await?;
    ask_target_groups(ports, platform, &asked, cycle.now, &mut memory.learned).await;
    past::read_past(ports, platform, &asked, cycle.now, looked_at, &mut memory).await;
    ask_natives(ports, platform, cycle.now, &mut memory.learned).await?;
    memory.save(ports, platform).await?;
    let resources: Vec<&Resource> = platform.resources().map(|(_, resource)| resource).collect();
    let observed = ports.fleet.observe(&resources, &memory.learned.natives, cycle.now, Depth::Cheap).await;
    let reach = collect::reach(platform);
    let window = collect::recent(cycle.now, reach);
    let mut answers = answers(ports, &asked, &memory.learned, window).await?;
    memory.note_seen(asked.iter().zip(&answers).map(|(asked, answer)| (asked, &answer.points[..])));
    memory.save(ports, platform).await?;
    collect::add_quiet(&asked, &mut answers);
    for (asked, answer) in asked.iter().zip(&mut answers) {
        collect::add_idle(asked.query, answer, &memory.learned.last_seen, cycle.now, window);
    }
    let points: Vec<Points> = answers.into_iter().map(|answer| answer.points).collect();
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

async fn answers<T, M: Metrics, F, C, E>(
    ports: &Ports<T, M, F, C, E>,
    asked: &[MetricRequest<'_>],
    learned: &Learned,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<MetricAnswer>, Failure> {
    let queries: Vec<Query> = asked.iter().map(|asked| asked.query.clone()).collect();
    let metrics = InFront::new(&ports.metrics, &learned.target_groups);
    Ok(metrics.read(&queries, Window { from, to, period_s: collect::PERIOD_S }).await?)
}

/// What was learned about the platform, as it is stored and as it is now.
pub(crate) struct Memory {
    stored: Versioned<Learned>,
    /// As it is now.
    pub(crate) learned: Learned,
}

impl Memory {
    async fn read<T: Table, M, F, C, E>(
        ports: &Ports<T, M, F, C, E>,
        platform: &Platform,
    ) -> Result<Memory, Failure> {
        let stored = ports.store.learned(&platform.name).await?;
        Ok(Memory { learned: stored.value.clone(), stored })
    }

    /// Stores what has changed since it was stored last.
    pub(crate) async fn save<T: Table, M, F, C, E>(
        &mut self,
        ports: &Ports<T, M, F, C, E>,
        platform: &Platform,
    ) -> Result<(), Failure> {
        if self.learned != self.stored.value {
            ports.store.put_learned(&platform.name, &self.stored, &self.learned).await?;
            self.stored = Versioned { value: self.learned.clone(), revision: self.stored.revision + 1 };
        }
        Ok(())
    }

    /// Notes which metrics have points.
    pub(crate) fn note_seen<'a>(
        &mut self,
        read: impl IntoIterator<Item = (&'a MetricRequest<'a>, &'a [(Timestamp, f64)])>,
    ) {
        let read = read.into_iter().map(|(asked, points)| (asked.query, points));
        collect::note_seen(read, &mut self.learned.last_seen);
    }
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
    let of = digest(&open);
    let fresh = is_lately(learned.natives_asked_at, now) && learned.natives_asked_of == of;
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

fn is_lately(asked_at: Option<Timestamp>, now: Timestamp) -> bool {
    let age_s = asked_at.map(|asked_at| now.as_second() - asked_at.as_second());
    age_s.is_some_and(|age_s| (0..ASKED_EVERY_S).contains(&age_s))
}

/// Of which resources something is asked.
fn digest(resources: &[&Resource]) -> Option<String> {
    let ids: Vec<&str> = resources.iter().map(|resource| resource.id.0.as_str()).collect();
    Some(version_of(&ids.join("\n")).0)
}

/// Which target groups the resources have whose metrics are measured there: asked once an hour, or when the platform has
/// changed. Of a resource whose target groups cannot be read the last answer counts, and without any its metrics are unknown.
async fn ask_target_groups<T: Table, M, F: Fleet, C, E>(
    ports: &Ports<T, M, F, C, E>,
    platform: &Platform,
    asked: &[MetricRequest<'_>],
    now: Timestamp,
    learned: &mut Learned,
) {
    let resources = collect::measured_in_front(platform, asked);
    let of = digest(&resources);
    let fresh = is_lately(learned.target_groups_asked_at, now) && learned.target_groups_asked_of == of;
    if fresh || resources.is_empty() {
        return;
    }
    let mut all_known = true;
    for (resource, found) in ports.fleet.target_groups(&resources).await {
        match found {
            // Between two deployments a resource may be registered with none.
            Ok(groups) if groups.is_empty() => all_known = false,
            Ok(groups) => drop(learned.target_groups.insert(resource, groups)),
            Err(error) => {
                all_known = false;
                tracing::warn!(%resource, %error, "the target groups could not be read; the last answer counts");
            }
        }
    }
    learned.target_groups.retain(|id, _| resources.iter().any(|resource| resource.id == *id));
    // What is not known is asked for again by the next cycle.
    learned.target_groups_asked_at = all_known.then_some(now);
    learned.target_groups_asked_of = of;
}
