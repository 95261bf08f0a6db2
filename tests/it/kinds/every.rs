//! A platform with a resource of every kind: it moves as a whole, and what one of them refuses is rolled back on all others.

use std::collections::{BTreeMap, BTreeSet};

use ::local_aws::unkind::Unkind;
use headroom_core::journal::StepState;
use headroom_core::resource::ResourceKind;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::elasticache_replication_group::Used;
use super::scalable_target::{execute_role, put_policy};
use super::{
    api_gateway_stage, aurora_serverless, eks_node_group, elasticache_replication_group, kinesis_stream,
    lambda_function, readers, sagemaker_endpoint, scalable_target,
};
use crate::bench::{Bench, CALM, Cycle, HALF, server};

/// What the resources that the shop itself does not have are used.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Percent of the Aurora cluster's maximum, of the readers' CPU, and of the nodes'.
    cluster: f64,
    readers: f64,
    nodes: f64,
    cache: Used,
    /// GiB of the storage that are left.
    left: f64,
    /// Shards' worth of records, instances' worth of invocations, requests a second.
    shards: f64,
    instances: f64,
    requests: f64,
    /// Executions at the same time, of the alias and of the whole function.
    executions: (f64, f64),
}

/// Each needs more than it has at first.
const BUSY: Load = Load {
    cluster: 21.5,
    readers: 90.0,
    nodes: 90.0,
    cache: Used { replicas: 68.0, primaries: 68.0, memory: 90.0 },
    left: 18.0,
    shards: 4.2,
    instances: 4.8,
    requests: 105.0,
    executions: (14.0, 56.0),
};
/// The same, but for the cache, which needs what it has.
pub(crate) const BUSY_BESIDE_THE_CACHE: Load = Load { cache: elasticache_replication_group::CALMLY, ..BUSY };
/// Each needs less than it has after that.
const QUIET: Load = Load {
    cluster: 3.0,
    readers: 12.0,
    nodes: 20.0,
    cache: Used { replicas: 65.0, primaries: 15.0, memory: 20.0 },
    left: 25.0,
    shards: 1.0,
    instances: 1.5,
    requests: 40.0,
    executions: (1.0, 20.0),
};

/// Creates a resource of every kind that the shop does not have, but for what Application Auto Scaling scales elsewhere; answers
/// the id of the stage's API and the platform's file with them.
pub(crate) async fn create(bench: &Bench, text: &str) -> (String, String) {
    aurora_serverless::create(bench).await;
    readers::create(bench).await;
    readers::instance(bench, 100).await;
    kinesis_stream::create(bench).await;
    lambda_function::create(bench).await;
    elasticache_replication_group::create(bench).await;
    eks_node_group::create(bench).await;
    sagemaker_endpoint::create(bench).await;
    let api = api_gateway_stage::create(bench).await;
    let text = aurora_serverless::platform(bench, text, "");
    let text = readers::copies(bench, &readers::storage(bench, &readers::platform(bench, &text)));
    let text = eks_node_group::platform(bench, &text).await;
    let text = sagemaker_endpoint::platform(bench, &text);
    let text = api_gateway_stage::platform(bench, &text, &api);
    let text = elasticache_replication_group::platform(bench, &text);
    let text = kinesis_stream::platform(bench, &text);
    let text = lambda_function::platform(bench, &text, "desired");
    (api, text)
}

/// Publishes a load for some minutes before a time.
pub(crate) async fn load(bench: &Bench, load: Load, until: Timestamp, minutes: i64) {
    aurora_serverless::used(bench, (load.cluster, 40.0), until, minutes).await;
    readers::read(bench, load.readers, until, minutes).await;
    readers::left(bench, load.left, until, minutes).await;
    kinesis_stream::write(bench, load.shards, until, minutes).await;
    eks_node_group::work(bench, load.nodes, until, minutes).await;
    sagemaker_endpoint::invoke(bench, load.instances, until, minutes).await;
    api_gateway_stage::ask(bench, load.requests, until, minutes).await;
    lambda_function::run(bench, load.executions, until, minutes).await;
    elasticache_replication_group::ask(bench, load.cache, until, minutes).await;
}

