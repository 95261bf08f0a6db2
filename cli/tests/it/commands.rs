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
            e-commerce-platform is valid: 3 groups, 5 dimensions; scales out database_tier, then application_tier, then web_tier; phase observe
            --
            examples/e-commerce.yaml:47:11: scaling_groups.database_tier.resources[1].auto_pause: pauses nothing: AWS pauses a cluster only while its minimum is 0; write `min_capacity: 0` (warning)
            examples/e-commerce.yaml:62:9: orchestration.health_checks[1].endpoint: is a path: it is asked for on the resource's load balancer, and where there is none, the wave is unhealthy and rolled back; write a whole URL if there is none (warning)
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
              predictive.slo.objective: 99.5
              predictive.prediction_horizon: 2h
              predictive.training_period: 14d
              predictive.scale_up_confidence: 0.7
              predictive.scale_down_confidence: 0.9
              predictive.max_predictive_scaling_percent: 200
              predictive.fallback.reactive: true
              predictive.fallback.after: 5m
              predictive.scheduling_buffer: 0s
              guardrails.cooldown.out: 0s
              guardrails.cooldown.in: 5m
              guardrails.max_scale_out_percent: 200
              guardrails.min_scale_in_percent: 50
              guardrails.circuit_breaker.failures: 3
              guardrails.circuit_breaker.open_for: 30m
              guardrails.direction_changes_per_hour: 12
              scaling_groups.app.resources[0].target_cpu_utilization: 70
              scaling_groups.app.resources[0].hourly_cost_per_unit: 0.05
              scaling_groups.app.resources[0].provisioning_seconds: 60
              orchestration.strategy: coordinated
              orchestration.cycle_seconds: 300
              orchestration.rollback_on_failure: true
              orchestration.rollout_phase: observe (decides and records, changes nothing)
              orchestration.auto_promote: false

            CloudWatch bills 16 metrics of the platform and 0 of its dimensions: $4.80 a month; a dashboard is $3.00 more, or free among an account's first three if it has at most 50 metrics
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

/// Half a day of a wave, a point a minute.
fn half_a_day() -> String {
    let point = |minute: u32| {
        let load = 500.0 + 300.0 * (f64::from(minute) / 120.0).sin();
        format!("2026-01-01T{:02}:{:02}:00Z,{load:.1}\n", minute / 60, minute % 60)
    };
    format!("timestamp,value\n{}", (0..720).map(point).collect::<String>())
}

const SHOP: &str = "configuration_name: shop
scaling_groups:
  data:
    resources: [{type: ECS_SERVICE, name: orders, min_capacity: 1, max_capacity: 30, target_cpu_utilization: 60}]
  web:
    resources:
      - {type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 30,
         metrics: [{name: requests, kind: load, target_per_unit: 70, limit_per_unit: 90}]}
orchestration: {dependencies: [{source: web, target: data, type: scale_before}]}
";

