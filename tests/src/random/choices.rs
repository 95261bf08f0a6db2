//! What a cycle meets: load, slowness, faults and what a person does, drawn from a seed and the number of the cycle.

use std::fmt;

use headroom_core::chance::Chance;
use serde_json::{Value as Json, json};

use super::person::Act;
use crate::shop::Shop;
use crate::unkind::{InvocationFault, Unkind};

/// Everything that is drawn for one cycle. The same seed and number give the same, whatever happened before.
#[derive(Clone, Debug, PartialEq)]
pub struct Choices {
    /// The load, as a multiple of what it was in the cycle before.
    pub load: f64,
    /// How unkind AWS is to the shop.
    pub unkind: Unkind,
    /// By so many seconds points of metrics come late.
    pub metric_delay_s: f64,
    /// What breaks on the way to AWS.
    pub faults: Vec<Fault>,
    /// What Lambda answers instead of running a function.
    pub invocations: Option<InvocationFault>,
    /// Whether the shop's health endpoint is well.
    pub well: bool,
    /// What a person does, and when.
    pub person: Option<(Act, Moment)>,
    /// When somebody stops the execution.
    pub stopped: Option<Moment>,
}

/// A time in a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before it starts.
    Before,
    /// When its execution enters a state for the so many-th time. It may never do so.
    Entered(&'static str, usize),
}

/// A call of the functions that breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which call.
    pub call: Call,
    /// How it breaks.
    pub how: Break,
    /// How often, before it works again.
    pub times: u32,
}

/// Calls that a fault can be limited to one shop by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// What the table is.
    DescribeTable,
    /// What the service is.
    DescribeServices,
    /// What the group is.
    DescribeGroups,
    /// The table's units.
    UpdateTable,
    /// The service's tasks.
    UpdateService,
    /// The group's servers.
    SetServers,
    /// An entry of the journal is written.
    Journal,
    /// The lease is written.
    Lease,
}

/// How a call breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// AWS has too much to do.
    Throttled,
    /// AWS fails.
    Broken,
    /// The role may not do it.
    Denied,
    /// It takes effect, and the answer is lost.
    Lost,
    /// The answer takes a second.
    Slow,
}

const CALLS: [Call; 8] = [
    Call::DescribeTable,
    Call::DescribeServices,
    Call::DescribeGroups,
    Call::UpdateTable,
    Call::UpdateService,
    Call::SetServers,
    Call::Journal,
    Call::Lease,
];
const BREAKS: [Break; 5] = [Break::Throttled, Break::Broken, Break::Denied, Break::Lost, Break::Slow];
/// The SDK makes three tries and the state machine five of those, so that some faults pass by a retry and some do not.
const TIMES: [u32; 5] = [1, 2, 4, 8, 20];
/// Where an execution is stopped, or a person acts meanwhile.
const STATES: [&str; 8] = [
    "CollectMetrics",
    "Decide",
    "BeginWave",
    "ExecuteWave",
    "CheckHealth",
    "UndoWave",
    "CheckUndone",
    "Settle",
];
/// What Lambda answers at times; all of it is tried again.
const INVOCATIONS: [&str; 3] = ["ResourceNotReadyException", "TooManyRequestsException", "ServiceException"];

impl Choices {
    /// What a cycle meets.
    pub fn of(seed: u64, cycle: u32) -> Choices {
        // Not the numbers of the seed in a row: how many a cycle draws must not matter to the next one.
        let chance = &mut Chance::new(Chance::new(seed).bits().wrapping_add(u64::from(cycle)));
        Choices {
            load: load(chance),
            unkind: unkind(chance),
            metric_delay_s: if happens(chance, 0.3) { between(chance, 60.0, 240.0).round() } else { 0.0 },
            faults: faults(chance),
            invocations: happens(chance, 0.1).then(|| InvocationFault {
                name: one(chance, &INVOCATIONS).to_owned(),
                times: one(chance, &[1, 2, 4]),
            }),
            well: !happens(chance, 0.25),
            person: happens(chance, 0.5).then(|| {
                let act = Act::of(chance);
                let meanwhile = act.is_quick() && happens(chance, 0.5);
                (act, if meanwhile { entered(chance) } else { Moment::Before })
            }),
            stopped: happens(chance, 0.12).then(|| entered(chance)),
        }
    }