fn count(units: usize) -> f64 {
    f64::from(u32::try_from(units).unwrap())
}

/// A shop with one resource of each kind.
struct Platform {
    bench: Bench,
    api: String,
    file: String,
}

/// What each resource has: the units of each of its dimensions.
type Stands = BTreeMap<&'static str, Vec<f64>>;

impl Platform {
    async fn new(name: &str) -> Platform {
        let bench = Bench::at(name, CALM).await;
        let (api, text) = create(&bench, &bench.platform).await;
        readers::replicate(&bench).await;
        scalable_target::create(&bench).await;
        let file = scalable_target::platform(&bench, &text, "floor");
        let file = file.replace("[data,", "[data, keys,");
        let file = file.replace("dependencies:\n", "dependencies:\n    - {source: app, target: keys}\n");
        // Whatever no dependency orders moves together.
        let file = file.replace("orchestration:\n", "orchestration:\n  strategy: parallel\n");
        // By the measured load alone: what forecasts still expect after half an hour depends on the time of the day.
        let measured = "scaling_policies: [{type: predictive, enabled: false}]";
        let file = file.replace("    resources:\n", &format!("    {measured}\n    resources:\n"));
        let file = file.replace("{resources: ", &format!("{{{measured}, resources: "));
        bench.publish(&file).await;
        Platform { bench, api, file }
    }

    /// Half an hour passes with a load on everything; answers when it is over.
    async fn half_an_hour(&self, from: Timestamp, of_shop: f64, of_others: Load, reads: f64) -> Timestamp {
        let until = from + SignedDuration::from_mins(30);
        self.bench.steady(of_shop, from, until).await;
        load(&self.bench, of_others, until, 30).await;
        readers::read_copies(&self.bench, of_others.readers, until, 30).await;
        scalable_target::read(&self.bench, reads, until, 30).await;
        until
    }

    async fn cycle(&self, now: Timestamp) -> Cycle {
        self.bench.cycle_with(json!({"now": now.to_string()})).await
    }

    async fn stands(&self) -> Stands {
        let (bench, aws) = (&self.bench, &self.bench.aws);
        let shop = bench.capacity().await;
        let cache = elasticache_replication_group::name_of(bench);
        let (_, shards, replicas) = elasticache_replication_group::stands(aws, &cache).await;
        let (provisioned, reserved) = lambda_function::stands(bench).await;
        let (rate, burst) = api_gateway_stage::stands(aws, &self.api).await;
        let endpoint = sagemaker_endpoint::stands(aws, &sagemaker_endpoint::name_of(bench)).await.1;
        let nodes = eks_node_group::stands(aws, &eks_node_group::name_of(bench)).await.2;
        BTreeMap::from([
            ("orders", vec![f64::from(shop.read), f64::from(shop.write)]),
            ("api", vec![f64::from(shop.api)]),
            ("web", vec![f64::from(shop.web)]),
            ("ledger", vec![aurora_serverless::stands(bench).await.0]),
            ("books", vec![self.instances("books-").await]),
            ("copies", vec![self.instances("stock-headroom-").await]),
            ("stock", vec![f64::from(readers::allocated(bench).await.1)]),
            ("sessions", vec![count(shards), count(replicas)]),
            ("checkout", vec![f64::from(provisioned), f64::from(reserved)]),
            ("nodes", vec![f64::from(nodes)]),
            ("clicks", vec![f64::from(kinesis_stream::stands(bench).await.1)]),
            ("ranking", vec![f64::from(endpoint[0].1)]),
            ("edge", vec![rate, f64::from(burst)]),
            ("keys", vec![f64::from(scalable_target::bounds(bench).await.0)]),
        ])
    }

