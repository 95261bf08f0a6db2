//! The state machine's own rules, read from its definition and the code together.

use std::collections::{BTreeMap, BTreeSet};

use headroom_aws::executions::FUNCTION_TIME_MAX;
use headroom_aws::failure::Failure;
use headroom_core::cycle::CollectedKind;
use headroom_core::report::Progress;
use local_aws::root;
use serde_json::{Value as Json, json};

use crate::bench::definition;

/// What Step Functions, Lambda and its runtime call their own failures.
const FOREIGN: [&str; 4] = ["States.", "Lambda.", "Sandbox.", "Runtime."];
/// What must be tried again wherever a function is called.
const TRANSIENT: [&str; 9] = [
    "Throttled",
    "Unavailable",
    "Conflict",
    "Lambda.ServiceException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "States.Timeout",
];
/// What a function in a VPC answers while its network is being made, which takes minutes: after weeks in which nobody
/// called it, or when the account is short of something. Step Functions prefixes Lambda's own names; AWS's SDK for Java
/// writes some of them in another way, so both are there.
const NOT_READY: [&str; 12] = [
    "Lambda.ResourceNotReadyException",
    "Lambda.ResourceConflictException",
    "Lambda.ENINotReadyException",
    "Lambda.EniNotReadyException",
    "Lambda.ENILimitReachedException",
    "Lambda.EniLimitReachedException",
    "Lambda.EC2ThrottledException",
    "Lambda.Ec2ThrottledException",
    "Lambda.EC2UnexpectedException",
    "Lambda.Ec2UnexpectedException",
    "Lambda.SubnetIPAddressLimitReachedException",
    "Lambda.SubnetIpAddressLimitReachedException",
];
/// Making a network interface takes about a minute and a half, and some minutes on a bad day.
const NOT_READY_S: f64 = 300.0;
/// What Step Functions lets a state return.
const PAYLOAD_BYTES_MAX: usize = 262_144;
/// Twice the largest platform that is tested, all of it in one wave, ten steps in each batch.
const BATCHES: usize = 200;
/// The longest answer of a failed function that Step Functions keeps.
const CAUSE_LETTERS_MAX: usize = 32_768;

/// Every state with its name, those inside Maps included.
fn states() -> Vec<(String, &'static Json)> {
    fn collect(machine: &'static Json, into: &mut Vec<(String, &'static Json)>) {
        for (name, state) in machine["States"].as_object().unwrap() {
            into.push((name.clone(), state));
            if state["Type"] == "Map" {
                collect(&state["ItemProcessor"], into);
            }
        }
    }
    let mut states = Vec::new();
    collect(definition(), &mut states);
    states
}

fn of_type(kind: &str) -> Vec<(String, &'static Json)> {
    states().into_iter().filter(|(_, state)| state["Type"] == kind).collect()
}

fn names(rules: &Json) -> impl Iterator<Item = &str> {
    rules
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|rule| rule["ErrorEquals"].as_array().unwrap())
        .map(|name| name.as_str().unwrap())
}

#[test]
fn every_error_name_exists_in_the_code() {
    let known = Failure::names();
    for (state, body) in states() {
        for name in names(&body["Retry"]).chain(names(&body["Catch"])) {
            let foreign = FOREIGN.iter().any(|prefix| name.starts_with(prefix));
            assert!(foreign || known.contains(&name), "{state} names {name}, which nothing fails with");
        }
    }
}

#[test]
fn every_task_has_a_limit_a_retry_and_a_catch() {
    let tasks = of_type("Task");
    assert_eq!(tasks.len(), 8);
    for (state, task) in tasks {
        let limit = task["TimeoutSeconds"].as_u64().unwrap_or(0);
        assert!(0 < limit && limit <= 300, "{state}: {limit}");
        let retried: BTreeSet<&str> = names(&task["Retry"]).collect();
        for name in TRANSIENT {
            assert!(retried.contains(name), "{state} does not try {name} again");
        }
        assert!(!retried.contains("States.ALL"), "{state} tries again what cannot get better");
        for retry in task["Retry"].as_array().unwrap() {
            assert!(retry["MaxAttempts"].as_u64().unwrap() <= 8, "{state}");
            assert!(retry["MaxDelaySeconds"].as_u64().is_some(), "{state}");
        }
        assert_eq!(task["Retry"][0]["JitterStrategy"], "FULL", "{state}");
        assert!(names(&task["Catch"]).any(|name| name == "States.ALL"), "{state} lets something through");
    }
}