    /// Nothing happens.
    pub fn quiet() -> Choices {
        Choices {
            load: 1.0,
            unkind: Unkind::default(),
            metric_delay_s: 0.0,
            faults: Vec::new(),
            invocations: None,
            well: true,
            person: None,
            stopped: None,
        }
    }
}

/// Mostly a small step of a random walk, sometimes a jump or a drop.
fn load(chance: &mut Chance) -> f64 {
    match chance.share() {
        share if share < 0.15 => between(chance, 1.3, 2.2),
        share if share < 0.3 => between(chance, 0.35, 0.75),
        _ => between(chance, 0.9, 1.12),
    }
}

fn unkind(chance: &mut Chance) -> Unkind {
    let slow = happens(chance, 0.5);
    Unkind {
        pace: slow.then(|| one(chance, &[0.5, 1.0, 2.0])),
        lag: happens(chance, 0.3).then(|| one(chance, &[0.5, 1.0])),
        // AWS counts by the day, and all cycles run on one day: most have to be free of it to be able to scale in.
        decreases_limited: Some(happens(chance, 0.15)),
        units_max: happens(chance, 0.05).then(|| one(chance, &[6, 12])),
        ..Unkind::default()
    }
}

fn faults(chance: &mut Chance) -> Vec<Fault> {
    let count = match chance.share() {
        share if share < 0.5 => 0,
        share if share < 0.85 => 1,
        _ => 2,
    };
    let fault =
        |_| Fault { call: one(chance, &CALLS), how: one(chance, &BREAKS), times: one(chance, &TIMES) };
    (0..count).map(fault).collect()
}

fn entered(chance: &mut Chance) -> Moment {
    Moment::Entered(one(chance, &STATES), one(chance, &[1, 1, 2, 3]))
}

/// Whether something that happens with this probability happens.
pub(crate) fn happens(chance: &mut Chance, probability: f64) -> bool {
    chance.share() < probability
}

/// A number between two.
pub(crate) fn between(chance: &mut Chance, least: f64, most: f64) -> f64 {
    least + (most - least) * chance.share()
}

/// One of several.
pub(crate) fn one<T: Copy>(chance: &mut Chance, of: &[T]) -> T {
    let count = u64::try_from(of.len()).unwrap_or(1);
    let place = usize::try_from(chance.bits() % count).unwrap_or(0);
    of.get(place).copied().unwrap_or_else(|| unreachable!("nothing can be drawn from nothing"))
}

impl Fault {
    /// The rule of the fault proxy, for one shop.
    pub fn rule(&self, shop: &Shop) -> Json {
        let mut rule = self.calls(shop);
        let (throttled, broken, denied) = self.call.codes();
        let (field, what) = match self.how {
            Break::Throttled => ("error", json!({"code": throttled, "status": 400})),
            Break::Broken => ("error", json!({"code": broken, "status": 500})),
            Break::Denied => ("error", json!({"code": denied, "status": 400})),
            Break::Lost => ("response", json!({"abort_frac": 0.0})),
            Break::Slow => ("latency", json!(1_000)),
        };
        if let Some(rule) = rule.as_object_mut() {
            rule.insert(field.to_owned(), what);
            rule.insert("times".to_owned(), self.times.into());
        }
        rule
    }

    /// The fields of the rule that say which calls it is for.
    pub fn calls(&self, shop: &Shop) -> Json {
        let (web, api, orders, name) = (shop.web(), shop.api(), shop.orders(), &shop.name);
        let (service, operation, body) = match self.call {
            Call::DescribeTable => ("dynamodb", "DescribeTable", format!("TableName == '{orders}'")),
            Call::UpdateTable => ("dynamodb", "UpdateTable", format!("TableName == '{orders}'")),
            Call::DescribeServices => {
                ("ecs", "DescribeServices", format!("contains(to_string(services), '{api}')"))
            }
            Call::UpdateService => ("ecs", "UpdateService", format!("contains(to_string(service), '{api}')")),
            Call::DescribeGroups => {
                ("autoscaling", "DescribeAutoScalingGroups", format!("contains(to_string(@), '{web}')"))
            }
            Call::SetServers => {
                ("autoscaling", "SetDesiredCapacity", format!("contains(to_string(@), '{web}')"))
            }
            Call::Journal => ("dynamodb", "PutItem", format!("to_string(Item.pk.S) == '{name}#journal'")),
            Call::Lease => (
                "dynamodb",
                "PutItem",
                format!("to_string(Item.pk.S) == '{name}' && to_string(Item.sk.S) == 'lease'"),
            ),
        };
        json!({"service": service, "operation": operation, "body": body})
    }
}

