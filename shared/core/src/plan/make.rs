//! From decisions to a plan: scale-outs in dependency order, then scale-ins in reverse.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Permit, Plan, Step, StepChange, StepId, Wave};
use crate::decide::Decision;
use crate::name::{ConfigVersion, CycleId, DimensionKey, GroupName, PlanId, ResourceId};
use crate::platform::{Platform, Strategy};
use crate::units::Direction;

/// A wave gets at least this long where no dependency says otherwise: the longest that providers usually take.
const TIMEOUT_S: u32 = 600;
/// Polling more often costs state transitions, less often delays the next wave.
const POLL_S_MIN: u32 = 5;
const POLL_S_MAX: u32 = 30;
/// The state machine looks at a wave so often at most (`statemachine/scaling.asl.json`), so that its history stays short.
const POLLS_MAX: u32 = 400;

/// The plan that carries out `decisions`. It has no waves when nothing changes.
pub fn make(
    platform: &Platform,
    decisions: &[Decision],
    cycle: &CycleId,
    made_at: Timestamp,
    config: &ConfigVersion,
    permit: Permit,
) -> Plan {
    let out = waves(platform, decisions, Direction::Out);
    let inward = waves(platform, decisions, Direction::In);
    let mut waves: Vec<Wave> = out.into_iter().chain(inward).collect();
    name_steps(platform, &mut waves);
    Plan {
        id: PlanId(format!("{}-{cycle}", made_at.as_second())),
        cycle: cycle.clone(),
        made_at,
        config: config.clone(),
        permit,
        rollback: rolls_back(platform, &waves),
        waves,
    }
}

fn waves(platform: &Platform, decisions: &[Decision], direction: Direction) -> Vec<Wave> {
    let layers = platform.orchestration.layers.iter();
    let layers: Vec<&Vec<GroupName>> = match direction {
        Direction::Out => layers.collect(),
        Direction::In => layers.rev().collect(),
    };
    let standing_by = platform.standing_by();
    let steps = layers.into_iter().map(|groups| steps(&standing_by, decisions, groups, direction));
    let mut provisioning: Provisioning<'_> =
        platform.resources().map(|(_, resource)| (&resource.id, resource.provisioning.as_secs())).collect();
    // A resource that was seen to take longer than the file says would never be waited for long enough.
    for decision in decisions {
        let known = provisioning.entry(&decision.resource).or_default();
        *known = decision.complete_in_s.unwrap_or(0).max(*known);
    }
    let wave = |steps| wave(platform, &provisioning, steps, direction);
    steps.flat_map(|steps| turns(platform, steps)).map(wave).collect()
}

/// Whether the plan is rolled back when a wave fails: as a whole, if one of the groups that it changes says so.
fn rolls_back(platform: &Platform, waves: &[Wave]) -> bool {
    let changed: BTreeSet<&GroupName> = waves.iter().flat_map(|wave| &wave.groups).collect();
    let mut groups = platform.groups.iter().filter(|group| changed.contains(&group.name));
    match changed.is_empty() {
        true => platform.orchestration.rollback_on_failure,
        false => groups.any(|group| group.policy.rollback),
    }
}

/// The steps of a layer, by what runs together. Of a group whose resources change one after the other, each has a turn; in the
/// sequential strategy so has each group.
fn turns(platform: &Platform, steps: Vec<Step>) -> Vec<Vec<Step>> {
    let is_parallel =
        |name: &GroupName| platform.groups.iter().any(|group| group.name == *name && group.policy.parallel);
    let is_sequential = platform.orchestration.strategy == Strategy::Sequential;
    let mut turns: Vec<Vec<Step>> = Vec::new();
    for step in steps {
        let last = turns.iter().rposition(|turn| turn.iter().any(|other| other.group == step.group));
        let turn = match last {
            Some(last) if is_parallel(&step.group) => last,
            Some(last) if !is_sequential => last + 1,
            None if !is_sequential => 0,
            Some(_) | None => turns.len(),
        };
        match turns.get_mut(turn) {
            Some(together) => together.push(step),
            None => turns.push(vec![step]),
        }
    }
    turns
}

/// One step for each resource of the groups that changes in this direction, and one for what stands by for it: that this cannot be
/// changed must not undo what serves.
fn steps(
    standing_by: &BTreeSet<&DimensionKey>,
    decisions: &[Decision],
    groups: &[GroupName],
    direction: Direction,
) -> Vec<Step> {
    let mut steps: BTreeMap<(&ResourceId, bool), Step> = BTreeMap::new();
    let groups: BTreeSet<&GroupName> = groups.iter().collect();
    let concerned = decisions.iter().filter(|decision| groups.contains(&decision.group));
    for decision in concerned.filter(|decision| decision.direction() == Some(direction)) {
        let Some((expected, target)) = decision.change() else { continue };
        let step =
            steps.entry((&decision.resource, standing_by.contains(&decision.key))).or_insert_with(|| Step {
                id: StepId(String::new()),
                resource: decision.resource.clone(),
                group: decision.group.clone(),
                mode: decision.mode,
                changes: Vec::new(),
                after: Vec::new(),
            });
        step.changes.push(StepChange { key: decision.key.clone(), expected, target });
    }
    steps.into_values().collect()
}

