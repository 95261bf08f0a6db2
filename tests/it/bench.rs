//! What the end-to-end tests share: one local AWS; each test has a shop and a stack of Headroom of its own, as in AWS.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use ::local_aws::health::HealthEndpoint;
use ::local_aws::server::{Options, Server};
use ::local_aws::shop::{Capacity, Shop};
use ::local_aws::{deploy, root};
use aws_sdk_dynamodb::types::ProvisionedThroughput;
use headroom_aws::config_source::ParameterStore;
use headroom_aws::executions::{Ended, StepFunctions};
use headroom_aws::sdk::Aws;
use headroom_aws::store::Store;
use headroom_aws::table::DynamoTable;
use headroom_core::journal::Entry;
use headroom_core::name::PlatformName;
use headroom_core::series::Series;
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

/// A shop of a test, with a platform file that the test can change.
pub(crate) struct Bench {
    pub(crate) shop: Shop,
    pub(crate) health: HealthEndpoint,
    pub(crate) aws: Aws,
    pub(crate) platform: String,
    machine: String,
    world: &'static World,
}

/// A load at which the shop needs 9 servers, 6 tasks, 643 read and 186 write units.
pub(crate) const HALF: f64 = 0.5;
/// A little less than what the capacity for half of the load holds at its target, as real load is.
pub(crate) const CALM: f64 = 0.98 * HALF;

impl Bench {
    /// A shop of this name with the capacity for half its peak, published but without any metrics.
    pub(crate) async fn new(name: &str) -> Bench {
        let world = world().await;
        let shop = Shop::new(name);
        let (created, machine) = tokio::join!(
            shop.create(&world.server, Capacity::at_target(HALF)),
            deploy::deploy_headroom(&world.server, &world.packaged, name)
        );
        created.unwrap();
        let machine = machine.unwrap();
        let health = HealthEndpoint::start().await.unwrap();
        let platform = shop.platform(&health.url).unwrap();
        let bench = Bench { shop, health, aws: world.server.connect().await, platform, machine, world };
        bench.publish(&bench.platform).await;
        bench
    }

    /// The same with two hours of a steady load.
    pub(crate) async fn at(name: &str, load: f64) -> Bench {
        let bench = Bench::new(name).await;
        bench.seed(load).await;
        bench
    }

    /// Publishes a platform file for this shop, valid or not.
    pub(crate) async fn publish(&self, text: &str) {
        let name = PlatformName(self.shop.name.clone());
        ParameterStore::new(&self.aws).publish(&name, text, Some(deploy::BUCKET)).await.unwrap();
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
        let steps = to.duration_since(from).as_secs() / 300 + 1;
        let steady = Series::new(from, 300, (0..steps).map(|_| Some(load)));
        let capacity = self.capacity().await;
        self.shop.seed(&self.aws, &steady, from, to, Some(capacity)).await.unwrap();
    }

    pub(crate) async fn capacity(&self) -> Capacity {
        self.shop.capacity(&self.aws).await.unwrap()
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
        let mut input = json!({"platform": self.shop.name});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let executions = StepFunctions::new(&self.aws.sfn());
        executions.start(&self.machine, None, &input.to_string()).await.unwrap()
    }

    /// The ARN of an execution of this shop's state machine.
    pub(crate) fn execution(&self, name: &str) -> String {
        format!("{}:{name}", self.machine.replace(":stateMachine:", ":execution:"))
    }

    /// Waits for the end of a cycle.
    pub(crate) async fn end_of(&self, arn: &str) -> Cycle {
        let ended = StepFunctions::new(&self.aws.sfn()).wait(arn, Duration::from_secs(120)).await.unwrap();
        let arn = arn.to_owned();
        match ended {
            Ended::Succeeded(output) => Cycle {
                arn,
                output: serde_json::from_str(&output).unwrap(),
                error: String::new(),
                cause: String::new(),
            },
            Ended::Failed { error, cause } => Cycle { arn, output: Json::Null, error, cause },
        }
    }

    /// Somebody sets the table's units, past Headroom.
    pub(crate) async fn set_table_by_hand(&self, read: i64, write: i64) {
        let throughput =
            ProvisionedThroughput::builder().read_capacity_units(read).write_capacity_units(write);
        let update = self.aws.dynamodb().update_table().table_name(format!("{}-orders", self.shop.name));
        update.provisioned_throughput(throughput.build().unwrap()).send().await.unwrap();
    }

    pub(crate) fn store(&self) -> Store<DynamoTable> {
        let table = |name: &str| {
            DynamoTable::new(
                &self.aws.dynamodb(),
                format!("headroom-{}-{name}", self.shop.name),
                &self.aws.meter,
            )
        };
        Store::new(table("state"), table("demand-forecasts"), table("scaling-decisions"))
    }

    pub(crate) fn name(&self) -> PlatformName {
        PlatformName(self.shop.name.clone())
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
        let store = self.store();
        let (now, outcome) = store.outcomes(&self.name(), 1).await.unwrap().remove(0);
        let decisions = store.decisions(&self.name(), now, &outcome.cycle_id).await.unwrap();
        let key = format!("{}-{dimension}", self.shop.name).parse().unwrap();
        let decision = decisions.into_iter().find(|decision| decision.key == key).unwrap();
        decision.reasons.iter().map(ToString::to_string).collect()
    }

    /// Breaks calls of the functions to AWS by a rule of the fault proxy, limited to this shop by what the rule says.
    pub(crate) async fn fault(&self, rule: Json) {
        let url = self.world.server.faults.clone().unwrap();
        let status = request("PATCH", &format!("{url}/_microburst/rules"), &json!([rule]).to_string()).await;
        assert!((200..300).contains(&status), "{status}");
    }
}

/// How a cycle ended.
#[derive(Debug)]
pub(crate) struct Cycle {
    pub(crate) arn: String,
    pub(crate) output: Json,
    pub(crate) error: String,
    pub(crate) cause: String,
}

impl Cycle {
    /// The outcome's name: of the output, or of the error.
    pub(crate) fn outcome(&self) -> &str {
        self.output.get("outcome").and_then(Json::as_str).unwrap_or(&self.error)
    }

    /// A counter of what it used.
    pub(crate) fn used(&self, counter: &str) -> f64 {
        self.output["usage"].get(counter).and_then(Json::as_f64).unwrap_or(0.0)
    }
}

/// A request to the fault proxy's control interface; answers the status.
async fn request(method: &str, url: &str, body: &str) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// The server itself, for tests of the local AWS.
pub(crate) async fn server() -> &'static Server {
    &world().await.server
}

/// The state machine's definition.
pub(crate) fn definition() -> &'static Json {
    static DEFINITION: OnceLock<Json> = OnceLock::new();
    DEFINITION.get_or_init(|| {
        let text = std::fs::read_to_string(root().join("statemachine/scaling.asl.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    })
}
