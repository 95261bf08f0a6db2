//! Whole files: what they come out as, and every fault they have.

mod calendar;
mod defaults;
mod metrics;
mod readings;

use expect_test::{Expect, expect};

use super::{Parsed, parse};
use crate::platform::{Measure, Phase, Probe};

const SHOP: &str = include_str!("../../../../examples/e-commerce.yaml");

fn check(text: &str, expected: Expect) {
    let actual = match parse(text) {
        Ok(_) => "no fault".to_owned(),
        Err(faults) => faults.to_string(),
    };
    expected.assert_eq(&actual);
}

/// A small file that is right; tests break it.
fn small(rest: &str) -> String {
    format!(
        "configuration_name: shop
scaling_groups:
  web:
    resources:
      - {{type: EC2_AUTO_SCALING_GROUP, name: web-asg, min_capacity: 2, max_capacity: 20}}
  data:
    resources:
      - {{type: DYNAMODB_TABLE, name: users, read_capacity: {{min: 5, max: 100}}}}
{rest}"
    )
}

#[test]
fn the_example_means_what_an_operator_expects() {
    let Parsed { platform, .. } = parse(SHOP).unwrap();
    let layers: Vec<String> =
        platform.orchestration.layers.iter().flatten().map(|name| name.0.clone()).collect();
    assert_eq!(layers, ["database_tier", "application_tier", "web_tier"]);
    let dimensions: Vec<String> = platform
        .dimensions()
        .map(|place| {
            format!(
                "{} {}..{}",
                place.dimension.key,
                place.dimension.bounds.min(),
                place.dimension.bounds.max()
            )
        })
        .collect();
    expect![[r#"
        api-service/desired 3..30
        user-table/read 5..4000
        user-table/write 5..4000
        analytics-cluster/minimum 2..32
        web-servers-asg/desired 2..20"#]]
    .assert_eq(&dimensions.join("\n"));
    assert_eq!(platform.orchestration.phase, Phase::Observe);
    let web = platform.groups.iter().find(|group| group.name.0 == "web_tier").unwrap();
    assert_eq!(web.policy.cooldown.inward.as_secs(), 300);
    assert_eq!(web.policy.scheduling_buffer.as_secs(), 300);
    let cpu = &web.resources[0].dimensions[0].metrics[0];
    assert_eq!(cpu.measure, Measure::Utilization { target: 70.0, limit: 100.0 });
    assert_eq!(platform.orchestration.checks[0].probe, Probe::Reachable);
    assert_eq!(platform.monitoring.alerts[1].limit, 600.0);
    assert_eq!(platform.monitoring.alerts[0].window.as_secs(), 3_600);
}

#[test]
fn a_small_file_is_enough() {
    check(&small(""), expect!["no fault"]);
}

#[test]
fn every_fault_is_reported_at_once() {
    let text = "configuration_name: my shop
timezone: Mars/Olympus
scaling_groups:
  web:
    resources:
      - type: EC2_AUTO_SCALING_GROUP
        name: web-asg
        min_capcity: 2
        max_capacity: twenty
      - type: EC2_AUTOSCALING_GROUP
        name: other
      - {type: ECS_SERVICE, name: api, min_capacity: 9, max_capacity: 3, mode: flor}
  data:
    resources: []
predictive: {prediction_horizon: 2x, scale_up_confidence: 1.5}
orchestration:
  scaling_order: [data, wbe]
  health_checks:
    - {resource: web, check_type: health_endpoint}
calendar:
  - {name: sale, from: 2026-11-28T08:00, to: 2026-11-27T08:00, multiply: 2}
monitoring:
  alerts: [{name: A, condition: a lot}]
";
    check(
        text,
        expect![[r#"
        1:21: configuration_name: must be a name of 1 to 64 letters, digits, `.`, `-` and `_`, not the text `my shop`
        2:11: timezone: must be an IANA time zone such as `Europe/Zurich` or `UTC`, not the text `Mars/Olympus`
        6:9: scaling_groups.web.resources[0].min_capacity: is required and missing
        8:9: scaling_groups.web.resources[0].min_capcity: unknown key; did you mean `min_capacity`?
        9:23: scaling_groups.web.resources[0].max_capacity: must be a whole number, not the text `twenty`
        10:15: scaling_groups.web.resources[1].type: unknown type `EC2_AUTOSCALING_GROUP`; did you mean `EC2_AUTO_SCALING_GROUP`?
        12:57: scaling_groups.web.resources[2].max_capacity: its largest, 3, is below its smallest, 9
        12:80: scaling_groups.web.resources[2].mode: unknown word `flor`; did you mean `floor`?
        14:5: scaling_groups.data.resources: is empty; a group owns at least one resource
        15:34: predictive.prediction_horizon: must be a length of time: seconds as a number, or text such as `90s`, `15m`, `2h`, `14d`, not the text `2x`
        15:59: predictive.scale_up_confidence: must be at most 1, not 1.5
        17:25: orchestration.scaling_order[1]: there is no group `wbe`; did you mean `web`?
        19:7: orchestration.health_checks[0].endpoint: is required for this check: a URL, or a path on the load balancer
        21:42: calendar[0].to: is not after `from`
        23:22: monitoring.alerts[0].condition: must read like `scaling_events > 10 per hour` or `average_scaling_duration > 600 seconds`"#]],
    );
}

#[test]
fn the_host_of_a_check_is_a_name_and_goes_with_a_path() {
    let fault = |check: &str| {
        let check = format!("{{resource: web, check_type: health_endpoint, {check}}}");
        let text = small(&format!("orchestration: {{health_checks: [{check}]}}"));
        parse(&text).map_err(|invalid| invalid.to_string()).map(|parsed| parsed.platform.orchestration.checks)
    };
    let checks = fault("endpoint: /health, host: shop.example.com").unwrap();
    let (path, host) = ("/health".to_owned(), Some("shop.example.com".to_owned()));
    assert_eq!(checks[0].probe, Probe::HttpOnBalancer { path, host });
    for host in ["10.0.0.1", "'https://shop.example.com'", "''", "'shop.example.com:443'"] {
        let told = fault(&format!("endpoint: /health, host: {host}")).unwrap_err();
        assert!(told.contains("must be the name of the site"), "{host}: {told}");
    }
    let told = fault("endpoint: 'https://shop.example.com/', host: shop.example.com").unwrap_err();
    assert!(told.contains("goes with a path only"), "{told}");
}

#[test]
fn faults_of_meaning_are_found_beside_faults_of_shape() {
    let text = small(
        "predictive: {scale_up_confidence: 1.5}
orchestration:
  scaling_order: [data, wbe, data]
  dependencies:
    - {source: web, target: data, connections_per_unit: 20}
  health_checks:
    - {resource: web, check_type: health_endpoint}
    - {resource: wen, check_type: capacity}
    - {resource: web, check_type: nonsense}
    - {resource: web, check_type: capacity, timeout: 5m}
calendar:
  - {name: sale, from: 2026-11-28T08:00, to: 2026-11-27T08:00, multiply: 2}
  - {name: nothing, cron: \"0 1 * * *\", duration: 1h}
  - {name: half, cron: \"0 1 * * *\", floor: 3}
monitoring:
  scaling_metrics: [scaling_events_per_our]
  alerts: [{name: A, condition: a lot}]
",
    );
    check(
        &text,
        expect![[r#"
        9:35: predictive.scale_up_confidence: must be at most 1, not 1.5
        11:25: orchestration.scaling_order[1]: there is no group `wbe`; did you mean `web`?
        11:30: orchestration.scaling_order[2]: `data` stands twice in the order
        13:7: orchestration.dependencies[0]: `connections_per_unit` and `connection_limit` belong together
        15:7: orchestration.health_checks[0].endpoint: is required for this check: a URL, or a path on the load balancer
        16:8: orchestration.health_checks[1].resource: there is no group or resource `wen`; did you mean `web`?
        17:35: orchestration.health_checks[2].check_type: unknown word `nonsense`; known are `connection_test`, `health_endpoint`, `target_health`, `capacity`, `alarm`
        18:45: orchestration.health_checks[3].timeout: must be from 1 to 60 seconds; the wait for a whole wave is the dependency's
        20:42: calendar[0].to: is not after `from`
        21:5: calendar[1]: changes nothing; give it `multiply`, `floor` or `no_scale_in: true`
        22:5: calendar[2]: needs `from` and `to`, or `cron` and `duration`
        24:21: monitoring.scaling_metrics[0]: there is no figure `scaling_events_per_our`; did you mean `scaling_events_per_hour`?
        25:22: monitoring.alerts[0].condition: must read like `scaling_events > 10 per hour` or `average_scaling_duration > 600 seconds`"#]],
    );
}

#[test]
fn order_must_not_contradict_itself() {
    let text = small(
        "orchestration:\n  scaling_order: [web, data]\n  dependencies: [{source: web, target: data}]\n",
    );
    check(
        &text,
        expect![
            "11:3: orchestration.dependencies: the order contradicts itself: web -> data -> web (each before the next)"
        ],
    );
}

#[test]
fn a_throttle_stands_alone_before_what_it_protects() {
    let warned = |rest: &str| {
        let stage = "type: API_GATEWAY_STAGE, name: a1b2c3, api_name: shop, stage: prod, min_capacity: 1, max_capacity: 9";
        let web = "{type: ECS_SERVICE, name: web, min_capacity: 1, max_capacity: 9}";
        let text = format!("configuration_name: shop\nscaling_groups:\n{rest}\n");
        let text = text.replace("STAGE", &format!("{{{stage}}}")).replace("WEB", web);
        let said: Vec<String> = parse(&text).unwrap().warnings.iter().map(ToString::to_string).collect();
        said.join("\n")
    };
    let apart = "  edge: {resources: [STAGE]}\n  web: {resources: [WEB]}";
    assert!(warned(apart).contains("nothing says what that protects"), "{}", warned(apart));
    let protects = format!("{apart}\norchestration: {{dependencies: [{{source: edge, target: web}}]}}");
    assert!(!warned(&protects).contains("throttle"), "{}", warned(&protects));
    let together = warned("  web: {resources: [STAGE, WEB]}");
    assert!(together.contains("in a group of its own the throttle is raised after"), "{together}");
}

#[test]
fn names_and_bounds_are_checked_across_groups() {
    let text = "configuration_name: shop
scaling_groups:
  a:
    resources:
      - {type: ECS_SERVICE, name: api, min_capacity: 9, max_capacity: 3}
      - {type: AURORA_SERVERLESS, name: db, min_capacity: 0.7, max_capacity: 4}
  b:
    resources:
      - {type: ECS_SERVICE, name: api, cluster: other, min_capacity: 1, max_capacity: 3}
      - type: EC2_AUTO_SCALING_GROUP
        name: web
        min_capacity: 1
        max_capacity: 3
        metrics:
          - {name: requests, kind: load}
          - {name: slow, kind: latency, target_value: 0.5, dimension: write}
";
    check(
        text,
        expect![[r#"
        5:57: scaling_groups.a.resources[0].max_capacity: its largest, 3, is below its smallest, 9
        6:45: scaling_groups.a.resources[1].min_capacity: must be in halves of an ACU, such as 0.5 or 1, not 0.7
        9:9: scaling_groups.b.resources[0]: another resource is also called `api`; give one of them an `id` of its own
        15:13: scaling_groups.b.resources[1].metrics[0].target_per_unit: is required for a metric of this kind: what one unit should carry each minute
        16:60: scaling_groups.b.resources[1].metrics[1].dimension: names no dimension of this resource; it has desired"#]],
    );
}

#[test]
fn wrapped_and_unwrapped_files_are_the_same() {
    let wrapped: String = small("").lines().map(|line| format!("  {line}\n")).collect();
    check(&format!("Multi_Service_Scaling_Configuration:\n{wrapped}"), expect!["no fault"]);
}

#[test]
fn a_floor_that_nothing_can_have_is_warned_about() {
    let warned = |floor: u32| {
        let event = format!("{{name: sale, cron: '0 9 * * *', duration: 2h, floor: {floor}}}");
        let parsed = parse(&small(&format!("calendar: [{event}]"))).unwrap();
        parsed.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(warned(2), "");
    let warning = warned(10_000);
    assert!(warning.contains("calendar[0].floor: nothing it is for may have more than "), "{warning}");
}

#[test]
fn what_could_not_come_back_from_zero_is_refused() {
    let told = |resource: &str, rest: &str| {
        let text = format!(
            "configuration_name: shop\nscaling_groups: {{web: {{resources: [{{{resource}}}]}}}}\n{rest}"
        );
        parse(&text).map_or_else(|faults| faults.to_string(), |_| "no fault".to_owned())
    };
    let web = "type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 0, max_capacity: 9";
    let refused = told(web, "");
    assert!(
        refused.starts_with(
            "2:36: scaling_groups.web.resources[0]: `web/desired` may have 0 units and would never come back from there: "
        ),
        "{refused}"
    );
    let guard = "{name: slow, kind: latency, target_value: 1}";
    let busy = "{name: busy, kind: utilization, target_value: 50}";
    assert!(told(&format!("{web}, metrics: [{busy}, {guard}]"), "").contains("never come back"));
    // Work that arrives or waits is there without units.
    for work in [
        "{name: asked, kind: load, target_per_unit: 9}",
        "{name: jobs, kind: queue_depth, target_per_unit: 9}",
    ] {
        assert_eq!(told(&format!("{web}, metrics: [{busy}, {work}]"), ""), "no fault");
    }
    // Something else wakes it.
    assert_eq!(told(&format!("{web}, mode: floor"), ""), "no fault");
    let day = |effect: &str| {
        format!("calendar: [{{name: day, cron: '0 7 * * MON-FRI', duration: 11h, {effect}}}]\n")
    };
    assert_eq!(told(web, &day("floor: 2")), "no fault");
    for others in ["floor: 0, multiply: 2", "floor: 2, groups: [data]", "no_scale_in: true"] {
        assert!(told(web, &day(others)).contains("calendar"), "{others}");
    }
}

#[test]
fn alerts_that_can_never_be_raised_are_warned_about() {
    let alert = |condition: &str| {
        let text = small(&format!("monitoring: {{alerts: [{{name: A, condition: \"{condition}\"}}]}}"));
        match parse(&text) {
            Ok(parsed) => parsed.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            Err(faults) => format!("fault: {faults}"),
        }
    };
    for fine in [
        "scaling_events >= 10 per day",
        "average_scaling_duration < 10 minutes",
        "scaling_accuracy < 80 %",
        "capacity_cost_per_hour > 50",
    ] {
        assert_eq!(alert(fine), "", "{fine}");
    }
    assert_eq!(
        alert("scaling_events < 1 per day"),
        "9:33: monitoring.alerts[0].condition: `A` is never raised: it is judged when something was scaled, so it can never tell that nothing was"
    );
    // A unit of another figure means something else than was meant.
    for wrong in
        ["scaling_events > 10 seconds", "average_scaling_duration > 600 per hour", "scaling_accuracy < 3 s"]
    {
        assert!(alert(wrong).contains("must read like"), "{wrong}");
    }
}

#[test]
fn a_capacity_that_is_owned_twice_is_warned_about() {
    let warned = |second: &str| {
        let text = small("").replace(
            "  data:\n",
            &format!("      - {{{second}, min_capacity: 1, max_capacity: 9}}\n  data:\n"),
        );
        let warnings = parse(&text).unwrap().warnings;
        warnings.iter().map(|warning| format!("{}: {}", warning.path, warning.sentence)).collect::<String>()
    };
    assert_eq!(
        warned("type: EC2_AUTO_SCALING_GROUP, name: web-asg, id: again"),
        "scaling_groups.web.resources[1].name: is the same in AWS as `web-asg`, and both would set its capacity; write it once, in one group"
    );
    assert_eq!(
        warned("type: ECS_SERVICE, name: web-asg, id: again"),
        "",
        "a service of the same name is another thing"
    );
    assert_eq!(warned("type: EC2_AUTO_SCALING_GROUP, name: web-asg-2"), "");
}

#[test]
fn periods_and_what_is_missing_are_checked() {
    let query = |keys: &str| {
        let metric = format!("{{name: a, namespace: AWS/EC2, {keys}}}");
        let text = small("").replace("max_capacity: 20", &format!("max_capacity: 20, metrics: [{metric}]"));
        let query = parse(&text).map(|parsed| {
            parsed.platform.dimensions().find_map(|place| {
                place.dimension.metrics.first().filter(|metric| metric.name == "a")?.query.clone()
            })
        });
        match query {
            Ok(query) => query.map(|query| format!("{} {}", query.period_s, query.missing_is_zero)).unwrap(),
            Err(faults) => faults.to_string(),
        }
    };
    assert_eq!(
        query("kind: load, target_per_unit: 9"),
        "300 false",
        "EC2 counts by five minutes unless told otherwise"
    );
    assert_eq!(query("kind: load, target_per_unit: 9, period: 1m, missing: zero"), "60 true");
    assert_eq!(query("kind: queue_depth, target_per_unit: 9, missing: zero"), "60 true");
    assert_eq!(query("kind: utilization, target_value: 50"), "60 false");
    assert!(
        query("kind: load, target_per_unit: 9, period: 90s").contains("must be whole minutes from 1m to 15m")
    );
    for wrong in ["kind: utilization, target_value: 50", "kind: load, statistic: Average, target_per_unit: 9"]
    {
        assert!(
            query(&format!("{wrong}, missing: zero")).contains("missing: can be `zero` only for"),
            "{wrong}"
        );
    }
    let table = small("").replace("min: 5, max: 100", "min: 5, max: 100, missing: zero");
    assert!(parse(&table).unwrap().platform.dimensions().any(|place| {
        place
            .dimension
            .metrics
            .iter()
            .any(|metric| metric.query.as_ref().is_some_and(|query| query.missing_is_zero))
    }));
}