/// A folder of this test's own with the platform and the trace, and their names.
fn shop(test: &str, trace: &str) -> (String, String) {
    let folder = std::env::temp_dir().join(format!("headroom-{test}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    (write("platform.yaml", SHOP), write("trace.csv", trace))
}

#[test]
fn a_replay_is_told_as_a_table_for_programs_and_as_a_page() {
    let (platform, trace) = shop("formats", &half_a_day());
    let told = |format: &str, more: &[&str]| {
        let arguments = [&["simulate", &platform, "--trace", &trace, "--format", format], more].concat();
        let (succeeds, out, err) = run(&arguments, "");
        assert!(succeeds && err.is_empty(), "{err}");
        out
    };
    let text = told("text", &[]);
    for line in [
        "all tiers together",
        "orders/desired",
        "web/desired",
        "AWS predictive (oracle forecaster)",
        "oracle ",
    ] {
        assert!(text.lines().any(|told| told.starts_with(line)), "{line}: {text}");
    }
    assert!(text.contains("takes 20 units at the target"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&told("json", &["--target", "web", "--against", "none"])).unwrap();
    let names: Vec<&str> =
        json["runs"].as_array().unwrap().iter().filter_map(|run| run["name"].as_str()).collect();
    assert_eq!(names, ["headroom", "headroom, floor under tracking", "oracle"]);
    assert_eq!(
        (&json["tiers"][0]["dimension"], &json["tiers"][0]["scale"]),
        (&"web/desired".into(), &1.0.into())
    );
    let decisions = json["runs"][0]["decisions"].as_array().unwrap();
    assert!(
        !decisions.is_empty()
            && decisions.iter().all(|told| !told["reasons"][0].as_str().unwrap().is_empty())
    );
    let bought = told(
        "text",
        &["--target", "web", "--against", "none", "--objectives", "--short-minute-cost", "1000000"],
    );
    assert!(
        bought.contains("headroom at other objectives") && bought.contains("one short minute less"),
        "{bought}"
    );
    assert!(bought.contains("note: at 1000000 USD for a short minute, the objective "), "{bought}");
    let page = told("html", &["--peak-units", "10", "--spread", "30", "--failing", "10", "--seed", "2"]);
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    for fetched in ["http://", "https://", "src=", "@import", "url(", "<link"] {
        assert!(!page.contains(fetched), "{fetched}");
    }
}

#[test]
fn what_cannot_be_replayed_is_said_by_line() {
    let bad = half_a_day().replace("2026-01-01T00:05:00Z,", "2026-01-01T00:05:00Z,x");
    let (platform, trace) = shop("bad", &bad);
    let (succeeds, out, err) = run(&["simulate", &platform, "--trace", &trace], "");
    assert!(
        !succeeds && out.is_empty() && err.contains("trace.csv:7: `x") && err.contains("is not a number"),
        "{err}"
    );
    let (_, _, err) = run(&["simulate", &platform, "--trace", "no-such-file.csv"], "");
    assert_eq!(err, "headroom: no-such-file.csv: No such file or directory (os error 2)\n");
    let (_, _, err) = run(&["simulate", &platform, "--trace", &trace, "--failing", "200"], "");
    assert!(err.contains("must be a number from 0 to 100"), "{err}");
    let (succeeds, _, err) = run(&["simulate", &platform, "--trace", &trace, "--short-minute-cost", "2"], "");
    assert!(!succeeds && err.contains("--objectives"), "{err}");
    let page = ["simulate", &platform, "--trace", &trace, "--objectives", "--format", "html"];
    let (succeeds, out, err) = run(&page, "");
    assert!(!succeeds && out.is_empty() && err.contains("the page does not show other objectives"), "{err}");
}

#[test]
fn a_replay_takes_its_load_from_one_place() {
    let (platform, trace) = shop("sources", "");
    let told = |arguments: &[&str]| run(&[&["simulate", &platform], arguments].concat(), "").2;
    assert!(told(&[]).contains("<--trace <TRACE>|--from-cloudwatch <TIME>>"), "{}", told(&[]));
    let both = told(&["--trace", &trace, "--from-cloudwatch", "14d"]);
    assert!(both.contains("cannot be used with"), "{both}");
    let bad = told(&["--from-cloudwatch", "a fortnight"]);
    assert!(bad.contains("a fortnight") && bad.contains("--from-cloudwatch"), "{bad}");
}

/// Offline commands are built without it, and must say so.
#[cfg(not(feature = "aws"))]
#[test]
fn without_the_feature_an_account_is_not_read_and_it_says_why() {
    let (platform, _) = shop("without", "");
    let (succeeds, out, err) = run(&["simulate", &platform, "--from-cloudwatch", "14d"], "");
    assert!(!succeeds && out.is_empty() && err.contains("cargo install --path cli --features aws"), "{err}");
}

#[test]
fn policy_answers_every_line_and_survives_bad_ones() {
    let (platform, _) = shop("policy", "");
    let history =
        r#"{"history": {"start": "2026-01-01T00:00:00Z", "step_s": 60, "values": [350, 350, null, 350]}}"#;
    let ask = r#"{"now": "2026-01-01T00:05:00Z", "values": [700], "ready": 5, "desired": 5, "more": 1}"#;
    let lines = [
        ask,
        "",
        "{",
        r#"{"history": {"start": "2026-01-01T00:00:00Z", "step_s": 0, "values": []}}"#,
        history,
        ask,
        r#"{"now": "soon", "values": [], "ready": 5, "desired": 5}"#,
        history,
        ask,
    ];
    let (succeeds, out, err) = run(&["policy", &platform, "--target", "web"], &lines.join("\n"));
    assert!(succeeds && err.is_empty(), "{err}");
    let answers: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let errors: Vec<&str> = answers.iter().filter_map(|answer| answer["error"].as_str()).collect();
    assert_eq!((answers.len(), errors.len()), (8, 4), "{out}");
    assert!(errors[0].contains("history comes first") && errors[1].contains("not JSON"), "{out}");
    assert!(errors[2].contains("step_s is zero") && errors[3].contains("not a question"), "{out}");
    // A new history starts again: the same question has the same answer.
    assert_eq!((&answers[4], &answers[3]["ready"]), (&answers[7], &true.into()));
    assert!(answers[4]["target"].as_u64().unwrap() > 5 && answers[4]["strategy"] == "reactive", "{out}");
    assert!(!answers[4]["reasons"].as_array().unwrap().is_empty(), "{out}");
}

#[test]
fn a_policy_nobody_listens_to_ends_without_a_failure() {
    let (platform, _) = shop("closed", "");
    let mut command = Command::new(env!("CARGO_BIN_EXE_headroom"));
    let command = command.args(["policy", &platform, "--target", "web"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    // It may be gone before it has read everything.
    let _ = child.stdin.take().unwrap().write_all("{}\n".repeat(100).as_bytes());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert!(child.wait().unwrap().success() && err.is_empty(), "{err}");
}

#[test]
fn the_example_to_replay_is_valid() {
    check(
        &["validate", "examples/bookshop/platform.yaml"],
        "",
        expect![[r#"
            succeeds
            bookshop is valid: 3 groups, 3 dimensions; scales out search, then api, then web; phase observe
            --
            examples/bookshop/platform.yaml:27:13: scaling_groups.api.resources[0].metrics[0]: has no `namespace`, so it cannot be read from CloudWatch; it works offline only (warning)
        "#]],
    );
}

#[test]
fn the_example_of_seven_tiers_is_valid() {
    check(
        &["validate", "examples/marketplace/platform.yaml"],
        "",
        expect![[r#"
        succeeds
        marketplace is valid: 7 groups, 11 dimensions; scales out database and events, then cache, then recommendations, then application, then web, then edge; phase observe
        --
    "#]],
    );
}

#[test]
fn the_policy_of_a_file_names_its_resources() {
    let arguments = ["iam", "examples/shop/platform.yaml", "--region", "eu-central-1", "--account"];
    let (succeeds, out, err) = run(&[&arguments[..], &["123456789012"]].concat(), "");
    assert!(succeeds, "{err}");
    let policy: serde_json::Value = serde_json::from_str(&out).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let tables = statements.iter().find(|one| one["Sid"] == "ScaleTables").unwrap();
    assert_eq!(tables["Action"], serde_json::json!(["dynamodb:UpdateTable"]));
    let table = "arn:aws:dynamodb:eu-central-1:123456789012:table/shop-orders";
    assert_eq!(tables["Resource"], serde_json::json!([table]));
    assert_eq!(tables["Condition"]["StringEquals"]["aws:ResourceTag/headroom"], "shop");
    let (succeeds, _, err) = run(&[&arguments[..], &["1234"]].concat(), "");
    assert!(!succeeds && err.contains("an account has twelve digits"), "{err}");
    let (succeeds, _, err) = run(&[&arguments[..], &["123456789012", "--part", "2"]].concat(), "");
    assert!(!succeeds && err.contains("needs 1 policies, and none is number 2"), "{err}");
}

#[test]
fn a_dashboard_is_one_line_of_json_for_a_region() {
    let draw = ["dashboard", "examples/shop/platform.yaml", "--region", "eu-central-1"];
    let (succeeds, out, err) = run(&draw, "");
    assert!(succeeds && err.is_empty() == (out.trim().len() <= 4_096), "{err}");
    let body: serde_json::Value = serde_json::from_str(&out).unwrap();
    let regions =
        body["widgets"].as_array().unwrap().iter().filter_map(|of| of["properties"]["region"].as_str());
    assert!(regions.clone().count() > 5 && regions.clone().all(|region| region == "eu-central-1"));
    let mut nowhere = Command::new(env!("CARGO_BIN_EXE_headroom"));
    let nowhere = nowhere.args(&draw[..2]).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let nowhere = nowhere.env_remove("AWS_REGION").output().unwrap();
    let told = String::from_utf8(nowhere.stderr).unwrap();
    assert!(!nowhere.status.success());
    assert_eq!(told, "headroom: the region of the platform's stack is needed: --region, or AWS_REGION\n");
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (succeeds, script, err) = run(&["completions", shell], "");
        assert!(succeeds && err.is_empty(), "{shell}: {err}");
        for word in ["validate", "simulate", "--explain", "--trace"] {
            // Some shells are told options without their dashes.
            assert!(script.contains(word.trim_start_matches('-')), "{shell} does not complete {word}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("man");
    let (succeeds, _, err) = run(&["man", &folder.to_string_lossy()], "");
    assert!(succeeds, "{err}");
    for name in ["headroom", "headroom-validate", "headroom-simulate"] {
        let page = std::fs::read_to_string(folder.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}: {page}");
    }
}

/// With all commands, which a build without an account does not have.
#[cfg(feature = "aws")]
#[test]
fn the_reference_is_what_the_commands_say() {
    let (succeeds, reference, err) = run(&["reference"], "");
    assert!(succeeds, "{err}");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(file, &reference).unwrap();
    }
    let written = std::fs::read_to_string(file).unwrap();
    assert!(
        written == reference,
        "docs/cli.md is not what `headroom reference` prints; UPDATE_EXPECT=1 writes it"
    );
}
