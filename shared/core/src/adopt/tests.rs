//! Whole proposals: what a shop comes out as, and that every file validates.

mod any_found;

use std::collections::BTreeSet;

use any_found::any_found;
use expect_test::expect_file;
use proptest::prelude::*;

use super::inventory::{
    CapacityKey, Found, FoundCapacity, Front, Handle, Inventory, LeftOut, Native, NativeRule, Setting, Use,
};
use super::*;
use crate::config::parse;
use crate::platform::Phase;
use crate::resource::{ResourceKind, ScalableTargetId};

fn asked() -> Asked {
    Asked { platform: "shop".into(), what: "the tag app=shop".into(), day: "2026-11-27".into() }
}

fn found(kind: ResourceKind, name: &str, capacities: Vec<FoundCapacity>) -> Found {
    Found { capacities, ..Found::new(kind, name, &format!("arn:{name}")) }
}

fn bounded(at: CapacityKey, unit: &'static str, (min, now, max): (f64, f64, f64)) -> FoundCapacity {
    let bounds = Some((min, max, "its scalable target".to_owned()));
    FoundCapacity { bounds, ..FoundCapacity::new(at, unit, now) }
}

fn instances() -> Vec<FoundCapacity> {
    vec![bounded(CapacityKey::Plain, "instances", (2.0, 4.0, 20.0))]
}

fn used(by: &str, of: &str, evidence: &str) -> Use {
    Use { by: format!("arn:{by}"), of: format!("arn:{of}"), evidence: evidence.to_owned() }
}

fn front(is_public: bool) -> Vec<Front> {
    vec![Front { target_group: "shop".into(), balancers: vec!["shop-alb".into()], is_public }]
}

/// Servers that the internet reaches, a service, and a function behind a stream.
fn workers() -> Vec<Found> {
    let nightly = Native {
        name: "nightly".into(),
        on: CapacityKey::Plain,
        rule: NativeRule::Scheduled { when: "0 1 * * *".into(), sets: (Some(1), None, Some(2)) },
    };
    let web = Found {
        front: front(true),
        natives: vec![nightly],
        remarks: vec!["Its instances are t4g.small.".into()],
        past_is_recorded: false,
        ..found(ResourceKind::Ec2AutoScalingGroup, "shop-web", instances())
    };
    let api = Found {
        within: Some(("cluster", "prod".into())),
        price: Some((0.0123375, "0.25 vCPU and 0.5 GB on Fargate".into())),
        ..found(
            ResourceKind::EcsService,
            "shop-api",
            vec![FoundCapacity::new(CapacityKey::Plain, "tasks", 3.0)],
        )
    };
    let provisioned = CapacityKey::Range("provisioned_concurrency");
    let provisioned = FoundCapacity::new(provisioned, "provisioned executions", 2.0);
    let function = Found {
        within: Some(("qualifier", "live".into())),
        ..found(ResourceKind::LambdaFunction, "shop-score", vec![provisioned])
    };
    vec![web, api, function]
}

/// A table, the stream, and a cluster with its readers.
fn data() -> Vec<Found> {
    let read = CapacityKey::Range("read_capacity");
    let keeps = Native {
        name: "keep".into(),
        on: read.clone(),
        rule: NativeRule::TargetTracking { metric: "DynamoDBReadCapacityUtilization".into(), target: 60.0 },
    };
    let capacities = vec![
        bounded(read, "read units", (20.0, 100.0, 400.0)),
        FoundCapacity::new(CapacityKey::Range("write_capacity"), "write units", 50.0),
        FoundCapacity::new(CapacityKey::Index("by email".into(), "read_capacity"), "read units", 10.0),
    ];
    let table =
        Found { natives: vec![keeps], ..found(ResourceKind::DynamoDbTable, "shop-orders", capacities) };
    let shards = FoundCapacity::new(CapacityKey::Plain, "shards", 2.0);
    let acu = bounded(CapacityKey::Plain, "ACU at the least", (0.5, 0.5, 16.0));
    let readers = bounded(CapacityKey::Plain, "readers", (1.0, 2.0, 4.0)).at_most(15.0);
    vec![
        table,
        found(ResourceKind::KinesisStream, "shop-clicks", vec![shards]),
        found(ResourceKind::AuroraServerless, "shop-db", vec![acu]),
        found(ResourceKind::AuroraReplicas, "shop-db", vec![readers]),
    ]
}

