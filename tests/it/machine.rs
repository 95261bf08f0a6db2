//! The state machine's own rules, read from its definition and the code together.

use std::collections::{BTreeMap, BTreeSet};

use headroom_aws::failure::Failure;
use local_aws::root;
use serde_json::Value as Json;

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
            assert!(
                retry["MaxAttempts"].as_u64().unwrap() <= 5 && retry["JitterStrategy"] == "FULL",
                "{state}"
            );
            assert!(retry["MaxDelaySeconds"].as_u64().is_some(), "{state}");
        }
        assert!(names(&task["Catch"]).any(|name| name == "States.ALL"), "{state} lets something through");
    }
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
    // A wave that was begun is taken back before the cycle settles, whatever state it failed in.
    for state in ["ExecuteWave", "CheckHealth"] {
        assert!(edges[state].contains("ShallWeRollBack") && !edges[state].contains("Settle"), "{state}");
    }
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
        // Settling is short, and the function that does it also does longer things.
        if state != "Settle" {
            assert!(template_timeout(function) < task["TimeoutSeconds"].as_u64().unwrap(), "{state}");
        }
    }
}

#[test]
fn a_lease_outlives_the_longest_function() {
    let longest = ["collect-metrics", "forecast", "decide", "execute", "health-check"]
        .map(template_timeout)
        .into_iter()
        .max();
    assert!(longest.unwrap() * 2 < headroom_core::lease::TERM.as_secs());
    // A probe may take a minute, and all probes of a wave run at once.
    assert!(60 < template_timeout("health-check"));
}