impl Call {
    /// What its service calls a throttled, a failed and a denied call.
    fn codes(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Call::DescribeTable | Call::UpdateTable | Call::Journal | Call::Lease => {
                ("ThrottlingException", "InternalServerError", "AccessDeniedException")
            }
            Call::DescribeServices | Call::UpdateService => {
                ("ThrottlingException", "ServerException", "AccessDeniedException")
            }
            Call::DescribeGroups | Call::SetServers => ("Throttling", "InternalFailure", "AccessDenied"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { call, how, times } = self;
        write!(out, "{call:?} {} {times} times", format!("{how:?}").to_lowercase())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::Before => out.write_str("before"),
            Moment::Entered(state, 1) => write!(out, "at {state}"),
            Moment::Entered(state, times) => write!(out, "at {state} no. {times}"),
        }
    }
}

impl fmt::Display for Choices {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "load x{:.2}", self.load)?;
        let Unkind { pace, lag, decreases_limited, units_max, .. } = &self.unkind;
        for (name, seconds) in [("pace", pace), ("lag", lag)] {
            if let Some(seconds) = seconds {
                write!(out, ", {name} {seconds} s")?;
            }
        }
        if *decreases_limited == Some(true) {
            out.write_str(", decreases counted")?;
        }
        if let Some(most) = units_max {
            write!(out, ", at most {most} units")?;
        }
        if 0.0 < self.metric_delay_s {
            write!(out, ", metrics {} s late", self.metric_delay_s)?;
        }
        for fault in &self.faults {
            write!(out, ", {fault}")?;
        }
        if let Some(InvocationFault { name, times }) = &self.invocations {
            write!(out, ", {name} {times} times")?;
        }
        if !self.well {
            out.write_str(", sick")?;
        }
        if let Some((act, moment)) = &self.person {
            write!(out, ", a person {act} {moment}")?;
        }
        if let Some(moment) = &self.stopped {
            write!(out, ", stopped {moment}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_number_give_the_same_choices_and_others_give_others() {
        assert_eq!(Choices::of(7, 3), Choices::of(7, 3));
        assert_ne!(Choices::of(7, 3), Choices::of(7, 4));
        assert_ne!(Choices::of(7, 3), Choices::of(8, 3));
        // Neither does a pair that is swapped.
        assert_ne!(Choices::of(3, 7), Choices::of(7, 3));
    }

    #[test]
    fn everything_that_can_happen_happens_in_two_hundred_cycles() {
        let all: Vec<Choices> = (1..=200).map(|cycle| Choices::of(1, cycle)).collect();
        let faults: Vec<&Fault> = all.iter().flat_map(|choices| &choices.faults).collect();
        for call in CALLS {
            assert!(faults.iter().any(|fault| fault.call == call), "{call:?}");
        }
        for how in BREAKS {
            assert!(faults.iter().any(|fault| fault.how == how), "{how:?}");
        }
        assert!(
            all.iter().any(|choices| !choices.well) && all.iter().any(|choices| choices.stopped.is_some())
        );
        assert!(all.iter().any(|choices| choices.unkind.units_max.is_some()));
        assert!(all.iter().any(|choices| choices.invocations.is_some()));
        let meanwhile = |choices: &Choices| matches!(choices.person, Some((_, Moment::Entered(..))));
        assert!(all.iter().any(meanwhile));
    }

    #[test]
    fn a_rule_is_for_one_shop_only() {
        let shop = Shop::new("odd");
        for call in CALLS {
            let fault = Fault { call, how: Break::Lost, times: 2 };
            let rule = fault.rule(&shop);
            assert!(rule["body"].as_str().unwrap().contains("'odd"), "{rule}");
            assert_eq!((&rule["times"], &rule["response"]["abort_frac"]), (&json!(2), &json!(0.0)));
        }
    }
}