fn shop() -> Inventory {
    let setting = |variable: &str, value: &str| Setting {
        of: "arn:shop-api".into(),
        variable: variable.into(),
        value: value.into(),
    };
    let handle = |of: &str, text: &str, what: &str| Handle {
        of: format!("arn:{of}"),
        text: text.into(),
        what: what.into(),
    };
    let host = "shop-db.cluster-1.rds.amazonaws.com";
    Inventory {
        found: [workers(), data()].concat(),
        left_out: vec![LeftOut { what: "the table shop-carts".into(), why: "it is on demand".into() }],
        uses: vec![used("shop-score", "shop-clicks", "reads records of {of} (event source mapping)")],
        settings: vec![
            setting("TABLE", "shop-orders"),
            setting("DB_URL", &format!("postgres://u:secret@{host}/shop")),
        ],
        handles: vec![
            handle("shop-orders", "shop-orders", "the name of the table shop-orders"),
            handle("shop-db", host, "the endpoint of the cluster shop-db"),
        ],
        not_seen: vec!["load balancers, because they may not be described".into()],
    }
}

#[test]
fn a_shop_becomes_a_file_with_its_evidence() {
    let proposal = propose(&asked(), &shop()).unwrap();
    expect_file!["tests/shop.yaml"].assert_eq(&proposal.yaml);
    assert!(!proposal.yaml.contains("secret"), "values of variables are never told");
    let platform = parse(&proposal.yaml).unwrap().platform;
    assert_eq!(platform.orchestration.phase, Phase::Observe);
    assert_eq!(platform.resources().count(), 7);
}

#[test]
fn scalable_targets_are_those_that_the_file_comes_to() {
    let capacity = |key| FoundCapacity::new(CapacityKey::Range(key), "nodes", 2.0);
    let cache = found(
        ResourceKind::ElastiCacheReplicationGroup,
        "shop-cache",
        vec![capacity("replicas").at_most(5.0), capacity("shards")],
    );
    let mut inventory = shop();
    inventory.found.push(cache);
    let of_found = |found: &Found| -> Vec<ScalableTargetId> {
        found.capacities.iter().filter_map(|capacity| scalable_target(found, &capacity.at)).collect()
    };
    let ours: BTreeSet<ScalableTargetId> = inventory.found.iter().flat_map(of_found).collect();
    let platform = parse(&propose(&asked(), &inventory).unwrap().yaml).unwrap().platform;
    let theirs: BTreeSet<ScalableTargetId> =
        platform.dimensions().filter_map(|place| place.dimension.facts.scalable_target.clone()).collect();
    assert_eq!(ours, theirs);
    assert_eq!(ours.len(), 8);
}

fn check(uses: &[(&str, &str)], expected: &str) {
    let kind = |name: &str| match name {
        "table" => ResourceKind::DynamoDbTable,
        _ => ResourceKind::Ec2AutoScalingGroup,
    };
    let made = |name: &str| {
        let at = if name == "table" { CapacityKey::Range("read_capacity") } else { CapacityKey::Plain };
        let front = front(name.starts_with("public"));
        Found { front, ..found(kind(name), name, vec![FoundCapacity::new(at, "units", 2.0)]) }
    };
    let mut names: Vec<&str> =
        uses.iter().flat_map(|(by, of)| [*by, *of]).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    let inventory = Inventory {
        found: names.iter().map(|name| made(name)).collect(),
        uses: uses.iter().map(|(by, of)| used(by, of, "uses {of}")).collect(),
        ..Inventory::default()
    };
    let proposal = propose(&asked(), &inventory).unwrap();
    let member = |place: &usize| names[*place];
    let tiers = proposal.tiers.iter().map(|tier| {
        format!("{}: {}", tier.name, tier.members.iter().map(member).collect::<Vec<_>>().join(" "))
    });
    let edges = proposal.dependencies.iter().map(|edge| format!("{} -> {}", edge.source, edge.target));
    assert_eq!(tiers.chain(edges).collect::<Vec<_>>().join(", "), expected);
    let platform =
        parse(&proposal.yaml).unwrap_or_else(|faults| panic!("{faults}\n{}", proposal.yaml)).platform;
    assert_eq!(platform.orchestration.layers.len(), proposal.tiers.len(), "the order is total");
}

