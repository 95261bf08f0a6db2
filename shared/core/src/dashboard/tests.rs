//! What is drawn is published, and CloudWatch takes it.

use std::collections::{BTreeMap, BTreeSet};

use expect_test::expect;
use jiff::Timestamp;

use super::*;
use crate::config::parse;
use crate::cycle::{Cycle, Execution, Input, SettleRequest};
use crate::decide::{Decision, Expected};
use crate::name::DimensionKey;
use crate::observe::{Capacity, Load, Observation, Observed, Reading};
use crate::reason::Reason;
use crate::report::{figures, foreseen, monitored, of_dimensions};
use crate::settle::outcome;
use crate::state::{Calibration, PlatformState, Spend, Tally};
use crate::trigger::Trigger;
use crate::units::Units;

const FILE: &str = "configuration_name: shop
objective: sell
scaling_groups:
  web: {resources: [{type: EC2_AUTO_SCALING_GROUP, name: shop-web, id: web, min_capacity: 2, max_capacity: 40}]}
  app:
    resources:
      - {type: ECS_SERVICE, name: api, cluster: prod, min_capacity: 2, max_capacity: 40}
      - type: LAMBDA_FUNCTION
        name: checkout
        qualifier: live
        provisioned_concurrency: {min: 1, max: 100}
  data: {resources: [{type: DYNAMODB_TABLE, name: users, read_capacity: {min: 5, max: 400}, write_capacity: {min: 5, max: 400}}]}
orchestration: {scaling_order: [data, app, web]}
";

fn platform(more: &str) -> Platform {
    parse(&format!("{FILE}{more}")).unwrap().platform
}

const DETAILED: &str = "monitoring: {dimension_metrics: [web, app, data]}\n";

/// Our metrics that a dashboard draws: name and dimensions.
fn drawn(body: &Json) -> BTreeSet<String> {
    let widgets = body["widgets"].as_array().unwrap().iter();
    let metrics = widgets.filter_map(|widget| widget["properties"]["metrics"].as_array()).flatten();
    let paths = metrics.filter(|metric| metric[0] == "Headroom").map(|metric| {
        let parts = metric.as_array().unwrap().iter().filter_map(Json::as_str).skip(1);
        parts.collect::<Vec<_>>().join(" ")
    });
    paths.collect()
}

/// The metrics that a line declares, and the fields that it has.
fn declared(line: &Json) -> Vec<String> {
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    let dimensions = directive["Dimensions"][0].as_array().unwrap().iter().filter_map(Json::as_str);
    let dimensions: Vec<String> =
        dimensions.map(|name| format!("{name} {}", line[name].as_str().unwrap())).collect();
    let metrics = directive["Metrics"].as_array().unwrap().iter();
    metrics.map(|metric| format!("{} {}", metric["Name"].as_str().unwrap(), dimensions.join(" "))).collect()
}

fn decided(place: crate::platform::Place<'_>) -> (Observation, Decision) {
    let key: DimensionKey = place.dimension.key.clone();
    let now = Timestamp::UNIX_EPOCH;
    let load = Load { mean: 3.0, peak: 4.0, at: now, saturated: false, over_s: 0 };
    let reading = |name: &str| Reading { metric: name.into(), load: Observed::Known(load) };
    let expected = |name: &str| Expected { metric: name.into(), low: 1.0, high: 5.0, middle: Some(3.0) };
    let metric = foreseen(place.dimension).map(|metric| metric.name.as_str());
    let observation = Observation {
        key,
        capacity: Observed::Known(Capacity::default()),
        readings: metric.map(reading).into_iter().collect(),
        short_minutes: metric.map(|_| 0),
    };
    let units = Some(Units(3));
    let decision = Decision {
        observed: units,
        ready: units,
        needed: units,
        wanted: units,
        target: units,
        expected: metric.map(expected).into_iter().collect(),
        reasons: vec![Reason::NothingMeasured],
        ..Decision::undecided(place)
    };
    (observation, decision)
}

