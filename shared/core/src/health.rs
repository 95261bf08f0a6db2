//! Health after a wave: what was found becomes healthy, pending or unhealthy, with reasons.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::journal::{Entry, StepEvent};
use crate::observe::{Busy, Capacity, Observed};
use crate::plan::StepChange;
use crate::platform::Mode;
use crate::units::{Direction, Units};

/// A probe that fails so often in a row, with the capacity already there, is not just a glitch.
pub const STRIKES_MAX: u32 = 3;

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was checked: `web/desired`, `GET https://shop.example.com/health`.
    pub what: String,
    /// How it is.
    pub state: Health,
    /// Whether it is about capacity; otherwise it is a probe.
    pub is_capacity: bool,
}

/// How something is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It is well.
    Healthy,
    /// It is not there yet.
    Pending(String),
    /// It is not there yet, because AWS lacks what was asked for. When the wave's time is over, what there is has to do.
    Unavailable(String),
    /// It failed.
    Unhealthy(String),
    /// It could not be checked at all, and says nothing either way.
    NotChecked(String),
}

/// How a wave is, as the state machine branches on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The next wave may start.
    Healthy,
    /// Ask again.
    Pending,
    /// It does not hold.
    Unhealthy,
}

/// A verdict with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict.
    pub kind: Verdict,
    /// Why.
    pub reasons: Vec<String>,
    /// How often in a row a probe failed with the capacity there; to be handed to the next judgement.
    pub strikes: u32,
}

/// The time a wave has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// When it started.
    pub started_at: Timestamp,
    /// How long it may take.
    pub timeout_s: u32,
    /// Now.
    pub at: Timestamp,
}

impl Limit {
    fn is_over(self) -> bool {
        i64::from(self.timeout_s) <= self.at.as_second() - self.started_at.as_second()
    }
}

/// Judges a wave by everything that was found. `strikes` is that of the judgement before, zero at first.
pub fn judge(findings: &[Finding], strikes: u32, limit: Limit) -> Judgement {
    let of =
        |wanted: fn(&Finding) -> Option<String>| findings.iter().filter_map(wanted).collect::<Vec<String>>();
    let lost = of(|finding| match &finding.state {
        Health::Unhealthy(why) if finding.is_capacity => Some(format!("{}: {why}", finding.what)),
        _ => None,
    });
    if !lost.is_empty() {
        return Judgement { kind: Verdict::Unhealthy, reasons: lost, strikes };
    }
    let waiting = of(|finding| match &finding.state {
        Health::Pending(why) => Some(format!("{}: {why}", finding.what)),
        _ => None,
    });
    let lacking = of(|finding| match &finding.state {
        Health::Unavailable(why) => Some(format!("{}: {why}", finding.what)),
        _ => None,
    });
    let failing = of(|finding| match &finding.state {
        Health::Unhealthy(why) => Some(format!("{}: {why}", finding.what)),
        _ => None,
    });
    // To take back what AWS did give would make less of it.
    if waiting.is_empty() && failing.is_empty() && (lacking.is_empty() || limit.is_over()) {
        let unchecked = of(|finding| match &finding.state {
            Health::NotChecked(why) => Some(format!("{} was not checked: {why}", finding.what)),
            _ => None,
        });
        return Judgement { kind: Verdict::Healthy, reasons: [lacking, unchecked].concat(), strikes: 0 };
    }
    // While capacity is still coming, a failing probe may only be waiting for it.
    let strikes = if waiting.is_empty() && lacking.is_empty() { strikes + 1 } else { 0 };
    let mut reasons = [waiting, lacking, failing].concat();
    let kind = if limit.is_over() {
        reasons.insert(0, format!("not healthy within {} s", limit.timeout_s));
        Verdict::Unhealthy
    } else if STRIKES_MAX <= strikes {
        Verdict::Unhealthy
    } else {
        Verdict::Pending
    };
    Judgement { kind, reasons, strikes }
}

/// Whether a change was reached: out, so much is ready; in, no more than that is left. What only stands by serves nothing, so that
/// it is enough that it is set.
pub fn reached(change: &StepChange, capacity: &Observed<Capacity>, stands_by: bool) -> Finding {
    Finding { what: change.key.to_string(), state: state(change, capacity, stands_by), is_capacity: true }
}

