//! The command line as a user meets it: what it prints where, and how it exits.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use expect_test::{Expect, expect};

/// Runs the command in the project's folder with this on its standard input.
fn run(arguments: &[&str], input: &str) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headroom"));
    let command = command.args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn check(arguments: &[&str], input: &str, expected: Expect) {
    let (succeeds, out, err) = run(arguments, input);
    expected.assert_eq(&format!("{}\n{out}--\n{err}", if succeeds { "succeeds" } else { "fails" }));
}

#[test]
fn a_valid_file_is_told_in_a_line_and_its_doubts_apart() {
    check(
        &["validate", "examples/e-commerce.yaml"],
        "",
        expect![[r#"
        succeeds
        e-commerce-platform is valid: 3 groups, 6 dimensions; scales out database_tier, then application_tier, then web_tier; phase observe
        --
        examples/e-commerce.yaml:42:11: scaling_groups.database_tier.resources[1]: `analytics-cluster/minimum` is held: AURORA_SERVERLESS has no adapter for it yet (warning)
        examples/e-commerce.yaml:42:11: scaling_groups.database_tier.resources[1]: `analytics-cluster/maximum` is held: AURORA_SERVERLESS has no adapter for it yet (warning)
        examples/e-commerce.yaml:61:9: orchestration.health_checks[1].endpoint: is a path: it is asked for on the resource's load balancer, and not checked where there is none; write a whole URL to be sure (warning)
    "#]],
    );
}

#[test]
fn every_fault_is_told_at_once_where_editors_find_it() {
    let text = "configuration_name: shop
scaling_groups:
  web:
    resources:
      - {type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 9, max_capacity: 2, modee: floor}
";
    check(
        &["validate", "-"],
        text,
        expect![[r#"
        fails
        --
        -:5:68: scaling_groups.web.resources[0].max_capacity: its largest, 2, is below its smallest, 9
        -:5:85: scaling_groups.web.resources[0].modee: unknown key; did you mean `mode`?
        2 faults
    "#]],
    );
    check(
        &["validate", "-"],
        "",
        expect![[r#"
        fails
        --
        -:1:1: the file is empty
        1 fault
    "#]],
    );
    check(
        &["validate", "-"],
        "\u{0}: [",
        expect![[r#"
        fails
        --
        -:1:1: not YAML: found unprintable character
        1 fault
    "#]],
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    check(
        &["validate", "no-such-file.yaml"],
        "",
        expect![[r#"
        fails
        --
        headroom: no-such-file.yaml: No such file or directory (os error 2)
    "#]],
    );
}

#[test]
fn defaults_are_told_when_asked_for() {
    let text = "configuration_name: shop
scaling_groups: {app: {resources: [{type: ECS_SERVICE, name: api, cluster: main, min_capacity: 1, max_capacity: 3}]}}
";
    check(
        &["validate", "--explain", "-"],
        text,
        expect![[r#"
        succeeds
        shop is valid: 1 group, 1 dimension; scales out app; phase observe

        What was not written came out as:
          timezone: UTC
          predictive.retrain: weekly
          predictive.slo.objective: 99.9
          predictive.prediction_horizon: 2h
          predictive.training_period: 14d
          predictive.scale_up_confidence: 0.7
          predictive.scale_down_confidence: 0.9
          predictive.max_predictive_scaling_percent: 50
          predictive.fallback.reactive: true
          predictive.fallback.after: 5m
          predictive.scheduling_buffer: 15m
          guardrails.cooldown.out: 0s
          guardrails.cooldown.in: 5m
          guardrails.max_scale_out_percent: 200
          guardrails.min_scale_in_percent: 50
          guardrails.circuit_breaker.failures: 3
          guardrails.circuit_breaker.open_for: 30m
          guardrails.direction_changes_per_hour: 4
          scaling_groups.app.resources[0].target_cpu_utilization: 70
          scaling_groups.app.resources[0].hourly_cost_per_unit: 0.05
          scaling_groups.app.resources[0].provisioning_seconds: 60
          orchestration.strategy: coordinated
          orchestration.cycle_seconds: 300
          orchestration.rollback_on_failure: true
          orchestration.rollout_phase: observe (decides and records, changes nothing)
          orchestration.auto_promote: false
        --
    "#]],
    );
}

#[test]
fn the_schema_is_one_that_editors_know() {
    let (succeeds, out, err) = run(&["schema"], "");
    assert!(succeeds && err.is_empty(), "{err}");
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    // Their order is that of the map in use, which another package's features may change.
    let keys: std::collections::BTreeSet<&str> =
        schema["$defs"]["Platform"]["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    expect!["calendar configuration_name cost_optimization guardrails monitoring objective orchestration predictive scaling_groups timezone"].assert_eq(&keys.join(" "));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headroom"));
    let mut child = command.arg("schema").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert!(child.wait().unwrap().success() && err.is_empty(), "{err}");
}

/// The boundary that keeps the offline commands and the thinking small and quick to build.
#[test]
fn neither_offline_commands_nor_thinking_need_an_sdk_or_a_runtime() {
    for package in ["headroom", "headroom-core"] {
        let mut tree = Command::new(env!("CARGO"));
        tree.args([
            "tree",
            "--locked",
            "--offline",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "-p",
            package,
        ]);
        let tree = tree.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let tree = String::from_utf8(tree.stdout).unwrap();
        assert!(tree.lines().count() > 5, "{tree}");
        let foreign =
            |line: &&str| ["aws", "tokio", "hyper", "headroom-aws"].iter().any(|name| line.starts_with(name));
        assert_eq!(tree.lines().find(foreign), None, "{package}");
    }
}