/// Every line that a cycle of which all is known publishes.
fn published(platform: &Platform) -> Vec<Json> {
    let now = Timestamp::UNIX_EPOCH;
    let input = Input::read(&json!({"platform": "shop"})).unwrap();
    let execution = Execution { name: "a".into(), arn: "arn".into(), started_at: now };
    let cycle = Cycle::new(&input, &execution);
    let request: SettleRequest = serde_json::from_value(json!({
        "input": {"platform": "shop"}, "execution": execution, "at": now, "usage": {},
    }))
    .unwrap();
    let outcome = outcome(&request, Trigger::default(), None, &[]);
    let scaled = crate::alert::Scaled { cycle: "a".into(), at: now, steps: 1, seconds: 9.0 };
    let spend = Spend {
        amount: 3.0,
        peak_hourly: 4.0,
        hourly: 4.0,
        unseen_hourly: 0.0,
        counted_to: now + jiff::SignedDuration::from_hours(1),
    };
    let tally = Tally { judged: 40, inside: 36, ..Tally::default() };
    let state = PlatformState {
        calibration: Calibration(vec![tally]),
        spend: Some(spend),
        ..PlatformState::default()
    };
    let (seen, decisions): (Vec<Observation>, Vec<Decision>) = platform.dimensions().map(decided).unzip();
    let seen: BTreeMap<_, _> = seen.into_iter().map(|seen| (seen.key.clone(), seen)).collect();
    let mut lines = vec![figures(&cycle, &outcome, now)];
    lines.extend(monitored(platform, &state, &[scaled], now));
    lines.extend(of_dimensions(platform, &seen, &decisions, &state, now));
    lines
}

#[test]
fn what_is_drawn_is_published_and_what_is_published_is_drawn() {
    for more in [
        "",
        DETAILED,
        "monitoring: {dimension_metrics: [web], scaling_metrics: []}\n",
        "monitoring: {scaling_metrics: [scaling_events_per_hour]}\n",
    ] {
        let platform = platform(more);
        let published: BTreeSet<String> = published(&platform).iter().flat_map(declared).collect();
        assert_eq!(drawn(&dashboard(&platform, "eu-central-1").body), published, "{more}");
        let price = price(&platform);
        assert_eq!(price.of_platform + price.of_dimensions, published.len(), "what is billed: {more}");
    }
}

#[test]
fn the_log_is_asked_for_fields_that_its_lines_have() {
    let platform = platform(DETAILED);
    let body = dashboard(&platform, "eu-central-1").body;
    let logs = body["widgets"].as_array().unwrap().iter().filter(|widget| widget["type"] == "log");
    let queries: Vec<&str> = logs.filter_map(|log| log["properties"]["query"].as_str()).collect();
    assert_eq!(queries.len(), 3);
    let lines = published(&platform);
    for (query, group) in queries.iter().zip(["data", "app", "web"]) {
        assert!(query.contains(&format!("Group = '{group}'")), "{query}");
        let told: Vec<&Json> = lines.iter().filter(|line| line["Group"] == group).collect();
        assert!(!told.is_empty());
        for field in ["Dimension", "Change", "Reason"] {
            assert!(query.contains(field) && told.iter().all(|line| line[field].is_string()), "{field}");
        }
    }
}

#[test]
fn limits_of_cloudwatch_are_kept_and_what_is_left_out_is_said() {
    let tables: String = (0..400)
        .map(|index| {
            format!("      - {{type: DYNAMODB_TABLE, name: t{index}, read_capacity: {{min: 5, max: 400}}}}\n")
        })
        .collect();
    let text = format!(
        "configuration_name: large\nscaling_groups:\n  data:\n    resources:\n{tables}monitoring: {{dimension_metrics: [data]}}\n"
    );
    let made = dashboard(&parse(&text).unwrap().platform, "eu-central-1");
    let widgets = made.body["widgets"].as_array().unwrap();
    let metrics: Vec<usize> =
        widgets.iter().filter_map(|widget| Some(widget["properties"]["metrics"].as_array()?.len())).collect();
    assert!(widgets.len() <= WIDGETS_MAX && metrics.iter().sum::<usize>() <= METRICS_MAX);
    assert!(metrics.iter().all(|count| *count <= WIDGET_METRICS_MAX));
    assert!(0 < made.left_out);
    let last = widgets.last().unwrap()["properties"]["markdown"].as_str().unwrap();
    assert_eq!(last, format!("{} more widgets do not fit into CloudWatch's limits.", made.left_out));
}

#[test]
fn no_widget_covers_another() {
    let body = dashboard(&platform(DETAILED), "eu-central-1").body;
    let mut cells = BTreeSet::new();
    for widget in body["widgets"].as_array().unwrap() {
        let [x, y, width, height] = ["x", "y", "width", "height"].map(|key| widget[key].as_u64().unwrap());
        assert!(x + width <= 24, "{widget}");
        for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
            assert!(cells.insert(cell), "{cell:?} is covered twice, by {widget}");
        }
    }
}