    /// How many database instances have names that begin like this.
    async fn instances(&self, part: &str) -> f64 {
        count(readers::stands(&self.bench, &format!("{}-{part}", self.bench.shop.name)).await.len())
    }

    /// The wave of each step of the newest cycle, which all worked.
    async fn waves(&self) -> BTreeMap<String, usize> {
        let journal = self.bench.journal().await;
        assert!(journal.values().all(|entry| entry.state == StepState::Done), "{journal:#?}");
        journal.into_iter().map(|(name, entry)| (name, entry.wave)).collect()
    }
}

/// Every kind, what the platform calls its resource, and what changes it.
const CHANGES: [(ResourceKind, &str, &str); 14] = [
    (ResourceKind::DynamoDbTable, "orders", "dynamodb:UpdateTable"),
    (ResourceKind::AuroraServerless, "ledger", "rds:ModifyDBCluster"),
    (ResourceKind::AuroraReplicas, "books", "rds:CreateDBInstance"),
    (ResourceKind::RdsReadReplicas, "copies", "rds:CreateDBInstanceReadReplica"),
    (ResourceKind::KinesisStream, "clicks", "kinesis:UpdateShardCount"),
    (
        ResourceKind::ElastiCacheReplicationGroup,
        "sessions",
        "elasticache:ModifyReplicationGroupShardConfiguration",
    ),
    (ResourceKind::SageMakerEndpoint, "ranking", "sagemaker:UpdateEndpointWeightsAndCapacities"),
    (ResourceKind::ScalableTarget, "keys", "application-autoscaling:RegisterScalableTarget"),
    (ResourceKind::EksNodeGroup, "nodes", "eks:UpdateNodegroupConfig"),
    (ResourceKind::LambdaFunction, "checkout", "lambda:PutProvisionedConcurrencyConfig"),
    (ResourceKind::EcsService, "api", "ecs:UpdateService"),
    (ResourceKind::Ec2AutoScalingGroup, "web", "autoscaling:SetDesiredCapacity"),
    (ResourceKind::ApiGatewayStage, "edge", "apigateway:PATCH"),
    (ResourceKind::RdsStorage, "stock", "rds:ModifyDBInstance"),
];

/// Pairs of resources of which the second builds on the first.
const ORDER: [(&str, &str); 13] = [
    ("orders", "api"),
    ("ledger", "api"),
    ("books", "api"),
    ("copies", "api"),
    ("stock", "api"),
    ("sessions", "api"),
    ("clicks", "api"),
    ("ranking", "api"),
    ("keys", "api"),
    ("nodes", "api"),
    ("orders", "checkout"),
    ("api", "web"),
    ("web", "edge"),
];

/// Whether the units of `more` are at least those of `less` everywhere, and above them somewhere.
fn is_above(more: &[f64], less: &[f64]) -> bool {
    more != less && more.iter().zip(less).all(|(more, less)| less <= more)
}

/// The next minute: a metric counts what it is given, and a minute that is published twice would have twice the load.
fn from() -> Timestamp {
    Timestamp::from_second((Timestamp::now().as_second() / 60 + 1) * 60).unwrap()
}

