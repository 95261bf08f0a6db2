//! A fleet in memory, for tests of handlers: it holds units, and breaks when it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use headroom_core::collect::TargetGroup;
use headroom_core::name::{DimensionKey, ResourceId};
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::{Mode, Resource};
use headroom_core::units::Units;
use jiff::Timestamp;

use super::{Address, Capacities, Depth, Fleet, TargetHealth, every};
use crate::error::{AwsError, ErrorKind};
use crate::fakes::Break;

#[derive(Debug, Default)]
struct State {
    units: BTreeMap<DimensionKey, Units>,
    breaks: Option<(Break, ErrorKind)>,
    calls: usize,
    sets: Vec<String>,
    addresses: BTreeMap<ResourceId, Address>,
    targets: BTreeMap<ResourceId, TargetHealth>,
    registered: BTreeMap<ResourceId, Vec<TargetGroup>>,
    slow: Option<Slow>,
    unfinished: BTreeMap<DimensionKey, Units>,
    no_decrease_left: bool,
    unseen: Option<String>,
    held: Option<String>,
    lacking: Option<(u32, String)>,
}

/// How a fleet is seen before what was set has taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// The capacity from before, and every further change is refused, like a table that is being updated.
    Locked,
    /// The capacity from before, and no sign of the change: descriptions lag behind.
    Lagging,
}

/// A fleet in memory. Clones share their state.
#[derive(Clone, Debug, Default)]
pub struct MemoryFleet(Arc<Mutex<State>>);

impl MemoryFleet {
    /// A fleet with these units, by dimension.
    pub fn new(units: &[(&str, u32)]) -> MemoryFleet {
        let fleet = MemoryFleet::default();
        units.iter().for_each(|(key, units)| fleet.put(key, *units));
        fleet
    }

    /// Sets units by hand, as a person would.
    pub fn put(&self, key: &str, units: u32) {
        if let Ok(key) = key.parse() {
            self.state().units.insert(key, Units(units));
        }
    }

    /// The units of a dimension.
    pub fn units(&self, key: &str) -> Option<u32> {
        self.state().units.get(&key.parse().ok()?).map(|units| units.0)
    }

    /// Breaks a later call that sets units. `kind` is how it fails.
    pub fn breaks(&self, at: Break, kind: ErrorKind) {
        let mut state = self.state();
        state.breaks = Some((at, kind));
        state.calls = 0;
    }

    /// From now on what is set takes effect at the next `finish`.
    pub fn slow(&self, how: Slow) {
        self.state().slow = Some(how);
    }

    /// Somebody else sets a dimension, as slowly as everything is.
    pub fn set_elsewhere(&self, key: &str, units: u32) {
        if let Ok(key) = key.parse() {
            self.state().unfinished.insert(key, Units(units));
        }
    }

    /// What was set slowly takes effect, and everything is quick again.
    pub fn finish(&self) {
        let mut state = self.state();
        let unfinished = std::mem::take(&mut state.unfinished);
        state.units.extend(unfinished);
        state.slow = None;
    }

    /// From now on AWS allows no decrease.
    pub fn allows_no_decrease(&self) {
        self.state().no_decrease_left = true;
    }

    /// From now on nothing can be seen, for this reason; or everything again.
    pub fn unseen(&self, why: Option<&str>) {
        self.state().unseen = why.map(str::to_owned);
    }

    /// From now on AWS holds everything for this reason; or nothing again.
    pub fn held(&self, why: Option<&str>) {
        self.state().held = why.map(str::to_owned);
    }

    /// From now on AWS has only so many units of everything, for this reason.
    pub fn lacks(&self, most: u32, why: &str) {
        self.state().lacking = Some((most, why.to_owned()));
    }

    /// Takes a dimension away.
    pub fn remove(&self, key: &str) {
        if let Ok(key) = key.parse() {
            self.state().units.remove(&key);
        }
    }

    /// Registers a resource with target groups. Of others they are not known.
    pub fn register(&self, resource: &str, groups: &[TargetGroup]) {
        self.state().registered.insert(resource.into(), groups.to_vec());
    }