/// The pauses of a retry rule, added up as if chance made each as long as it can be.
fn pauses_s(rule: &Json) -> f64 {
    let number = |key: &str| rule[key].as_f64().unwrap();
    let (first, rate, most) = (number("IntervalSeconds"), number("BackoffRate"), number("MaxDelaySeconds"));
    let pauses = std::iter::successors(Some(first), |pause| Some(pause * rate));
    let attempts = usize::try_from(rule["MaxAttempts"].as_u64().unwrap()).unwrap();
    pauses.take(attempts).map(|pause| pause.min(most)).sum()
}

#[test]
fn a_function_whose_network_is_gone_is_waited_for() {
    for (state, task) in of_type("Task") {
        for name in NOT_READY {
            let rules = task["Retry"].as_array().unwrap();
            let rule = rules.iter().find(|rule| names(&json!([rule])).any(|retried| retried == name));
            let rule = rule.unwrap_or_else(|| panic!("{state} does not wait for {name}"));
            // With chance in them, pauses may all be short.
            assert_eq!(rule["JitterStrategy"], "NONE", "{state}");
            assert!(NOT_READY_S <= pauses_s(rule), "{state} waits {} s for {name}", pauses_s(rule));
        }
    }
}

/// The most seconds that a task can take, every retry of every rule included.
fn longest_s(task: &Json) -> f64 {
    let rules = task["Retry"].as_array().unwrap();
    let tries = 1 + rules.iter().map(|rule| rule["MaxAttempts"].as_u64().unwrap()).sum::<u64>();
    let limit = task["TimeoutSeconds"].as_f64().unwrap();
    (0..tries).map(|_| limit).sum::<f64>() + rules.iter().map(pauses_s).sum::<f64>()
}

#[test]
fn every_state_says_what_it_is_for() {
    for (name, state) in states() {
        assert!(state["Comment"].as_str().is_some_and(|comment| 10 < comment.len()), "{name} has no comment");
    }
}

/// The states that can come after each state of the outer machine.
fn edges() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let outer = definition()["States"].as_object().unwrap();
    let next = |state: &'static Json| {
        let rules =
            ["Choices", "Catch"].into_iter().flat_map(move |key| state[key].as_array().into_iter().flatten());
        let own = [&state["Next"], &state["Default"]].into_iter().filter_map(Json::as_str);
        rules.filter_map(|rule| rule["Next"].as_str()).chain(own).collect()
    };
    outer.iter().map(|(name, state)| (name.as_str(), next(state))).collect()
}

