//! Words and numbers that can be read in two ways: what they come out as, and what is told of it.

use crate::config::parse;
use crate::platform::Platform;

/// Three tiers: tasks, instances and a table.
fn file(group: &str, rest: &str) -> String {
    format!(
        "configuration_name: shop
scaling_groups:
  app:
    resources:
      - {{type: ECS_SERVICE, name: api, min_capacity: 1, max_capacity: 9}}
      - {{type: ECS_SERVICE, name: search, min_capacity: 1, max_capacity: 9}}
{group}
  web: {{resources: [{{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 9}}]}}
  db: {{resources: [{{type: DYNAMODB_TABLE, name: users, read_capacity: {{min: 5, max: 100}}}}]}}
{rest}
"
    )
}

/// The platform and every warning, or the faults instead.
fn read(group: &str, rest: &str) -> Result<(Platform, Vec<String>), String> {
    let parsed = parse(&file(group, rest)).map_err(|faults| faults.to_string())?;
    let told = parsed.warnings.iter().map(|warning| format!("{}: {}", warning.path, warning.sentence));
    Ok((parsed.platform, told.collect()))
}

/// Which group depends on which by a dependency, and what is told of it.
fn depends(dependency: &str, rest: &str) -> (String, String) {
    let text = format!("orchestration: {{dependencies: [{{{dependency}}}]{rest}}}");
    let (platform, told) = read("", &text).unwrap();
    let [edge] = platform.orchestration.dependencies.as_slice() else { panic!("{dependency}") };
    (format!("{} on {}", edge.source, edge.target), told.join("; "))
}

#[test]
fn scale_before_means_what_the_rest_of_the_file_says() {
    let said = |dependency: &str, rest: &str, expected: &str| {
        let (edge, told) = depends(dependency, rest);
        assert_eq!((edge.as_str(), told.as_str()), (expected, ""), "{dependency}{rest}");
    };
    // The order, the connections and what stores data decide, either way round.
    said("source: db, target: app, type: scale_before", ", scaling_order: [db, app]", "app on db");
    said("source: app, target: db, type: scale_before", ", scaling_order: [db, app]", "app on db");
    said("source: web, target: app, type: scale_before", ", scaling_order: [web, app]", "app on web");
    said("source: app, target: db, type: scale_before", "", "app on db");
    said(
        "source: web, target: app, type: scale_before, connections_per_unit: 2, connection_limit: 90",
        "",
        "web on app",
    );
    // `depends_on`, and nothing, say one thing only.
    said("source: db, target: app, type: depends_on", "", "db on app");
    said("source: web, target: app", "", "web on app");
}

#[test]
fn what_may_mean_two_orders_tells_both() {
    let (edge, told) = depends("source: db, target: app, type: scale_before", "");
    assert_eq!(edge, "app on db");
    assert_eq!(
        told,
        "orchestration.dependencies[0]: is taken to mean that `db` scales out before `app`, which depends on it, because `db` \
         stores data; if `app` scales out before `db`, which depends on it, write `type: depends_on`"
    );
    let (edge, told) = depends("source: db, target: app", "");
    assert_eq!(edge, "db on app");
    assert!(
        told.contains("means that `app` scales out before `db`") && told.contains("write `source: app`"),
        "{told}"
    );
    let (edge, told) = depends("source: web, target: app, type: scale_before", "");
    assert_eq!(edge, "web on app");
    assert!(
        told.contains("`app` scales out before `web`") && told.contains("`web` scales out before `app`"),
        "{told}"
    );
}

#[test]
fn a_timeout_in_which_nothing_could_be_ready_is_in_minutes() {
    let timeout = |written: &str| {
        let edge = format!("source: app, target: web, timeout: {written}");
        let (platform, told) = read("", &format!("orchestration: {{dependencies: [{{{edge}}}]}}")).unwrap();
        (platform.orchestration.dependencies[0].timeout.unwrap().as_secs(), told.join("; "))
    };
    let (seconds, told) = timeout("10");
    assert_eq!(seconds, 600);
    assert_eq!(
        told,
        "orchestration.dependencies[0].timeout: is taken for 10 minutes, because a unit takes 3m to be ready; write `10m` for \
         this, or `10s` if seconds are meant"
    );
    for plain in ["10m", "600", "180"] {
        assert_eq!(timeout(plain).1, "", "{plain}");
    }
    // What says its unit is taken at its word, and so is a number that no one means in minutes.
    for (written, seconds) in [("10s", 10), ("120", 120)] {
        let (taken, told) = timeout(written);
        assert_eq!(taken, seconds);
        assert!(told.contains("waves will be rolled back for want of time"), "{told}");
    }
}