    /// Puts a load balancer before a resource.
    pub fn stand_before(&self, resource: &str, address: Address) {
        self.state().addresses.insert(resource.into(), address);
    }

    /// Sets what load balancers see of a resource's targets.
    pub fn see_targets(&self, resource: &str, health: TargetHealth) {
        self.state().targets.insert(resource.into(), health);
    }

    /// What was set, in order, such as `web/desired=8`.
    pub fn sets(&self) -> Vec<String> {
        self.state().sets.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fleet for MemoryFleet {
    async fn observe(
        &self,
        resources: &[&Resource],
        natives: &BTreeSet<ResourceId>,
        _: Timestamp,
        _: Depth,
    ) -> Capacities {
        let state = self.state();
        let see = |resource: &&Resource| {
            let mode = if natives.contains(&resource.id) { Mode::Floor } else { Mode::Desired };
            let gone = state.unseen.clone().unwrap_or_else(|| format!("there is no {}", resource.id));
            let updating = resource.dimensions.iter().any(|one| state.unfinished.contains_key(&one.key));
            let locked = updating && state.slow == Some(Slow::Locked);
            let held = state.held.clone().map(Busy::Held);
            let busy = locked.then(|| Busy::Locked("it is being updated".to_owned())).or(held);
            let decreases_left = state.no_decrease_left.then_some(0);
            let known = |units: Units| {
                let busy = busy.clone();
                let lacking = state.lacking.as_ref().filter(|(most, _)| Units(*most) < units);
                let ready = lacking.map_or(units, |(most, _)| Units(*most));
                let unavailable = lacking.map(|(_, why)| why.clone());
                let capacity =
                    Capacity { mode, set: units, ready, busy, decreases_left, ..Capacity::default() };
                Capacity { unavailable, ..capacity }
            };
            let seen = every(resource, &Observed::Unknown(gone)).into_iter().map(|(key, gone)| {
                let units = state.units.get(&key).filter(|_| state.unseen.is_none());
                (key.clone(), units.map_or(gone, |units| Observed::Known(known(*units))))
            });
            seen.collect::<Vec<_>>()
        };
        resources.iter().flat_map(see).collect()
    }

    async fn set(
        &self,
        resource: &Resource,
        _: Mode,
        targets: &BTreeMap<DimensionKey, Units>,
    ) -> Result<(), AwsError> {
        let mut state = self.state();
        state.calls += 1;
        let error = |kind| AwsError::new(kind, format!("set {}", resource.id), "broken on purpose");
        let broken = state.breaks.filter(|(at, _)| at.call() == state.calls);
        if let Some((Break::Before(_), kind)) = broken {
            return Err(error(kind));
        }
        if resource.dimensions.iter().any(|one| state.unfinished.contains_key(&one.key)) {
            return Err(error(ErrorKind::Stale));
        }
        for (key, units) in targets {
            let slow = state.slow.is_some();
            let place = if slow { &mut state.unfinished } else { &mut state.units };
            place.insert(key.clone(), *units);
            state.sets.push(format!("{key}={units}"));
        }
        broken.map_or(Ok(()), |(_, kind)| Err(error(kind)))
    }

    async fn natives(&self, _: &[&Resource]) -> Result<BTreeSet<ResourceId>, AwsError> {
        Ok(BTreeSet::new())
    }

    async fn target_groups(
        &self,
        resources: &[&Resource],
    ) -> BTreeMap<ResourceId, Result<Vec<TargetGroup>, AwsError>> {
        let registered = self.state().registered.clone();
        let of = |id: &ResourceId| match registered.get(id) {
            Some(groups) => Ok(groups.clone()),
            None => Err(AwsError::new(ErrorKind::Denied, "find target groups", "not told to this fleet")),
        };
        resources.iter().map(|resource| (resource.id.clone(), of(&resource.id))).collect()
    }

    async fn target_health(&self, resource: &Resource) -> Result<Option<TargetHealth>, AwsError> {
        Ok(self.state().targets.get(&resource.id).copied())
    }

    async fn address(&self, resource: &Resource) -> Result<Address, AwsError> {
        Ok(self.state().addresses.get(&resource.id).cloned().unwrap_or(Address::None))
    }
}