fn reached_without(avoided: &str) -> BTreeSet<&'static str> {
    let edges = edges();
    let start = definition()["StartAt"].as_str().unwrap();
    let (mut seen, mut open) = (BTreeSet::from([start]), vec![start]);
    while let Some(state) = open.pop() {
        for next in edges.get(state).into_iter().flatten().filter(|next| **next != avoided) {
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    seen
}

#[test]
fn every_path_ends_in_settle() {
    let outer = definition()["States"].as_object().unwrap();
    let all = reached_without("nothing");
    assert_eq!(all.len(), outer.len(), "some state is never reached");
    for name in reached_without("Settle") {
        let state = &outer[name];
        assert!(
            !matches!(state["Type"].as_str(), Some("Succeed" | "Fail")),
            "{name} is reached without settling"
        );
        assert!(state["End"].as_bool() != Some(true), "{name} ends without settling");
        assert!(!edges()[name].is_empty(), "{name} leads nowhere");
    }
}

#[test]
fn waves_run_one_after_the_other_and_undo_goes_back() {
    let edges = edges();
    assert!(edges["IsWaveHealthy"].contains("BeginWave") && !edges["ExecuteWave"].contains("BeginWave"));
    assert!(edges["IsWaveUndone"].contains("BeginUndo"));
    // A wave that was begun is rolled back before the cycle settles, whatever state it failed in.
    for state in ["ExecuteWave", "CheckHealth"] {
        assert!(edges[state].contains("ShallWeRollBack") && !edges[state].contains("Settle"), "{state}");
    }
}

#[test]
fn what_is_rolled_back_goes_no_other_way_than_back() {
    let asked = &definition()["States"]["IsThereWork"]["Choices"][1];
    let kinds = [CollectedKind::Recover, CollectedKind::RollBack];
    for kind in kinds.map(|kind| serde_json::to_value(kind).unwrap()) {
        let condition = asked["Condition"].as_str().unwrap();
        assert!(
            condition.contains(&format!("$collected.kind = '{}'", kind.as_str().unwrap())),
            "{condition}"
        );
    }
    // The newest wave first, which is the last one, however many were begun.
    assert_eq!(asked["Assign"]["wave"], "{% $count($collected.plan.waves) %}");
    assert_eq!(asked["Next"], "BeginUndo");
}

#[test]
fn what_is_told_of_a_running_cycle_are_states_that_there_are() {
    for state in Progress::STATES {
        assert!(definition()["States"][state].is_object(), "{state}");
        assert!(Progress::default().entered(state).is_some(), "{state} is told as nothing");
    }
}

#[test]
fn rolling_back_outlasts_what_goes_by_and_has_a_time_of_its_own_to_be_seen() {
    let undo = &definition()["States"]["UndoWave"]["ItemProcessor"]["States"]["UndoBatch"];
    let check = &definition()["States"]["CheckUndone"];
    for (task, told) in
        [(undo, &undo["Catch"][0]["Output"]["kind"]), (check, &check["Catch"][0]["Assign"]["health"])]
    {
        assert_eq!(task["Catch"][0]["ErrorEquals"], task["Retry"][0]["ErrorEquals"]);
        assert!(told.as_str().unwrap().contains("'pending'"), "{told}");
    }
    // An update that took all of its wave's time has a wave's time again to be rolled back.
    assert_eq!(check["Arguments"]["Payload"]["startedAt"], "{% $undoneAt %}");
}

/// A value in the template, by the block of a function.
fn template_timeout(function: &str) -> u64 {
    let text = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let block = text.split(&format!("CodeUri: target/lambda/{function}/")).nth(1).unwrap();
    let timeout = block.lines().find_map(|line| line.trim().strip_prefix("Timeout: ")).unwrap();
    timeout.parse().unwrap()
}

#[test]
fn tasks_wait_longer_than_their_functions_run() {
    for (state, task) in of_type("Task") {
        let arn = task["Arguments"]["FunctionName"].as_str().unwrap();
        let function = match arn {
            "${CollectMetricsFunctionArn}" => "collect-metrics",
            "${ForecastFunctionArn}" => "forecast",
            "${DecideFunctionArn}" => "decide",
            "${ExecuteFunctionArn}" => "execute",
            "${HealthCheckFunctionArn}" => "health-check",
            other => panic!("{other}"),
        };
        assert!(template_timeout(function) < task["TimeoutSeconds"].as_u64().unwrap(), "{state}");
    }
}

#[test]
fn a_lease_outlives_functions_with_all_their_retries() {
    let term = headroom_core::lease::TERM.as_secs_f64();
    let longest = of_type("Task").into_iter().map(|(_, task)| longest_s(task)).fold(0.0, f64::max);
    assert!(2_000.0 < longest && longest < term, "{longest}");
    // Batches of one Map run after each other too, and waves wait: only the whole execution bounds what a lease must last.
    let execution = definition()["TimeoutSeconds"].as_f64().unwrap();
    let functions = ["collect-metrics", "forecast", "decide", "execute", "health-check"];
    // What an execution called last may go on after its end.
    let after = functions.map(template_timeout).into_iter().max().unwrap();
    assert!(execution + f64::from(u32::try_from(after).unwrap()) < term);
    assert_eq!(u64::try_from(FUNCTION_TIME_MAX.as_secs()).unwrap(), after);
    // A probe may take a minute, and all probes of a wave run at once.
    assert!(60 < template_timeout("health-check"));
}

/// The letters that a failed batch may say, from the expression that cuts them.
fn letters_of(expression: &str, batches: usize) -> usize {
    let (_, cut) = expression.split_once(", 0, $floor(").unwrap_or_else(|| panic!("{expression} is not cut"));
    let (all, of) = cut.split_once(" / ").unwrap();
    assert!(of.starts_with("$count($plan.waves[$wave].batches))"), "{of}");
    all.parse::<usize>().unwrap() / batches
}

/// Counters of everything that the execute function may call, as long as they can be.
fn largest_usage() -> String {
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let role = template.split("  ExecuteRole:").nth(1).unwrap().split("  ExecuteFunction:").next().unwrap();
    let words = role.split(|letter: char| !(letter.is_alphanumeric() || letter == ':' || letter == '-'));
    let services = ["autoscaling:", "application-autoscaling:", "ecs:", "dynamodb:", "sns:"];
    let calls = words.filter(|word| services.iter().any(|service| word.starts_with(service)));
    let billed = ["dynamodb_read_units", "dynamodb_write_units", "lambda_invocations", "lambda_gb_seconds"];
    // Calls are whole and few in ten steps; what is billed may have every digit of a number.
    let calls: BTreeSet<String> = calls.map(|call| format!("\"{call}\":9999.0,")).collect();
    assert!(12 < calls.len(), "{calls:?}");
    let billed = billed.map(|counter| format!("\"{counter}\":0.1234567890123456,"));
    calls.into_iter().chain(billed).collect()
}

#[test]
fn a_wave_of_failing_batches_stays_below_the_payload_limit() {
    for state in ["ExecuteBatch", "UndoBatch"] {
        let (_, task) = states().into_iter().find(|(name, _)| name == state).unwrap();
        let caught = &task["Catch"][0]["Output"];
        let said = [&task["Output"]["reasons"], &caught["reasons"][0]];
        let kept: BTreeSet<&str> = [&task["Output"], caught]
            .iter()
            .flat_map(|output| output.as_object().unwrap().keys())
            .map(String::as_str)
            .collect();
        let bounded = BTreeSet::from(["kind", "made", "reasons", "usage"]);
        assert!(kept.is_subset(&bounded), "{state} keeps more than is bounded here: {kept:?}");
        for expression in said.map(|expression| expression.as_str().unwrap()) {
            for batches in [1, 138, BATCHES] {
                // Every letter may be one that JSON escapes.
                let reason = 2 * letters_of(expression, batches).min(CAUSE_LETTERS_MAX);
                let frame = r#"{"kind":"nothing","made":false,"reasons":[""],"usage":{}},"#.len();
                let all = batches * (frame + reason + largest_usage().len());
                assert!(all < PAYLOAD_BYTES_MAX, "{state}: {batches} batches return {all} bytes");
            }
        }
    }
}

#[test]
fn a_failed_forecast_keeps_nothing_of_its_cause() {
    let (_, task) = states().into_iter().find(|(name, _)| name == "ForecastBatch").unwrap();
    let output = task["Catch"][0]["Output"].to_string();
    assert!(!output.contains("errorOutput"), "{output}");
}

#[test]
fn causes_that_are_kept_are_cut() {
    let all = definition().to_string();
    let causes = all.matches("errorOutput.Cause").count();
    let cut = all.matches("errorOutput.Cause, 0, ").count();
    // An error need not have a cause, and a variable cannot hold nothing.
    assert_eq!(all.matches("$substring($states.errorOutput.Cause").count(), 0);
    assert_eq!(causes, cut, "a cause may have 32,768 letters, and Settle is given several things");
}
