//! What a person does by the command line alone, at three in the morning and in the days before.

use std::time::{Duration, Instant};

use ::local_aws::server::Server;
use ::local_aws::{deploy, root};
use headroom_core::journal::{StepEvent, StepState};
use serde_json::Value as Json;
use tokio::process::Command;

use crate::bench::{Bench, CALM, server};

/// A person who is woken up waits no longer for a command that only looks or asks.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a command ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    took: Duration,
}

impl Printed {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs the command line that was built with everything else.
pub(crate) async fn headroom(server: &Server, machine: &str, arguments: &[&str]) -> Printed {
    let begun = Instant::now();
    let output = Command::new(deploy::built().unwrap().join("headroom"))
        .args(arguments)
        .env_clear()
        .envs(server.variables())
        .env("HEADROOM_STATE_MACHINE_ARN", machine)
        .current_dir(root())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let took = begun.elapsed();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(
        !err.contains("unrecognized subcommand"),
        "{err}\nbuild it with `--features headroom/aws`, as `make test` does"
    );
    Printed { code: output.status.code().unwrap(), out, err, took }
}

/// A command that succeeds.
async fn done(bench: &Bench, arguments: &[&str]) -> Printed {
    let printed = headroom(server().await, bench.machine(), arguments).await;
    assert_eq!(printed.code, 0, "{arguments:?}: {printed:?}");
    printed
}

/// A command that only looks or asks, and may be done again: it succeeds, and at its quickest it is quick.
async fn quick(bench: &Bench, arguments: &[&str]) -> Printed {
    let mut printed = done(bench, arguments).await;
    for _ in 0..3 {
        if printed.took < PATIENCE {
            break;
        }
        printed = done(bench, arguments).await;
    }
    eprintln!("{:>7.3} s  headroom {}", printed.took.as_secs_f64(), arguments.join(" "));
    assert!(printed.took < PATIENCE, "{arguments:?} took {:?}", printed.took);
    printed
}

pub(crate) fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

/// The plan that `explain` names.
fn plan_of(explained: &str) -> String {
    let (_, after) = explained.split_once("Waves of plan ").unwrap_or_else(|| panic!("{explained}"));
    after.split_whitespace().next().unwrap().to_owned()
}

/// Rolls a plan back, which tells what was rolled back, and nothing of what was made before.
async fn roll_back(bench: &Bench, plan: &str) {
    let rolled_back = done(bench, &["rollback", "drill", plan]).await;
    contains(
        &rolled_back.out,
        &["rolled back by hand", &format!("a person asked to roll back plan {plan}: 1 steps rolled back")],
    );
    contains(
        &rolled_back.err,
        &["rolls back, the newest wave first", "drill-web/desired 9 -> 24 rolled back"],
    );
    assert!(
        !rolled_back.err.contains("made"),
        "what was made earlier is not told again: {}",
        rolled_back.err
    );
}

#[tokio::test]
async fn at_three_in_the_morning_a_wrong_plan_is_seen_paused_rolled_back_and_resumed() {
    let bench = Bench::at("drill", CALM).await;
    let before = bench.capacity().await;

    // A slip of the pen: 24 servers where 9 serve the load. The next cycle does what it was asked.
    done(&bench, &["override", "drill", "drill-web/desired=24", "--for", "3h", "--by", "a slip"]).await;
    let wrong = done(&bench, &["run", "drill"]).await;
    contains(
        &wrong.err,
        &[
            "started ",
            " looks at metrics",
            " decides",
            " wave 1 begins",
            "drill-web/desired 9 -> 24 made",
            " settles",
        ],
    );
    assert!(!wrong.out.contains("arn:") && !wrong.out.contains("begins"), "the result alone: {}", wrong.out);
    assert_eq!(bench.capacity().await.web, 24);

    // She looks.
    let status = quick(&bench, &["status", "drill"]).await.out;
    contains(&status, &["no cycle acts now", "override: at least 24 of drill-web/desired", "(a slip)"]);
    let told = quick(&bench, &["explain", "drill", "--json"]).await.json();
    let web =
        told["dimensions"].as_array().unwrap().iter().find(|one| one["dimension"] == "drill-web/desired");
    let web = web.unwrap_or_else(|| panic!("{told}"));
    assert_eq!(
        (&web["change"], &web["set"], &web["target"]),
        (&"out".into(), &9.into(), &24.into()),
        "{told}"
    );
    let explained = quick(&bench, &["explain", "drill"]).await.out;
    contains(&explained, &["drill-web/desired: 9 -> 24  scale out", "a slip"]);
    let plan = plan_of(&explained);

    // She pauses, sees that nothing more would change, and rolls the plan back.
    contains(
        &quick(&bench, &["pause", "drill", "--for", "2h", "--by", "ana"]).await.out,
        &["paused: everything"],
    );
    let stands = quick(&bench, &["status", "drill", "--json"]).await.json();
    assert_eq!(
        (&stands["pauses"][0]["by"], &stands["overrides"][0]["units"]),
        (&"ana".into(), &24.into()),
        "{stands}"
    );
    assert_eq!((&stands["phase"], &stands["acting"]), (&"full".into(), &Json::Null), "{stands}");
    let now = done(&bench, &["plan", "drill"]).await.out;
    contains(&now, &["0 to change, 4 to hold", "paused until"]);
    let listed = quick(&bench, &["rollback", "drill"]).await.out;
    contains(&listed, &[&format!("plan {plan}, rolled back, sets\n  drill-web/desired 24 -> 9")]);
    roll_back(&bench, &plan).await;
    assert_eq!(bench.capacity().await, before);
    let journal = bench.journal().await;
    assert_eq!(journal["web"].state, StepState::Undone);
    assert!(journal["web"].when(StepEvent::UndoSucceeded).is_some());

    // What is rolled back is not rolled back again, and nothing is done.
    let again = headroom(server().await, bench.machine(), &["rollback", "drill", &plan]).await;
    assert_eq!(again.code, 3, "{again:?}");
    contains(&again.err, &["nothing of it stands"]);

    // She takes the cause away and lets it go on. The next cycle holds.
    quick(&bench, &["override", "drill", "drill-web/desired=0", "--for", "1h"]).await;
    let resumed = quick(&bench, &["unpause", "drill"]).await.out;
    assert!(!resumed.contains("paused") && !resumed.contains("override"), "{resumed}");
    let calm = done(&bench, &["run", "drill", "--json"]).await;
    assert_eq!(calm.json()["outcome"], "held", "{calm:?}");
    assert_eq!(bench.capacity().await, before);
}

#[tokio::test]
async fn a_plan_that_somebody_has_built_on_is_not_rolled_back() {
    let bench = Bench::at("built", CALM).await;
    let ask = |units: &str| format!("built-web/desired={units}");
    done(&bench, &["override", "built", &ask("12"), "--for", "3h"]).await;
    let first = plan_of(&done(&bench, &["run", "built"]).await.out);
    done(&bench, &["override", "built", &ask("15"), "--for", "3h"]).await;
    let second = plan_of(&done(&bench, &["run", "built"]).await.out);
    // A load that is a percent of the servers seems to grow with them, so that it may be more.
    let now = bench.capacity().await.web;
    assert!(15 <= now, "{now}");

    // The command line looks for later plans, and the cycle itself at what is set.
    let refused = headroom(server().await, bench.machine(), &["rollback", "built", &first]).await;
    assert_eq!(refused.code, 3, "{refused:?}");
    contains(&refused.err, &[&second, "roll that one back first"]);
    let cycle = bench.cycle_with(serde_json::json!({"task": "rollback", "plan": first})).await;
    assert_eq!(cycle.outcome(), "skipped", "{cycle:?}");
    contains(
        cycle.output["summary"].as_str().unwrap(),
        &[
            &format!("built-web/desired is {now}, but the plan was made for 12"),
            "something has changed it since",
        ],
    );
    assert_eq!(bench.capacity().await.web, now);

    // Newest first, both are rolled back.
    done(&bench, &["pause", "built", "--for", "1h"]).await;
    let newest = done(&bench, &["rollback", "built", &second, "--json"]).await.json();
    assert_eq!(
        (&newest["outcome"], &newest["schema"]),
        (&"rolled_back_by_hand".into(), &1.into()),
        "{newest}"
    );
    done(&bench, &["rollback", "built", &first]).await;
    assert_eq!(bench.capacity().await.web, 9);
}

#[tokio::test]
async fn a_file_is_applied_with_what_differs_and_stored_once() {
    let server = server().await;
    let folder = server.folder.join("applied");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("platform.yaml");
    let path = file.to_string_lossy();
    let text = std::fs::read_to_string(root().join("examples/shop/platform.yaml")).unwrap();
    let text = text.replace("configuration_name: shop", "configuration_name: applied");
    let run = async |text: &str, more: &[&str]| {
        std::fs::write(&file, text).unwrap();
        headroom(server, "none", &[&["apply", &path], more].concat()).await
    };
    let printed = run(&text, &["--dry-run"]).await;
    assert_eq!(
        (printed.code, printed.out.as_str()),
        (0, "applied is new\nnothing was stored\n"),
        "{printed:?}"
    );
    assert_eq!(run(&text, &[]).await.out, "applied is new\npublished as /headroom/applied\n");
    assert_eq!(run(&text, &[]).await.out, "applied is stored like this already\nnothing was stored\n");
    let changed = text.replacen("max_capacity: 40", "max_capacity: 50", 1);
    let expected =
        "applied: 1 value differs\n  ~ scaling_groups.app.resources[shop-api].max_capacity: 40 -> 50\n";
    assert_eq!(run(&changed, &["--dry-run"]).await.out, format!("{expected}nothing was stored\n"));
    let told = run(&changed, &["--json"]).await.json();
    assert_eq!((&told["beside_stored"], &told["stored"]), (&"changed".into(), &true.into()), "{told}");
    let bad = run(&text.replacen("max_capacity: 40", "max_capacity: 1", 1), &[]).await;
    assert_eq!(bad.code, 1, "{bad:?}");
    contains(&bad.err, &["not applied", "its largest, 1, is below its smallest, 2"]);
    assert_eq!(run(&changed, &[]).await.out, "applied is stored like this already\nnothing was stored\n");
}

#[tokio::test]
async fn policies_of_aws_are_put_under_the_floors_and_removed() {
    let bench = Bench::new("laid").await;
    let folder = server().await.folder.join("laid");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("platform.yaml");
    std::fs::write(&file, &bench.platform).unwrap();
    let path = file.to_string_lossy();
    let policies =
        async |what: &str| headroom(server().await, bench.machine(), &["policies", what, &path]).await;
    let shown = policies("show").await;
    assert_eq!(shown.code, 3, "{shown:?}");
    let web = format!("{}/desired: ", bench.shop.web());
    contains(&shown.out, &[&format!("{web}to put: headroom/laid/cpu keeps ASGAverageCPUUtilization at 60")]);
    contains(&shown.out, &["ECSServiceAverageCPUUtilization at 60", "DynamoDBReadCapacityUtilization at 70"]);
    contains(&policies("apply").await.out, &[&format!("{web}put: headroom/laid/cpu")]);
    let again = policies("apply").await;
    assert_eq!(again.out.matches("is as it should be").count(), 4, "{again:?}");
    assert_eq!(policies("show").await.code, 0);
    // Somebody changes one by hand, and adds one.
    let put = |name: &str, target: f64| {
        let metric = aws_sdk_autoscaling::types::PredefinedMetricSpecification::builder();
        let metric = metric.predefined_metric_type("ASGAverageCPUUtilization".into()).build();
        let tracking = aws_sdk_autoscaling::types::TargetTrackingConfiguration::builder();
        let tracking = tracking.predefined_metric_specification(metric).target_value(target).build();
        let put = bench.aws.autoscaling().put_scaling_policy().auto_scaling_group_name(bench.shop.web());
        put.policy_name(name).policy_type("TargetTrackingScaling").target_tracking_configuration(tracking)
    };
    put("headroom/laid/cpu", 85.0).send().await.unwrap();
    put("by-hand", 50.0).send().await.unwrap();
    let differs = policies("show").await;
    assert_eq!(differs.code, 3, "{differs:?}");
    contains(
        &differs.out,
        &["and was ASGAverageCPUUtilization at 85", "by-hand is not Headroom's, and stays"],
    );
    let removed = policies("remove").await;
    contains(&removed.out, &[&format!("{web}removed: headroom/laid/cpu"), "by-hand is not Headroom's"]);
    let left = bench.aws.autoscaling().describe_policies().auto_scaling_group_name(bench.shop.web());
    let left = left.send().await.unwrap();
    let names: Vec<&str> = left.scaling_policies().iter().filter_map(|policy| policy.policy_name()).collect();
    assert_eq!(names, ["by-hand"]);
    assert_eq!(policies("remove").await.out.matches("is not there").count(), 4);
}