/// What AWS lacked of a step that holds, unless its journal has that already: a function may run twice.
pub fn lacking(entry: &Entry, findings: &[Finding]) -> Option<String> {
    if !entry.state.holds() || entry.when(StepEvent::Unavailable).is_some() {
        return None;
    }
    let of_step = |finding: &&Finding| {
        entry.step.changes.iter().any(|change| finding.is_capacity && finding.what == change.key.to_string())
    };
    let lacks = findings.iter().filter(of_step).filter_map(|finding| match &finding.state {
        Health::Unavailable(why) => Some(why.as_str()),
        _ => None,
    });
    let told: Vec<&str> = lacks.collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn state(change: &StepChange, capacity: &Observed<Capacity>, stands_by: bool) -> Health {
    let capacity = match capacity {
        Observed::Known(capacity) => capacity,
        Observed::Unknown(why) => return Health::Pending(why.clone()),
    };
    let (target, set, ready) = (change.target, capacity.set, capacity.ready);
    let direction = Direction::of(change.expected, target);
    // While AWS carries out an update it describes the capacity from before, so nothing else can be judged yet.
    if let Some(Busy::Locked(what)) = &capacity.busy {
        return Health::Pending(what.clone());
    }
    let kept = match direction {
        Direction::Out => target <= set,
        Direction::In => set <= target,
    };
    if !kept {
        // Describe calls lag behind writes, so the value from before is not yet evidence of anything.
        let before = set == change.expected;
        let told = format!("is set to {set}, and not to {target}");
        return if before { Health::Pending(told) } else { Health::Unhealthy(told) };
    }
    let there = match direction {
        _ if stands_by => true,
        Direction::Out => target <= ready,
        Direction::In => is_gone(capacity, target),
    };
    match (&capacity.busy, there) {
        // What is there is there, whatever AWS still replaces.
        (_, true) => Health::Healthy,
        (Some(Busy::Held(what)), false) => Health::Pending(what.clone()),
        (_, false) if capacity.unavailable.is_some() && direction == Direction::Out => {
            let why = capacity.unavailable.as_deref().unwrap_or_default();
            Health::Unavailable(format!("{ready} of {target} are ready; AWS lacks what was asked for: {why}"))
        }
        // A deployment that failed has nothing to do with how many tasks there are, but may be why there are too few.
        (_, false) => {
            let failed = capacity.failed.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
            Health::Pending(format!("{ready} of {target} are ready{failed}"))
        }
    }
}

/// Whether no more is left than should be. A floor lets the native policy keep more, and so does a deployment, which runs
/// old and new tasks side by side; neither can be waited for.
fn is_gone(capacity: &Capacity, target: Units) -> bool {
    let more_is_meant = capacity.mode == Mode::Floor || matches!(capacity.busy, Some(Busy::ScaleInHeld(_)));
    more_is_meant || capacity.ready <= Units(target.0.saturating_add(capacity.overshoot.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(age_s: i64) -> Limit {
        let started_at = Timestamp::UNIX_EPOCH;
        Limit { started_at, timeout_s: 600, at: Timestamp::from_second(age_s).unwrap() }
    }

    fn finding(told: &str) -> Finding {
        let (what, how) = told.split_once(' ').unwrap();
        let state = match how {
            "well" => Health::Healthy,
            "waits" => Health::Pending("waits".into()),
            "fails" => Health::Unhealthy("fails".into()),
            "lacks" => Health::Unavailable("lacks".into()),
            _ => Health::NotChecked("no way".into()),
        };
        Finding { what: what.into(), state, is_capacity: what == "web" }
    }

    fn check(told: &[&str], strikes: u32, age_s: i64, expected: &str) {
        let findings: Vec<Finding> = told.iter().map(|told| finding(told)).collect();
        let Judgement { kind, reasons, strikes } = judge(&findings, strikes, limit(age_s));
        assert_eq!(format!("{kind:?} {strikes} {}", reasons.join("; ")), expected);
    }

    #[test]
    fn a_wave_is_healthy_when_everything_is() {
        check(&[], 0, 0, "Healthy 0 ");
        check(&["web well", "http well"], 2, 0, "Healthy 0 ");
        check(&["web well", "http unknown"], 0, 0, "Healthy 0 http was not checked: no way");
        check(&["web waits", "http well"], 0, 0, "Pending 0 web: waits");
        check(&["web fails", "http well"], 0, 0, "Unhealthy 0 web: fails");
    }

    #[test]
    fn a_probe_has_three_tries_once_the_capacity_is_there() {
        check(&["web waits", "http fails"], 2, 0, "Pending 0 web: waits; http: fails");
        check(&["web well", "http fails"], 0, 0, "Pending 1 http: fails");
        check(&["web well", "http fails"], 2, 0, "Unhealthy 3 http: fails");
    }

    #[test]
    fn time_runs_out() {
        check(&["web waits"], 0, 599, "Pending 0 web: waits");
        check(&["web waits"], 0, 600, "Unhealthy 0 not healthy within 600 s; web: waits");
        check(&["web well"], 0, 600, "Healthy 0 ");
    }

    #[test]
    fn what_aws_lacks_is_waited_for_and_then_done_without() {
        check(&["web lacks", "http well"], 0, 599, "Pending 0 web: lacks");
        check(&["web lacks", "http well"], 0, 600, "Healthy 0 web: lacks");
        check(&["web lacks", "http fails"], 2, 599, "Pending 0 web: lacks; http: fails");
        check(
            &["web lacks", "http fails"],
            0,
            600,
            "Unhealthy 0 not healthy within 600 s; web: lacks; http: fails",
        );
        check(
            &["web lacks", "api waits"],
            0,
            600,
            "Unhealthy 0 not healthy within 600 s; api: waits; web: lacks",
        );
        let full = Capacity { unavailable: Some("no capacity".into()), ..capacity(8, 6) };
        let told = "Unavailable(\"6 of 8 are ready; AWS lacks what was asked for: no capacity\")";
        check_capacity((4, 8), full.clone(), told);
        check_capacity((4, 6), Capacity { set: Units(6), ..full.clone() }, "Healthy");
        check_capacity((10, 5), Capacity { set: Units(5), ..full }, "Pending(\"6 of 5 are ready\")");
    }

    #[test]
    fn capacity_is_reached_when_it_is_ready_or_gone() {
        let found = |from: u32, to: u32, set: u32, ready: u32, mode: Mode| {
            let change =
                StepChange { key: "web/desired".parse().unwrap(), expected: Units(from), target: Units(to) };
            let (set, ready) = (Units(set), Units(ready));
            let capacity = Capacity { mode, set, ready, ..Capacity::default() };
            reached(&change, &Observed::Known(capacity), false).state
        };
        assert_eq!(found(4, 8, 8, 8, Mode::Desired), Health::Healthy);
        assert_eq!(found(4, 8, 8, 6, Mode::Desired), Health::Pending("6 of 8 are ready".into()));
        assert_eq!(found(4, 8, 9, 9, Mode::Desired), Health::Healthy); // somebody wanted more still
        assert!(matches!(found(4, 8, 5, 5, Mode::Desired), Health::Unhealthy(_)));
        assert_eq!(found(8, 4, 4, 6, Mode::Desired), Health::Pending("6 of 4 are ready".into()));
        assert_eq!(found(8, 4, 4, 4, Mode::Desired), Health::Healthy);
        assert_eq!(found(8, 4, 4, 9, Mode::Floor), Health::Healthy); // the native policy holds more
    }

    fn check_capacity((from, to): (u32, u32), capacity: Capacity, expected: &str) {
        let change =
            StepChange { key: "web/desired".parse().unwrap(), expected: Units(from), target: Units(to) };
        assert_eq!(format!("{:?}", reached(&change, &Observed::Known(capacity), false).state), expected);
    }

    fn capacity(set: u32, ready: u32) -> Capacity {
        Capacity { set: Units(set), ready: Units(ready), ..Capacity::default() }
    }

    #[test]
    fn while_a_table_is_updating_its_old_throughput_is_not_taken_for_a_lost_change() {
        let updating = || Some(Busy::Locked("the table is UPDATING".into()));
        let pending = "Pending(\"the table is UPDATING\")";
        check_capacity((10, 20), Capacity { busy: updating(), ..capacity(10, 10) }, pending);
        check_capacity((20, 10), Capacity { busy: updating(), ..capacity(20, 20) }, pending);
        // Even something else: whose update it is cannot be known before it is over.
        check_capacity((10, 20), Capacity { busy: updating(), ..capacity(13, 13) }, pending);
    }

    #[test]
    fn a_description_that_lags_behind_the_write_is_pending_and_another_value_unhealthy() {
        check_capacity((4, 8), capacity(4, 4), "Pending(\"is set to 4, and not to 8\")");
        check_capacity((8, 4), capacity(8, 8), "Pending(\"is set to 8, and not to 4\")");
        check_capacity((4, 8), capacity(5, 5), "Unhealthy(\"is set to 5, and not to 8\")");
    }

    #[test]
    fn a_deployment_neither_hides_what_is_ready_nor_fails_a_wave() {
        let deploying = || Some(Busy::ScaleInHeld("a deployment is in progress".into()));
        check_capacity((4, 8), Capacity { busy: deploying(), ..capacity(8, 8) }, "Healthy");
        check_capacity(
            (4, 8),
            Capacity { busy: deploying(), ..capacity(8, 6) },
            "Pending(\"6 of 8 are ready\")",
        );
        check_capacity((8, 4), Capacity { busy: deploying(), ..capacity(4, 7) }, "Healthy");
        let failed = Capacity { failed: Some("its deployment failed: crash".into()), ..capacity(8, 6) };
        check_capacity((4, 8), failed, "Pending(\"6 of 8 are ready; its deployment failed: crash\")");
        let held =
            |ready| Capacity { busy: Some(Busy::Held("an instance refresh".into())), ..capacity(8, ready) };
        check_capacity((4, 8), held(8), "Healthy");
        check_capacity((4, 8), held(6), "Pending(\"an instance refresh\")");
    }

    #[test]
    fn what_weights_leave_over_does_not_hold_up_a_scale_in() {
        let weighted = |ready| Capacity { overshoot: Units(3), ..capacity(10, ready) };
        check_capacity((20, 10), weighted(13), "Healthy");
        check_capacity((20, 10), weighted(14), "Pending(\"14 of 10 are ready\")");
    }
}