#[test]
fn a_few_seconds_that_may_be_minutes_are_told() {
    let doubtful = [
        "guardrails: {cooldown: {out: 5}}",
        "guardrails: {cooldown: {in: 5}}",
        "guardrails: {circuit_breaker: {open_for: 5}}",
        "predictive: {scheduling_buffer: 5}",
        "predictive: {fallback: {after: 5}}",
    ];
    for text in doubtful {
        let (_, told) = read("", text).unwrap();
        assert!(
            told[0].ends_with(": is 5 seconds; write `5m` if minutes are meant, or `5s` for this"),
            "{text}: {told:?}"
        );
        for plain in ["5s", "5m", "300", "0"] {
            assert_eq!(read("", &text.replace('5', plain)).unwrap().1, [""; 0], "{text} {plain}");
        }
    }
    let group = |policy: &str| read(&format!("    scaling_policies: [{{{policy}}}]"), "").unwrap();
    let (platform, told) =
        group("type: target_tracking, metric: CPUUtilization, target_value: 50, cooldown: 5");
    assert_eq!(platform.groups[0].policy.cooldown.inward.as_secs(), 5);
    assert!(told[0].contains("is 5 seconds"), "{told:?}");
    let (platform, told) = group("type: predictive, pre_scale_buffer: 15");
    assert_eq!(platform.groups[0].policy.scheduling_buffer.as_secs(), 900);
    assert!(told[0].contains("is taken for 15 minutes; write `15m`"), "{told:?}");
}

#[test]
fn settings_may_have_the_names_that_other_tools_give_them() {
    let (platform, told) = read(
        "",
        "predictive: {confidence_threshold: 0.8, pre_scale_buffer: 15, enable_fallback: false, max_predictive_scaling: 50}",
    )
    .unwrap();
    let settings = &platform.predictive;
    assert_eq!((settings.scale_out_confidence.get(), settings.scale_in_confidence.get()), (0.8, 0.9));
    assert_eq!((settings.predictive_change_max, settings.reactive_fallback), (0.5, false));
    assert_eq!(platform.groups[0].policy.scheduling_buffer.as_secs(), 900);
    assert_eq!(
        told,
        [
            "predictive.confidence_threshold: is taken for `scale_up_confidence`, and scaling in still needs 0.9; write \
             `scale_down_confidence: 0.8` if it is meant for both",
            "predictive.pre_scale_buffer: is taken for 15 minutes; write `15m` for this, or `15s` if seconds are meant",
        ]
    );
    let (platform, told) = read("", "predictive: {confidence_threshold: 0.95}").unwrap();
    assert_eq!((platform.predictive.scale_in_confidence.get(), told.len()), (0.95, 0), "{told:?}");
    for (most, share, sentence) in [
        ("0.5", 0.5, "is taken for the share 0.5, which is 50 %"),
        ("2", 0.02, "is taken for 2 %; write `200` if 2 times the capacity is meant"),
    ] {
        let (platform, told) = read("", &format!("predictive: {{max_predictive_scaling: {most}}}")).unwrap();
        assert_eq!(platform.predictive.predictive_change_max, share);
        assert!(told[0].contains(sentence), "{told:?}");
    }
    let twice = "scale_up_confidence: 0.7, confidence_threshold: 0.8, scheduling_buffer: 5m, pre_scale_buffer: 5m, fallback: \
                 {reactive: true}, enable_fallback: true, max_predictive_scaling_percent: 50, max_predictive_scaling: 50";
    let faults = read("", &format!("predictive: {{{twice}}}")).unwrap_err();
    assert_eq!(faults.matches("says the same as `predictive.").count(), 4, "{faults}");
}

#[test]
fn more_training_than_is_kept_is_told() {
    let told =
        |length: &str| read("", &format!("predictive: {{training_period: {length}}}")).unwrap().1.join("; ");
    assert_eq!(told("70d"), "");
    assert!(told("71d").contains("is longer than history is kept: 70d"), "{}", told("71d"));
}

#[test]
fn a_group_says_how_its_own_changes_are_made() {
    let policy = |group: &str, rest: &str| {
        let (platform, told) = read(group, rest).unwrap();
        let policy = &platform.groups[0].policy;
        ((policy.parallel, policy.rollback), told.join("; "))
    };
    assert_eq!(policy("", ""), ((true, true), String::new()));
    let sequential = "orchestration: {strategy: sequential, rollback_on_failure: false}";
    assert_eq!(policy("", sequential), ((false, false), String::new()));
    assert_eq!(policy("    parallel: true", sequential), ((true, false), String::new()));
    assert_eq!(policy("    parallel: false\n    rollback: true", ""), ((false, true), String::new()));
    let (ways, told) = policy("    rollback: false", "");
    assert_eq!(ways, (true, false));
    assert!(
        told.contains("scaling_groups.app.rollback: counts for plans that change no other group"),
        "{told}"
    );
    let (ways, told) = policy("    rollback: true", sequential);
    assert_eq!(ways, (false, true));
    assert!(told.contains("rolls back every plan that changes this group"), "{told}");
    // The capacity is checked whatever is said.
    assert_eq!(read("    health_check: true", "").unwrap().1, [""; 0]);
    assert!(read("    health_check: false", "").unwrap().1[0].contains("turns nothing off"));
    let check = read("    health_check: {check_type: connection_test}", "").unwrap().0;
    assert_eq!(check.orchestration.checks.len(), 1);
    assert!(
        read("    health_check: yes please", "").unwrap_err().contains("scaling_groups.app.health_check")
    );
}
