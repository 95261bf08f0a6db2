//! The dashboard of a platform in an account, and the metrics that it draws.

use std::collections::BTreeSet;

use headroom_aws::dashboards::{Dashboards, Put};
use headroom_core::config::parse;
use headroom_core::dashboard::dashboard;
use local_aws::deploy::aws;
use local_aws::server::REGION;
use serde_json::Value as Json;

use crate::bench::{Bench, HALF, server};

#[tokio::test]
async fn a_dashboard_is_published_once_and_removed() {
    let account = server().await.connect().await;
    let dashboards = Dashboards::new(&account.cloudwatch());
    let text = std::fs::read_to_string(local_aws::root().join("examples/shop/platform.yaml")).unwrap();
    let text = text.replace("configuration_name: shop", "configuration_name: drawn");
    let made = dashboard(&parse(&text).unwrap().platform, REGION);
    assert_eq!(made.name, "headroom-drawn");
    assert_eq!(dashboards.get(&made.name).await.unwrap(), None);
    assert_eq!(dashboards.put(&made.name, &made.body).await.unwrap(), Put::Changed(Vec::new()));
    assert_eq!(dashboards.get(&made.name).await.unwrap().as_ref(), Some(&made.body));
    assert_eq!(dashboards.put(&made.name, &made.body).await.unwrap(), Put::Unchanged);
    assert!(dashboards.remove(&made.name).await.unwrap());
    assert_eq!(dashboards.get(&made.name).await.unwrap(), None);
    assert!(!dashboards.remove(&made.name).await.unwrap(), "there is none to remove");
}

/// Names and dimensions of the metrics that lines of a log declare.
fn declared(log: &str) -> BTreeSet<String> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Json>(line.trim()).ok());
    let of = |line: Json| {
        let directive = line["_aws"]["CloudWatchMetrics"][0].clone();
        let names = directive["Dimensions"][0].as_array().cloned().unwrap_or_default();
        let named: Vec<String> = names
            .iter()
            .filter_map(Json::as_str)
            .map(|name| format!("{name} {}", line[name].as_str().unwrap()))
            .collect();
        let metrics = directive["Metrics"].as_array().cloned().unwrap_or_default();
        metrics
            .iter()
            .map(|metric| format!("{} {}", metric["Name"].as_str().unwrap(), named.join(" ")))
            .collect::<Vec<_>>()
    };
    lines.flat_map(of).collect()
}

/// What the platform's functions have written to one of their logs.
async fn log(platform: &str, function: &str) -> String {
    let group = format!("/headroom/{platform}/{function}");
    let events = ["logs", "filter-log-events", "--log-group-name", &group, "--output", "text"];
    let events = [&events[..], &["--query", "events[].[message]"]].concat();
    aws(server().await, &events).await.unwrap()
}

#[tokio::test]
async fn a_cycle_publishes_what_its_dashboard_draws() {
    let bench = Bench::at("drawing", HALF).await;
    let text = format!("{}\nmonitoring: {{dimension_metrics: [web]}}\n", bench.platform);
    bench.publish(&text).await;
    let cycle = bench.cycle().await;
    assert!(["held", "scaled"].contains(&cycle.outcome()), "{cycle:?}");
    let published: BTreeSet<String> =
        declared(&(log("drawing", "decide").await + &log("drawing", "execute").await));
    let body = dashboard(&parse(&text).unwrap().platform, REGION).body;
    let metrics = body["widgets"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|widget| widget["properties"]["metrics"].as_array());
    let ours = metrics.flatten().filter(|metric| metric[0] == "Headroom");
    let drawn: BTreeSet<String> = ours
        .map(|metric| {
            metric.as_array().unwrap().iter().filter_map(Json::as_str).skip(1).collect::<Vec<_>>().join(" ")
        })
        .collect();
    // Not known in a first cycle: how long steps took, and how good forecasts were.
    let later = ["AverageScalingDuration", "ScalingAccuracyPercentage", "CostOptimizationAchieved"];
    let missing: Vec<&String> = drawn
        .difference(&published)
        .filter(|metric| !later.iter().any(|name| metric.starts_with(name)))
        .collect();
    assert!(missing.is_empty(), "drawn and not published: {missing:?} of {published:?}");
    assert!(
        published.contains("ShortMinutes Platform drawing Dimension drawing-web/desired"),
        "{published:?}"
    );
    assert!(!published.iter().any(|metric| metric.contains("drawing-api")), "a group that did not ask");
}