#[test]
fn tiers_follow_who_uses_whom() {
    check(&[("api", "table")], "data: table, app: api, app -> data");
    check(
        &[("api", "table"), ("site", "api")],
        "data: table, app_1: api, app_2: site, app_1 -> data, app_2 -> app_1",
    );
    check(&[("api", "table"), ("public", "")], "data: table, app: api, web: public, app -> data");
    check(&[("api", ""), ("jobs", "")], "app: api jobs");
    check(&[("public", "table")], "data: table, app: public, app -> data");
    check(
        &[("public", "api"), ("api", "public-too")],
        "app_1: public-too, app_2: api, web: public, app_2 -> app_1, web -> app_2",
    );
    check(&[("table", "api")], "data: table, app: api");
}

#[test]
fn of_a_circle_the_least_certain_use_is_not_counted() {
    let mut inventory = Inventory {
        found: ["api", "jobs"].map(|name| found(ResourceKind::EcsService, name, instances())).into(),
        uses: vec![used("api", "jobs", "calls {of}")],
        ..Inventory::default()
    };
    inventory.settings = vec![Setting { of: "arn:jobs".into(), variable: "API".into(), value: "api".into() }];
    inventory.handles = vec![Handle { of: "arn:api".into(), text: "api".into(), what: "its name".into() }];
    let proposal = propose(&asked(), &inventory).unwrap();
    assert_eq!(
        proposal.remarks,
        ["not counted, because it closes a circle: the variable API of jobs holds its name"]
    );
    assert_eq!(proposal.dependencies[0].evidence, ["api calls jobs"]);
}

#[test]
fn what_cannot_be_proposed_says_what_was_left_out_and_not_seen() {
    let inventory = Inventory { found: Vec::new(), ..shop() };
    let told = propose(&asked(), &inventory).unwrap_err().to_string();
    assert_eq!(
        told,
        "nothing was found that Headroom scales\n  left out: the table shop-carts, because it is on demand\n  not seen: load \
         balancers, because they may not be described"
    );
}

#[test]
fn any_text_makes_a_name_for_the_platform() {
    for (text, expected) in
        [("shop", "shop"), ("my shop/EU", "my-shop-EU"), ("", "adopted"), ("--", "adopted")]
    {
        assert_eq!(platform_name(text).0, expected);
    }
    assert_eq!(platform_name(&"x".repeat(80)).0.len(), 49);
}

proptest! {
    #[test]
    fn every_proposal_validates(
        found in proptest::collection::vec(any_found(), 1..8),
        uses in proptest::collection::vec((0_usize..8, 0_usize..8), 0..8),
    ) {
        let arn = |place: usize| found.get(place).map(|found| found.arn.clone()).unwrap_or_default();
        let uses = uses.iter().map(|(by, of)| Use { by: arn(*by), of: arn(*of), evidence: "uses {of}".into() }).collect();
        let inventory = Inventory { found: found.clone(), uses, not_seen: vec!["a\nb: [".into()], ..Inventory::default() };
        let yaml = propose(&asked(), &inventory).unwrap().yaml;
        let platform = match parse(&yaml) {
            Ok(parsed) => parsed.platform,
            Err(faults) => panic!("{faults}\n{yaml}"),
        };
        prop_assert_eq!(platform.resources().count(), found.len());
        prop_assert_eq!(platform.orchestration.phase, Phase::Observe);
    }
}
