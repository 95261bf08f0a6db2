//! The platform's lease: at most one cycle acts at a time, and what a dead one left behind is found.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::{CycleId, PlanId};

/// Longer than an execution may run, and the function that it was ended in after it: no cycle loses its lease to its own
/// retries, nor to a wave that waits. It costs little, because a cycle that finds it taken asks whether the holder's
/// execution may still act. Only where Step Functions cannot say is it waited for.
pub const TERM: Duration = Duration::from_secs(7_500);

/// Cycles that may take over the same plan without settling it. What a few cycles in a row could neither read nor roll
/// back is no hiccup: the platform then stops, and a person is told.
pub const RECOVERIES_MAX: u32 = 3;

/// Who may act on a platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lease {
    /// The cycle that holds it, if one does.
    pub holder: Option<Holder>,
    /// A plan that was begun and not yet settled.
    pub open_plan: Option<PlanId>,
    /// How many cycles have taken the open plan over from another one and have not settled it.
    pub recoveries: u32,
    /// Why nothing may act until a person has looked.
    pub needs_human: Option<String>,
    /// For which time the last cycle that looked did so. Metrics since then are read by the next one.
    pub looked_at: Option<Timestamp>,
}

/// The cycle that holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Which cycle.
    pub cycle: CycleId,
    /// Its execution, by ARN, to ask whether it still runs.
    pub execution: String,
    /// Until when, unless it renews.
    pub until: Timestamp,
}

/// What a cycle may do with a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It may act, with the lease as it will stand.
    Granted(Lease),
    /// It may only roll back what the open plan of a dead cycle left behind.
    Recover(Lease, PlanId),
    /// Another cycle acts.
    Busy(Holder),
    /// Nothing may act.
    NeedsHuman(String),
}

/// A lease that is no longer this cycle's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease belongs to {holder}, not to {cycle}")]
pub struct LeaseLost {
    cycle: CycleId,
    holder: String,
}

impl Lease {
    /// What `cycle` may do at `at`. `holder_acts` says whether the holder's execution may still act, if that is known.
    pub fn claim(&self, cycle: &CycleId, execution: &str, at: Timestamp, holder_acts: Option<bool>) -> Claim {
        if let Some(why) = &self.needs_human {
            return Claim::NeedsHuman(why.clone());
        }
        if let Some(holder) = self.holder.as_ref().filter(|holder| holder.cycle != *cycle) {
            let dead = holder.until <= at || holder_acts == Some(false);
            if !dead {
                return Claim::Busy(holder.clone());
            }
        }
        let holds = self.held_by(cycle).is_ok();
        let lease = Lease { holder: Some(Holder::new(cycle, execution, at)), ..self.clone() };
        match &self.open_plan {
            // A cycle that claims twice because its function ran twice has not opened its own plan yet.
            Some(plan) => {
                let recoveries = self.recoveries.saturating_add(u32::from(!holds));
                Claim::Recover(Lease { recoveries, ..lease }, plan.clone())
            }
            None => Claim::Granted(lease),
        }
    }

    /// The lease renewed at `at`, with or without a plan opened.
    ///
    /// # Errors
    /// When another cycle holds it by now.
    pub fn renew(&self, cycle: &CycleId, at: Timestamp) -> Result<Lease, LeaseLost> {
        let holder = self.held_by(cycle)?;
        Ok(Lease { holder: Some(Holder::new(cycle, &holder.execution, at)), ..self.clone() })
    }

    /// The lease when `cycle` is over: free, or stopped until a person has looked. An open plan stays open unless the
    /// cycle has `settled` that very plan. `looked_at` is the time for which it looked, if it did.
    ///
    /// # Errors
    /// When another cycle holds it by now.
    pub fn release(
        &self,
        cycle: &CycleId,
        settled: Option<&PlanId>,
        needs_human: Option<String>,
        looked_at: Option<Timestamp>,
    ) -> Result<Lease, LeaseLost> {
        self.held_by(cycle)?;
        let stays = |plan: &PlanId| needs_human.is_some() || settled != Some(plan);
        let open_plan = self.open_plan.clone().filter(stays);
        let recoveries = if open_plan.is_some() { self.recoveries } else { 0 };
        Ok(Lease {
            holder: None,
            open_plan,
            recoveries,
            needs_human,
            looked_at: looked_at.max(self.looked_at),
        })
    }