/// Seconds that a unit of each resource takes.
type Provisioning<'a> = BTreeMap<&'a ResourceId, u64>;

fn wave(
    platform: &Platform,
    provisioning: &Provisioning<'_>,
    steps: Vec<Step>,
    direction: Direction,
) -> Wave {
    let groups: BTreeSet<GroupName> = steps.iter().map(|step| step.group.clone()).collect();
    let longest = steps.iter().filter_map(|step| provisioning.get(&step.resource)).max();
    let provisioning_s = u32::try_from(longest.copied().unwrap_or(0)).unwrap_or(u32::MAX);
    let waited =
        platform.orchestration.dependencies.iter().filter(|dependency| groups.contains(&dependency.target));
    let written_s = waited.filter_map(|dependency| dependency.timeout);
    let written_s = written_s.map(|timeout| u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX)).max();
    // What an operator wrote counts; otherwise twice the time it should take, or the usual.
    let timeout_s = written_s.unwrap_or_else(|| TIMEOUT_S.max(provisioning_s.saturating_mul(2)));
    Wave {
        direction,
        groups: groups.into_iter().collect(),
        timeout_s,
        poll_s: (provisioning_s / 6).clamp(POLL_S_MIN, POLL_S_MAX).max(timeout_s.div_ceil(POLLS_MAX)),
        steps,
    }
}

/// Gives every step its id, and the ids of the steps in earlier waves that it builds on.
fn name_steps(platform: &Platform, waves: &mut [Wave]) {
    let edges = Edges::of(platform);
    let mut earlier: BTreeMap<(GroupName, Direction), Vec<(usize, StepId)>> = BTreeMap::new();
    for (index, wave) in waves.iter_mut().enumerate() {
        let mut before: BTreeMap<GroupName, Vec<StepId>> = BTreeMap::new();
        let mut named: Vec<(GroupName, StepId)> = Vec::new();
        let mut taken = BTreeSet::new();
        for step in &mut wave.steps {
            step.id = StepId(format!("w{index}/{}", step.resource));
            if let (false, Some(change)) = (taken.insert(step.resource.clone()), step.changes.first()) {
                step.id = StepId(format!("w{index}/{}", change.key));
            }
            let ids = before.entry(step.group.clone()).or_insert_with(|| {
                let groups = edges.builds_on(&step.group, wave.direction).into_iter();
                let of_group = |group| earlier.get(&(group, wave.direction)).into_iter().flatten().cloned();
                let mut ids: Vec<(usize, StepId)> = groups.flat_map(of_group).collect();
                ids.sort_by_key(|(wave, _)| *wave);
                ids.into_iter().map(|(_, id)| id).collect()
            });
            step.after.clone_from(ids);
            named.push((step.group.clone(), step.id.clone()));
        }
        for (group, id) in named {
            earlier.entry((group, wave.direction)).or_default().push((index, id));
        }
    }
}

/// Which groups use which, both ways round.
struct Edges<'a> {
    uses: BTreeMap<&'a GroupName, Vec<&'a GroupName>>,
    used_by: BTreeMap<&'a GroupName, Vec<&'a GroupName>>,
}

impl<'a> Edges<'a> {
    fn of(platform: &'a Platform) -> Edges<'a> {
        let mut edges = Edges { uses: BTreeMap::new(), used_by: BTreeMap::new() };
        for dependency in &platform.orchestration.dependencies {
            edges.uses.entry(&dependency.source).or_default().push(&dependency.target);
            edges.used_by.entry(&dependency.target).or_default().push(&dependency.source);
        }
        edges
    }

    /// The groups whose steps must have been made first: out, those it depends on; in, those that depend on it.
    fn builds_on(&self, group: &GroupName, direction: Direction) -> BTreeSet<GroupName> {
        let next_of = match direction {
            Direction::Out => &self.uses,
            Direction::In => &self.used_by,
        };
        let mut found = BTreeSet::new();
        let mut open = vec![group];
        while let Some(next) = open.pop() {
            for group in next_of.get(next).into_iter().flatten() {
                if found.insert((*group).clone()) {
                    open.push(group);
                }
            }
        }
        found
    }
}
