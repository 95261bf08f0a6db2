//! A platform as it was meant: every value parsed, every default filled in, every reference resolved.
//!
//! Made by [`crate::config::parse`] only, so what is here is valid by construction.

mod resource;
mod rules;

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

pub use resource::{Dimension, Resource};
pub use rules::{
    Alert, Budget, Comparison, Connections, Cooldown, Dependency, Effect, Event, Figure, GroupPolicy,
    Guardrails, HealthCheck, Monitoring, Orchestration, Phase, Predictive, Probe, StepAdjustment, StepBound,
    StepRule, Strategy, When,
};

use crate::name::{DimensionKey, GroupName, PlatformName, ResourceId};
/// What a platform's resources are made of, as their kinds describe it.
pub use crate::resource::{Measure, Metric, Mode, Query, Rate};

/// One multi-tier workload.
#[derive(Clone, Debug)]
pub struct Platform {
    /// Its name, also the key under which everything about it is stored.
    pub name: PlatformName,
    /// What the operator says it is for.
    pub objective: Option<String>,
    /// The time zone of its calendar.
    pub zone: TimeZone,
    /// Its tiers, by name.
    pub groups: Vec<Group>,
    /// How far forecasts are made and trusted.
    pub predictive: Predictive,
    /// The order of things.
    pub orchestration: Orchestration,
    /// Limits that hold whatever a forecast says.
    pub guardrails: Guardrails,
    /// Known events.
    pub calendar: Vec<Event>,
    /// What is told to people.
    pub monitoring: Monitoring,
}

impl Platform {
    /// Every dimension with the group and resource it belongs to, in the order of their names.
    pub fn dimensions(&self) -> impl Iterator<Item = Place<'_>> {
        self.resources().flat_map(|(group, resource)| {
            resource.dimensions.iter().map(move |dimension| Place { group, resource, dimension })
        })
    }

    /// Every resource with its group.
    pub fn resources(&self) -> impl Iterator<Item = (&Group, &Resource)> {
        self.groups.iter().flat_map(|group| group.resources.iter().map(move |resource| (group, resource)))
    }

    /// The dimensions that only stand by for others.
    pub fn standing_by(&self) -> BTreeSet<&DimensionKey> {
        let places = self.dimensions().filter(|place| place.dimension.stands_by());
        places.map(|place| &place.dimension.key).collect()
    }

    /// Where a dimension stands in this platform, if it does.
    pub fn place(&self, key: &DimensionKey) -> Option<Place<'_>> {
        self.dimensions().find(|place| place.dimension.key == *key)
    }

    /// A resource with its group.
    pub fn resource(&self, id: &ResourceId) -> Option<(&Group, &Resource)> {
        self.resources().find(|(_, resource)| resource.id == *id)
    }
}

/// A dimension with what it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The tier.
    pub group: &'a Group,
    /// The resource.
    pub resource: &'a Resource,
    /// The dimension itself.
    pub dimension: &'a Dimension,
}

/// A tier.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// What it owns.
    pub resources: Vec<Resource>,
    /// How its resources are scaled.
    pub policy: GroupPolicy,
}