    /// The plan of a dead cycle that `cycle`, which has opened none itself, took over and did not settle; `None` when
    /// another cycle holds the lease by now. Still there when the lease was released: settling may be repeated.
    pub fn taken_over(&self, cycle: &CycleId) -> Option<&PlanId> {
        let mine = self.holder.as_ref().is_none_or(|holder| holder.cycle == *cycle);
        self.open_plan.as_ref().filter(|_| mine)
    }

    /// The holder, if it is `cycle`.
    ///
    /// # Errors
    /// When it is another one, or none.
    pub fn held_by(&self, cycle: &CycleId) -> Result<&Holder, LeaseLost> {
        let lost = |holder: String| LeaseLost { cycle: cycle.clone(), holder };
        let holder = self.holder.as_ref().ok_or_else(|| lost("nobody".to_owned()))?;
        if holder.cycle == *cycle { Ok(holder) } else { Err(lost(holder.cycle.to_string())) }
    }
}

impl Holder {
    fn new(cycle: &CycleId, execution: &str, at: Timestamp) -> Holder {
        let until = at.checked_add(TERM).unwrap_or(Timestamp::MAX);
        Holder { cycle: cycle.clone(), execution: execution.to_owned(), until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn held(cycle: &str) -> Lease {
        match Lease::default().claim(&cycle.into(), "arn", at(0), None) {
            Claim::Granted(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_cycle_acts_and_the_other_waits_its_turn() {
        let lease = held("a");
        assert!(matches!(lease.claim(&"b".into(), "arn", at(7_499), None), Claim::Busy(_)));
        assert!(matches!(lease.claim(&"b".into(), "arn", at(7_499), Some(true)), Claim::Busy(_)));
        assert!(
            matches!(lease.claim(&"a".into(), "arn", at(7_499), None), Claim::Granted(_)),
            "the same one again"
        );
        assert!(
            matches!(lease.claim(&"b".into(), "arn", at(7_500), None), Claim::Granted(_)),
            "it did not renew"
        );
        assert!(
            matches!(lease.claim(&"b".into(), "arn", at(1), Some(false)), Claim::Granted(_)),
            "it is known to be dead"
        );
        assert!(matches!(
            lease.renew(&"a".into(), at(500)).unwrap().claim(&"b".into(), "arn", at(7_900), None),
            Claim::Busy(_)
        ));
    }

    #[test]
    fn a_lost_lease_is_neither_renewed_nor_released() {
        let lease = held("b");
        let lost = lease.renew(&"a".into(), at(1)).unwrap_err();
        assert_eq!(lost.to_string(), "the lease belongs to b, not to a");
        assert!(lease.release(&"a".into(), None, None, None).is_err());
        assert!(Lease::default().renew(&"a".into(), at(1)).is_err());
    }

    #[test]
    fn an_open_plan_is_recovered_before_anything_else() {
        let open = Lease { open_plan: Some("plan".into()), ..held("a") };
        assert!(
            matches!(open.claim(&"b".into(), "arn", at(1), Some(false)), Claim::Recover(_, plan) if plan.0 == "plan")
        );
        let settled = open.release(&"a".into(), open.open_plan.as_ref(), None, None).unwrap();
        assert!(matches!(settled.claim(&"b".into(), "arn", at(1), None), Claim::Granted(_)));
    }

    #[test]
    fn only_another_cycle_that_takes_a_plan_over_counts_as_a_recovery() {
        let open = held("a").renew(&"a".into(), at(1)).unwrap();
        let open = Lease { open_plan: Some("plan".into()), ..open };
        let recoveries =
            |lease: &Lease, cycle: &str| match lease.claim(&cycle.into(), "arn", at(2), Some(false)) {
                Claim::Recover(taken, _) => (taken.recoveries, taken),
                other => panic!("{other:?}"),
            };
        let (first, taken) = recoveries(&open, "b");
        assert_eq!((first, recoveries(&taken, "b").0), (1, 1), "its function may run twice");
        assert_eq!(recoveries(&taken, "c").0, 2);
    }

    #[test]
    fn a_person_must_look_before_anything_acts_again() {
        let open = Lease { open_plan: Some("plan".into()), ..held("a") };
        let stopped =
            open.release(&"a".into(), None, Some("web could not be rolled back".into()), None).unwrap();
        assert!(matches!(stopped.claim(&"b".into(), "arn", at(9_999), None), Claim::NeedsHuman(_)));
        assert_eq!(stopped.open_plan, Some("plan".into()), "what stands must still be known");
    }

    #[test]
    fn a_cycle_that_did_not_settle_the_plan_it_took_over_leaves_it_open() {
        let mut lease = Lease { open_plan: Some("plan".into()), ..Lease::default() };
        for (tried, cycle) in (1..).zip(["a", "b", "c"]) {
            // Its function may run twice: that is one cycle, not two.
            for _ in 0..2 {
                let Claim::Recover(taken, _) = lease.claim(&cycle.into(), "arn", at(0), None) else {
                    panic!()
                };
                lease = taken;
            }
            assert_eq!((lease.recoveries, lease.taken_over(&cycle.into())), (tried, Some(&"plan".into())));
            lease = lease.release(&cycle.into(), Some(&"another".into()), None, None).unwrap();
            assert_eq!((&lease.open_plan, lease.recoveries), (&Some("plan".into()), tried));
        }
        let Claim::Recover(taken, plan) = lease.claim(&"d".into(), "arn", at(0), None) else { panic!() };
        let free = taken.release(&"d".into(), Some(&plan), None, None).unwrap();
        assert_eq!(free, Lease::default());
    }

    #[test]
    fn leases_of_earlier_versions_are_read() {
        let old = r#"{"holder":null,"open_plan":"plan","needs_human":null,"looked_at":null}"#;
        assert_eq!(serde_json::from_str::<Lease>(old).unwrap().open_plan, Some("plan".into()));
    }

    /// What a cycle may do to a lease, in any order.
    #[derive(Clone, Copy, Debug)]
    enum Act {
        Claim,
        Open,
        Settle,
        Fail,
        Stop,
    }

    proptest::proptest! {
        #[test]
        fn an_open_plan_is_never_forgotten(acts in proptest::collection::vec((0..4_u8, 0..5_usize), 1..60)) {
            const ACTS: [Act; 5] = [Act::Claim, Act::Open, Act::Settle, Act::Fail, Act::Stop];
            let (mut lease, mut ready) = (Lease::default(), None);
            for (turn, (cycle, act)) in acts.into_iter().enumerate() {
                let before = lease.open_plan.clone();
                let id: CycleId = format!("{cycle}").as_str().into();
                let second = i64::try_from(turn).unwrap() * 400;
                let (settled, needs_human) = match ACTS[act] {
                    Act::Claim => {
                        match lease.claim(&id, "arn", at(second), None) {
                            Claim::Granted(granted) => (lease, ready) = (granted, Some(id)),
                            Claim::Recover(taken, _) => lease = taken,
                            Claim::Busy(_) | Claim::NeedsHuman(_) => (),
                        }
                        proptest::prop_assert_eq!(&lease.open_plan, &before);
                        continue;
                    }
                    Act::Open if ready.as_ref() == Some(&id) && lease.held_by(&id).is_ok() => {
                        lease.open_plan = Some(format!("plan-{turn}").as_str().into());
                        continue;
                    }
                    Act::Open => continue,
                    Act::Settle => (before.clone(), None),
                    Act::Fail => (None, None),
                    Act::Stop => (None, Some("stuck".to_owned())),
                };
                let stopped = needs_human.is_some();
                if let Ok(released) = lease.release(&id, settled.as_ref(), needs_human, None) {
                    lease = released;
                    let gone = before.is_some() && lease.open_plan.is_none();
                    proptest::prop_assert!(!gone || (settled == before && !stopped), "{:?} after {:?}", lease, before);
                }
            }
        }
    }
}
