//! What the end-to-end tests share: one local AWS; each test has a shop and a stack of Headroom of its own, as in AWS.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

pub(crate) use ::local_aws::deployment::Cycle;
use ::local_aws::deployment::Deployment;
use ::local_aws::server::{Options, Server};
use ::local_aws::shop::Capacity;
use ::local_aws::{deploy, root};
use headroom_core::journal::Entry;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};
use tokio::sync::OnceCell;

/// The local AWS, started by the first test that needs it. It stops when this process ends.
struct World {
    server: Server,
    packaged: PathBuf,
}

async fn world() -> &'static World {
    static WORLD: OnceCell<World> = OnceCell::const_new();
    WORLD
        .get_or_init(|| async {
            let folder = root().join("target/it");
            let server =
                Server::start(&folder, Options { wait_scale: 0.0, faults: true, pace: 0.0 }).await.unwrap();
            let template = deploy::template_of(&deploy::built().unwrap(), &folder).unwrap();
            let packaged = deploy::package(&server, &template).await.unwrap();
            World { server, packaged }
        })
        .await
}

/// A shop of a test, with a platform file that the test can change. What fails here fails the test.
pub(crate) struct Bench {
    deployment: Deployment,
    server: &'static Server,
}

impl Deref for Bench {
    type Target = Deployment;

    fn deref(&self) -> &Deployment {
        &self.deployment
    }
}

/// A load at which the shop needs 9 servers, 6 tasks, 643 read and 186 write units.
pub(crate) const HALF: f64 = 0.5;
/// A little less than what the capacity for half of the load holds at its target, as real load is.
pub(crate) const CALM: f64 = 0.98 * HALF;

impl Bench {
    /// A shop of this name with the capacity for half its peak, published but without any metrics.
    pub(crate) async fn new(name: &str) -> Bench {
        static NAMES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        let is_new = NAMES.lock().unwrap().insert(name.to_owned());
        assert!(is_new, "two tests have a shop called {name}, and would change each other's");
        let World { server, packaged } = world().await;
        let deployment = Deployment::new(server, packaged, name, Capacity::at_target(HALF)).await.unwrap();
        Bench { deployment, server }
    }

    /// The same with two hours of a steady load.
    pub(crate) async fn at(name: &str, load: f64) -> Bench {
        let bench = Bench::new(name).await;
        bench.seed(load).await;
        bench
    }

    /// Publishes a platform file for this shop, valid or not.
    pub(crate) async fn publish(&self, text: &str) {
        self.deployment.publish(text).await.unwrap();
    }

    /// Publishes its platform file with something replaced.
    pub(crate) async fn publish_with(&self, from: &str, to: &str) {
        assert!(self.platform.contains(from), "{from}");
        self.publish(&self.platform.replace(from, to)).await;
    }

    /// Two hours of a steady load until now, on the capacity that there is.
    pub(crate) async fn seed(&self, load: f64) {
        let now = Timestamp::now();
        // A metric that begins in the middle of five minutes looks as if its load had risen in them.
        let from = Timestamp::from_second((now.as_second() - 7_200).div_euclid(300) * 300).unwrap();
        self.steady(load, from, now).await;
    }

    /// Half an hour passes with a steady load, on the capacity that there is; answers the input for a cycle after it.
    pub(crate) async fn half_an_hour_later(&self, load: f64) -> Json {
        // A metric counts what it is given: a minute seeded twice would have the load of both.
        let from = Timestamp::from_second((Timestamp::now().as_second() / 60 + 1) * 60).unwrap();
        let later = from + SignedDuration::from_mins(30);
        self.steady(load, from, later).await;
        json!({"now": later.to_string()})
    }

    pub(crate) async fn steady(&self, load: f64, from: Timestamp, to: Timestamp) {
        self.deployment.steady(load, from, to).await.unwrap();
    }

    pub(crate) async fn capacity(&self) -> Capacity {
        self.deployment.capacity().await.unwrap()
    }

    /// Runs a cycle to its end.
    pub(crate) async fn cycle(&self) -> Cycle {
        self.cycle_with(json!({})).await
    }

    /// Runs a cycle with more in its input than the platform.
    pub(crate) async fn cycle_with(&self, more: Json) -> Cycle {
        let arn = self.start(more).await;
        self.end_of(&arn).await
    }

    /// Starts a cycle; answers its ARN.
    pub(crate) async fn start(&self, more: Json) -> String {
        self.deployment.start(&more).await.unwrap()
    }

    /// Waits for the end of a cycle.
    pub(crate) async fn end_of(&self, arn: &str) -> Cycle {
        self.deployment.end_of(arn, Duration::from_secs(120)).await.unwrap()
    }

    /// Somebody sets the table's units, past Headroom.
    pub(crate) async fn set_table_by_hand(&self, read: i64, write: i64) {
        self.deployment.set_table_by_hand(read, write).await.unwrap();
    }

    /// The journal of the newest cycle, by resource: `web`, `api`, `orders`.
    pub(crate) async fn journal(&self) -> BTreeMap<String, Entry> {
        let store = self.store();
        let outcomes = store.outcomes(&self.name(), 1).await.unwrap();
        let Some(plan) = outcomes.first().and_then(|(_, outcome)| outcome.plan_id.clone()) else {
            return BTreeMap::new();
        };
        let entries = store.journal(&self.name(), &plan).await.unwrap();
        let short = |entry: &Entry| entry.step.resource.0.replace(&format!("{}-", self.shop.name), "");
        entries.into_iter().map(|entry| (short(&entry.value), entry.value)).collect()
    }

    /// The reasons of the newest decision about a dimension such as `web/desired`.
    pub(crate) async fn reasons(&self, dimension: &str) -> Vec<String> {
        let key = format!("{}-{dimension}", self.shop.name);
        self.all_reasons().await.remove(&key).unwrap()
    }

    /// The reasons for the newest decision on every dimension, by its key.
    pub(crate) async fn all_reasons(&self) -> BTreeMap<String, Vec<String>> {
        let store = self.store();
        let (now, outcome) = store.outcomes(&self.name(), 1).await.unwrap().remove(0);
        let decisions = store.decisions(&self.name(), now, &outcome.cycle_id).await.unwrap();
        let told = |decision: headroom_core::decide::Decision| {
            (decision.key.to_string(), decision.reasons.iter().map(ToString::to_string).collect())
        };
        decisions.into_iter().map(told).collect()
    }

    /// Breaks calls of the functions to AWS by a rule of the fault proxy, limited to this shop by what the rule says.
    pub(crate) async fn fault(&self, rule: Json) {
        self.server.fault(&rule).await.unwrap();
    }
}

/// The server itself, for tests of the local AWS.
pub(crate) async fn server() -> &'static Server {
    &world().await.server
}

/// The template, ready to be deployed.
pub(crate) async fn packaged() -> &'static Path {
    &world().await.packaged
}

/// The state machine's definition.
pub(crate) fn definition() -> &'static Json {
    static DEFINITION: OnceLock<Json> = OnceLock::new();
    DEFINITION.get_or_init(|| {
        let text = std::fs::read_to_string(root().join("statemachine/scaling.asl.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    })
}