#[tokio::test]
async fn a_platform_of_every_kind_scales_out_in_order_and_in_against_it() {
    let platform = Platform::new("each").await;
    let slow = Unkind { pace: Some(1.0), ..Unkind::default() };
    server().await.unkind("each-", &slow).await.unwrap();
    // Replicas are made of an instance that is available, and so not while its storage grows.
    server().await.unkind("each-stock", &Unkind { pace: Some(0.0), ..Unkind::default() }).await.unwrap();
    let before = platform.stands().await;
    let until = platform.half_an_hour(from(), 2.0 * HALF, BUSY, 8_400.0).await;
    let cycle = platform.cycle(until).await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    // From here on everything is done at once, and what was begun is.
    server().await.kind("each-").await.unwrap();
    let (out, waves) = (platform.stands().await, platform.waves().await);
    let reasons = platform.bench.all_reasons().await;
    for (name, units) in &before {
        assert!(is_above(&out[name], units), "{name}: {units:?}, then {:?}: {reasons:#?}", out[name]);
    }
    for (first, then) in ORDER {
        assert!(waves[first] < waves[then], "{first} before {then}: {waves:?}");
    }
    let until = platform.half_an_hour(until, 0.5 * CALM, QUIET, 4_200.0).await;
    let cycle = platform.cycle(until).await;
    assert_eq!(cycle.outcome(), "scaled", "{cycle:?}");
    let (inward, waves) = (platform.stands().await, platform.waves().await);
    let reasons = platform.bench.all_reasons().await;
    for (name, units) in out.iter().filter(|(name, _)| **name != "stock") {
        assert!(is_above(units, &inward[name]), "{name}: {units:?}, then {:?}: {reasons:#?}", inward[name]);
    }
    assert_eq!(inward["stock"], out["stock"], "storage only grows");
    for (first, then) in ORDER.into_iter().filter(|(first, _)| *first != "stock") {
        assert!(waves[then] < waves[first], "{then} before {first}: {waves:?}");
    }
}

#[tokio::test]
async fn what_a_kind_refuses_is_rolled_back_on_every_other() {
    let kinds = CHANGES.map(|(kind, ..)| kind.type_name()).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(kinds, ResourceKind::ALL.iter().map(|kind| kind.type_name()).collect(), "each in turn");
    let platform = Platform::new("eachless").await;
    let role = execute_role(&platform.bench).await;
    let mut before = platform.stands().await;
    let until = platform.half_an_hour(from(), 2.0 * HALF, BUSY, 8_400.0).await;
    let mut now = until - SignedDuration::from_mins(15);
    for (kind, name, action) in CHANGES {
        if kind == ResourceKind::RdsStorage {
            // What storage got stands since the first turn, because it has no way back, and it changes once in six hours.
            assert_eq!(before.insert("stock", vec![110.0]), Some(vec![100.0]));
            let later = until + SignedDuration::from_hours(7);
            now = platform.half_an_hour(later, 2.0 * HALF, BUSY, 8_400.0).await;
        }
        put_policy(&role, "refused", "Deny", &[action]).await;
        let cycle = platform.cycle(now).await;
        assert_eq!(cycle.error, "RolledBack", "{name}: {cycle:?}");
        let journal = platform.bench.journal().await;
        let told = journal[name].events.iter().filter_map(|happened| happened.detail.as_deref());
        assert!(told.into_iter().any(|detail| detail.contains(action)), "{name}: {:#?}", journal[name]);
        let mut after = platform.stands().await;
        if kind != ResourceKind::RdsStorage {
            assert_eq!(after.insert("stock", before["stock"].clone()), Some(vec![110.0]), "{name} refused");
        }
        assert_eq!(after, before, "{name} refused");
        now += SignedDuration::from_mins(1);
    }
}

#[tokio::test]
async fn what_was_begun_before_a_kind_refused_stands_where_the_file_says_so() {
    let platform = Platform::new("eachstays").await;
    let file = platform.file.replace("orchestration:\n", "orchestration:\n  rollback_on_failure: false\n");
    platform.bench.publish(&file).await;
    let before = platform.stands().await;
    put_policy(&execute_role(&platform.bench).await, "refused", "Deny", &["apigateway:PATCH"]).await;
    let until = platform.half_an_hour(from(), 2.0 * HALF, BUSY, 8_400.0).await;
    let cycle = platform.cycle(until).await;
    let after = platform.stands().await;
    assert_eq!(after["edge"], before["edge"], "{cycle:?}");
    for (name, units) in before.iter().filter(|(name, _)| **name != "edge") {
        assert!(is_above(&after[name], units), "{name}: {units:?}, then {:?}: {cycle:?}", after[name]);
    }
}
