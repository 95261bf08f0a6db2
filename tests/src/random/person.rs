//! What a person does beside Headroom.

use std::collections::BTreeMap;
use std::fmt;

use headroom_core::chance::Chance;
use headroom_core::name::DimensionKey;
use headroom_core::state::{OperatorRequests, Override, Pause};
use headroom_core::units::Direction;
use headroom_core::units::Units;
use jiff::{SignedDuration, Timestamp};

use super::choices::{between, one};
use crate::Result;
use crate::deployment::Deployment;
use crate::shop::{Capacity, Shop};

/// An act of a person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// Sets capacity past Headroom, as a multiple of what there is.
    Set(Tier, f64),
    /// Asks for so many servers in the execution's input, as a multiple of what there is.
    Ask(f64),
    /// Asks for at least so many servers for an hour, as a multiple of what there is.
    Override(f64),
    /// Asks that a group, or everything, is not changed in a direction, or at all, for some minutes.
    Pause(Option<&'static str>, Option<Direction>, u32),
    /// Publishes a changed platform file, for one cycle.
    Publish(File),
}

/// A part of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The group of servers.
    Servers,
    /// The service's tasks.
    Tasks,
    /// The table's read and write units.
    Table,
}

/// A platform file, by what is different in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// At most 12 servers and tasks.
    Narrow,
    /// At least 6 servers and tasks.
    High,
    /// Nothing is carried out.
    Observe,
    /// A few units at a time.
    Limited,
    /// What was begun stands when a wave fails.
    NoRollback,
    /// No file at all.
    Invalid,
}

const TIERS: [Tier; 3] = [Tier::Servers, Tier::Tasks, Tier::Table];
const FILES: [File; 6] =
    [File::Narrow, File::High, File::Observe, File::Limited, File::NoRollback, File::Invalid];
const GROUPS: [Option<&str>; 4] = [None, Some("data"), Some("app"), Some("web")];
const DIRECTIONS: [Option<Direction>; 3] = [None, Some(Direction::Out), Some(Direction::In)];
/// The group of examples/shop/resources.yaml takes from 1 to 40 servers.
const SERVERS: (u32, u32) = (1, 40);

impl Act {
    /// One of all.
    pub(crate) fn of(chance: &mut Chance) -> Act {
        match chance.share() {
            share if share < 0.45 => Act::Set(one(chance, &TIERS), between(chance, 0.3, 2.0)),
            share if share < 0.6 => Act::Ask(between(chance, 0.5, 2.0)),
            share if share < 0.7 => Act::Override(between(chance, 0.5, 1.5)),
            share if share < 0.8 => {
                Act::Pause(one(chance, &GROUPS), one(chance, &DIRECTIONS), one(chance, &[4, 9, 14]))
            }
            _ => Act::Publish(one(chance, &FILES)),
        }
    }

    /// Whether it makes sense while a cycle runs.
    pub(crate) fn is_quick(self) -> bool {
        !matches!(self, Act::Ask(_))
    }

    /// Does it at a time of the cycles; answers what was set past Headroom, by dimension. AWS may refuse that, and a person
    /// shrugs.
    ///
    /// # Errors
    /// When a call fails that nothing stands in the way of.
    pub(crate) async fn done(self, deployment: &Deployment, now: Timestamp) -> Result<BTreeMap<String, u32>> {
        match self {
            Act::Set(tier, factor) => return set(deployment, tier, factor).await,
            Act::Ask(_) => (),
            Act::Publish(file) => deployment.publish(&file.text(&deployment.platform)).await?,
            Act::Override(factor) => {
                let units = times(deployment.capacity().await?.web, factor);
                let key: DimensionKey = servers(&deployment.shop).parse()?;
                let until = now + SignedDuration::from_hours(1);
                let floor = Override { key, units: Units(units), until, by: "a person".to_owned() };
                asked(deployment, |asked| asked.overrides = vec![floor]).await?;
            }
            Act::Pause(group, direction, minutes) => {
                let until = now + SignedDuration::from_mins(minutes.into());
                let group = group.map(Into::into);
                let pause = Pause { group, resource: None, direction, until, by: "a person".to_owned() };
                asked(deployment, |asked| asked.pauses = vec![pause]).await?;
            }
        }
        Ok(BTreeMap::new())
    }

