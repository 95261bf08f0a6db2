//! The lead window: how far ahead a decision has to look. Forecasts, the calendar and calibration all take it from here.

use std::collections::BTreeMap;
use std::time::Duration;

use super::PlatformState;
use crate::name::GroupName;
use crate::platform::{Group, Platform, Resource};

/// The time from a decision until what the next decision orders can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeadWindow {
    /// Until ordered units serve: the provisioning time of the resource, after that of the tiers its group depends on, which
    /// scale out before it.
    pub provisioning: Duration,
    /// How long ordered units have to last then: a cycle, or longer where AWS takes the next change only then, and the
    /// operator's buffer.
    pub cycle: Duration,
}

impl LeadWindow {
    /// All of it.
    pub fn length(self) -> Duration {
        self.provisioning + self.cycle
    }
}

/// The lead windows of a platform. What tiers wait for each other is worked out once for all of them.
#[derive(Clone, Debug)]
pub struct LeadWindows<'a> {
    platform: &'a Platform,
    state: &'a PlatformState,
    /// How long the slowest chain of groups takes that a group depends on.
    waited: BTreeMap<&'a GroupName, Duration>,
}

impl<'a> LeadWindows<'a> {
    /// The windows with the provisioning times that were learned, and those of the file where none was.
    pub fn of(platform: &'a Platform, state: &'a PlatformState) -> LeadWindows<'a> {
        let slowest = |group: &'a Group| {
            let times = group.resources.iter().map(|resource| state.provisioning_of(resource));
            (&group.name, times.max().unwrap_or_default())
        };
        let slowest: BTreeMap<&GroupName, Duration> = platform.groups.iter().map(slowest).collect();
        let mut waited: BTreeMap<&GroupName, Duration> = BTreeMap::new();
        // Layers hold what a group depends on before the group itself.
        for group in platform.orchestration.layers.iter().flatten() {
            let edges = platform.orchestration.dependencies.iter().filter(|edge| edge.source == *group);
            let chains = edges.map(|edge| {
                let of = |times: &BTreeMap<&GroupName, Duration>| times.get(&edge.target).copied();
                of(&waited).unwrap_or_default() + of(&slowest).unwrap_or_default()
            });
            let longest = chains.max().unwrap_or_default();
            waited.insert(group, longest);
        }
        LeadWindows { platform, state, waited }
    }

    /// The window of a resource.
    pub fn window(&self, group: &Group, resource: &Resource) -> LeadWindow {
        self.window_of(group, resource, lasts(resource))
    }

    fn window_of(&self, group: &Group, resource: &Resource, lasts: Duration) -> LeadWindow {
        let waited = self.waited.get(&group.name).copied().unwrap_or_default();
        LeadWindow {
            provisioning: waited + self.state.provisioning_of(resource),
            cycle: self.platform.orchestration.cycle.max(lasts) + group.policy.scheduling_buffer,
        }
    }

    /// How long after it was made a decision is judged: the longest window, because all are judged at once. How long it then
    /// has to last is left out: one kind that changes in hours would have all others judged in hours.
    pub fn judging_delay(&self) -> Duration {
        let lengths = self
            .platform
            .resources()
            .map(|(group, resource)| self.window_of(group, resource, Duration::ZERO).length());
        // The last step of a forecast may be cut short.
        let most = self.platform.predictive.horizon.saturating_sub(self.platform.orchestration.cycle);
        lengths.max().unwrap_or(self.platform.orchestration.cycle).min(most)
    }
}

/// How long what is ordered for a resource has to last, where AWS says when it may be changed again.
fn lasts(resource: &Resource) -> Duration {
    let dimensions = resource.dimensions.iter();
    let longest = dimensions.map(|dimension| dimension.facts.lasts_s()).max();
    Duration::from_secs(longest.unwrap_or(0).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::state::EMPTY;

    #[test]
    fn what_changes_in_hours_looks_hours_ahead_and_delays_no_judgement() {
        let text = "configuration_name: shop\nscaling_groups: {data: {resources: [\
                    {type: RDS_STORAGE, name: db, min_capacity: 50, max_capacity: 500}]}}\n";
        let platform = parse(text).unwrap().platform;
        let windows = LeadWindows::of(&platform, &EMPTY);
        let (group, resource) = platform.resources().next().unwrap();
        let (window, hours) = (windows.window(group, resource), Duration::from_secs(6 * 3_600));
        assert_eq!(window.cycle, hours + group.policy.scheduling_buffer);
        let waited = window.length() - hours + platform.orchestration.cycle;
        assert_eq!(windows.judging_delay(), waited);
    }
}