#[test]
fn expressions_use_ids_of_their_own_widget() {
    let body = dashboard(&platform(DETAILED), "eu-central-1").body;
    let mut computed = 0;
    for widget in body["widgets"].as_array().unwrap() {
        let metrics = widget["properties"]["metrics"].as_array().into_iter().flatten();
        let drawn: Vec<&Json> = metrics.filter_map(|metric| metric.as_array()?.last()).collect();
        let ids: Vec<&str> = drawn.iter().filter_map(|drawn| drawn["id"].as_str()).collect();
        for expression in drawn.iter().filter_map(|drawn| drawn["expression"].as_str()) {
            computed += 1;
            let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric());
            let names = words.filter(|word| word.starts_with(|letter: char| letter.is_ascii_lowercase()));
            names.for_each(|name| assert!(ids.contains(&name), "{name} of {expression}"));
        }
    }
    assert!(5 < computed);
}

/// A line for each widget.
fn outline(more: &str) -> String {
    let body = dashboard(&platform(more), "eu-central-1").body;
    let line = |widget: &Json| {
        let properties = &widget["properties"];
        let title = properties["title"].as_str().or(properties["markdown"].as_str()).unwrap();
        let metrics = properties["metrics"].as_array().into_iter().flatten();
        let names: Vec<&str> = metrics
            .filter(|metric| metric.as_array().is_some_and(|parts| 1 < parts.len()))
            .filter_map(|metric| metric[1].as_str())
            .collect();
        format!("{}: {}\n", title.lines().next().unwrap(), names.join(" "))
    };
    body["widgets"].as_array().unwrap().iter().map(line).collect()
}

#[test]
fn a_platform_without_figures_of_its_dimensions() {
    expect![[r#"
        # shop: 
        Cycles: CyclesSucceeded CyclesFailed NeedsHuman
        Cycle time, seconds: CycleSeconds CycleSeconds
        Bill of the cycles: CostUsd AwsCalls
        Steps: StepsDone StepsRefused StepsSkipped StepsUndone StepsLeft
        Cost and savings: CapacityCostHourly CostOptimizationAchieved
        Scaling: ScalingEventsPerHour AverageScalingDuration
        Loads within their forecast's 90 % band, % of seven days: ScalingAccuracyPercentage
        ## data: 
        users (DYNAMODB_TABLE): ConsumedReadCapacityUnits ProvisionedReadCapacityUnits ReadThrottleEvents ConsumedWriteCapacityUnits ProvisionedWriteCapacityUnits WriteThrottleEvents
        ## app: 
        api (ECS_SERVICE): CPUUtilization MemoryUtilization CPUUtilization
        checkout (LAMBDA_FUNCTION): ConcurrentExecutions ProvisionedConcurrencySpilloverInvocations ProvisionedConcurrentExecutions Throttles
        ## web: 
        web (EC2_AUTO_SCALING_GROUP): CPUUtilization GroupDesiredCapacity GroupInServiceCapacity
    "#]].assert_eq(&outline(""));
}

#[test]
fn a_tier_with_figures_of_its_dimensions() {
    expect![[r#"
        # shop: 
        Cycles: CyclesSucceeded CyclesFailed NeedsHuman
        Cycle time, seconds: CycleSeconds CycleSeconds
        Bill of the cycles: CostUsd AwsCalls
        Steps: StepsDone StepsRefused StepsSkipped StepsUndone StepsLeft
        ## data: 
        users (DYNAMODB_TABLE): ConsumedReadCapacityUnits ProvisionedReadCapacityUnits ReadThrottleEvents ConsumedWriteCapacityUnits ProvisionedWriteCapacityUnits WriteThrottleEvents
        ## app: 
        api (ECS_SERVICE): CPUUtilization MemoryUtilization CPUUtilization
        checkout (LAMBDA_FUNCTION): ConcurrentExecutions ProvisionedConcurrencySpilloverInvocations ProvisionedConcurrentExecutions Throttles
        ## web: 
        web/desired: load (cpu): Load ForecastHigh ForecastMiddle ForecastLow
        web/desired: units: UnitsNeeded UnitsWanted UnitsSet UnitsReady ShortMinutes
        web/desired: forecast error and coverage: Load ForecastHigh ForecastMiddle ForecastLow
        web: decisions by reason: 
        web (EC2_AUTO_SCALING_GROUP): CPUUtilization GroupDesiredCapacity GroupInServiceCapacity
    "#]].assert_eq(&outline("monitoring: {dimension_metrics: [web], scaling_metrics: []}\n"));
}

#[test]
fn a_price_is_told() {
    expect!["CloudWatch bills 16 metrics of the platform and 9 of its dimensions: $7.50 a month; a dashboard is $3.00 more, or free among an account's first three if it has at most 50 metrics"].assert_eq(&price(&platform("monitoring: {dimension_metrics: [web]}\n")).to_string());
}