    /// The capacity that it asks for in the input of the execution.
    pub(crate) fn input(self, shop: &Shop, capacity: Capacity) -> BTreeMap<String, u32> {
        match self {
            Act::Ask(factor) => BTreeMap::from([(servers(shop), times(capacity.web, factor))]),
            _ => BTreeMap::new(),
        }
    }
}

fn servers(shop: &Shop) -> String {
    format!("{}/desired", shop.web())
}

/// A multiple of some units.
fn times(units: u32, factor: f64) -> u32 {
    Units::at_least(f64::from(units) * factor).0.max(1)
}

async fn asked(deployment: &Deployment, change: impl FnOnce(&mut OperatorRequests)) -> Result<()> {
    let (store, name) = (deployment.store(), deployment.name());
    let read = store.requests(&name).await?;
    let mut asked = read.value.clone();
    change(&mut asked);
    Ok(store.put_requests(&name, &read, &asked).await?)
}

async fn set(deployment: &Deployment, tier: Tier, factor: f64) -> Result<BTreeMap<String, u32>> {
    let (shop, aws) = (&deployment.shop, &deployment.aws);
    let before = deployment.capacity().await?;
    let (mut wanted, mut keys) = (before, Vec::new());
    let taken = match tier {
        Tier::Servers => {
            wanted.web = times(before.web, factor).clamp(SERVERS.0, SERVERS.1);
            keys.push(servers(shop));
            let set = aws.autoscaling().set_desired_capacity().auto_scaling_group_name(shop.web());
            set.desired_capacity(i32::try_from(wanted.web)?).send().await.is_ok()
        }
        Tier::Tasks => {
            wanted.api = times(before.api, factor);
            keys.push(format!("{}/desired", shop.api()));
            let update = aws.ecs().update_service().cluster(shop.cluster()).service(shop.api());
            update.desired_count(i32::try_from(wanted.api)?).send().await.is_ok()
        }
        Tier::Table => {
            (wanted.read, wanted.write) = (times(before.read, factor), times(before.write, factor));
            keys.extend(["read", "write"].map(|units| format!("{}/{units}", shop.orders())));
            deployment.set_table_by_hand(wanted.read.into(), wanted.write.into()).await.is_ok()
        }
    };
    let set = wanted.by_dimension(shop);
    Ok(if taken { set.into_iter().filter(|(key, _)| keys.contains(key)).collect() } else { BTreeMap::new() })
}

impl File {
    /// Its text, from the one that is published otherwise.
    pub(crate) fn text(self, plain: &str) -> String {
        match self {
            File::Narrow => plain.replace("max_capacity: 40", "max_capacity: 12"),
            File::High => plain.replace("min_capacity: 2\n", "min_capacity: 6\n"),
            File::Observe => plain.replace("rollout_phase: full", "rollout_phase: observe"),
            File::Limited => plain.replace("rollout_phase: full", "rollout_phase: limited"),
            File::NoRollback => {
                plain.replace("rollout_phase: full", "rollout_phase: full\n  rollback_on_failure: false")
            }
            File::Invalid => plain.replace("scaling_groups", "scaling"),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Set(tier, factor) => write!(out, "sets {} x{factor:.2}", format!("{tier:?}").to_lowercase()),
            Act::Ask(factor) => write!(out, "asks for servers x{factor:.2}"),
            Act::Override(factor) => write!(out, "overrides servers x{factor:.2}"),
            Act::Pause(group, direction, minutes) => {
                let direction = direction.map(|direction| format!(" {direction:?}").to_lowercase());
                let (group, direction) = (group.unwrap_or("all"), direction.unwrap_or_default());
                write!(out, "pauses {group}{direction} for {minutes} min")
            }
            Act::Publish(file) => write!(out, "publishes {file:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_differs_and_only_one_is_invalid() {
        let plain = Shop::new("shop").platform("http://localhost/health").unwrap();
        for file in FILES {
            let text = file.text(&plain);
            assert_ne!(text, plain, "{file:?}");
            assert_eq!(headroom_core::config::parse(&text).is_err(), file == File::Invalid, "{file:?}");
        }
    }
}
