//! `make demo`: three cycles of a shop on a local AWS, told as they happen.

#![expect(clippy::print_stdout, reason = "a demo is there to be read")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use headroom_aws::executions::{Ended, StepFunctions};
use headroom_aws::store::Store;
use headroom_aws::table::DynamoTable;
use headroom_core::name::PlatformName;
use headroom_core::report::explain;
use headroom_core::series::Series;
use jiff::{SignedDuration, Timestamp};
use local_aws::health::HealthEndpoint;
use local_aws::server::{Options, Server};
use local_aws::shop::{Capacity, Shop};
use local_aws::{Result, deploy, load, root};
use serde_json::{Value as Json, json};

/// The same for everybody.
const SEED: u64 = 42;
const DAYS: i64 = 17;
/// Two weeks before the first cycle, which is up to three days before the end.
const HISTORY: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Capacity on the local AWS is there at once, so waits for it are cut to a twentieth.
const WAIT_SCALE: f64 = 0.05;
const CYCLE_MAX: Duration = Duration::from_secs(120);

struct Arguments {
    trace: Option<PathBuf>,
    keep: bool,
}

fn arguments() -> Result<Arguments> {
    let mut arguments = Arguments { trace: None, keep: false };
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        match word.as_str() {
            "--keep" => arguments.keep = true,
            "--trace" => arguments.trace = Some(given.next().ok_or("--trace needs a file")?.into()),
            other => {
                return Err(format!("unknown argument {other}; known are --trace FILE and --keep").into());
            }
        }
    }
    Ok(arguments)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Whatever ends first ends the demo; dropping the server stops it.
    let ended = tokio::select! {
        ended = demo() => ended,
        _ = tokio::signal::ctrl_c() => Err("stopped by hand".into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<()> {
    let arguments = arguments()?;
    let started = Instant::now();
    let say = |what: &str| println!("[{:5.1} s] {what}", started.elapsed().as_secs_f64());
    let end = Timestamp::from_second(Timestamp::now().as_second().div_euclid(300) * 300)?;
    let load = match &arguments.trace {
        Some(file) => load::trace(file, end)?,
        None => load::model(end, DAYS, SEED),
    };
    let moments =
        load::story(&load).ok_or("the trace is shorter than five days; the demo needs that much")?;

    say("starting a local AWS");
    let server = Server::start(
        &root().join("target/demo"),
        Options { wait_scale: WAIT_SCALE, faults: false, pace: 0.0 },
    )
    .await?;
    say("deploying template.yaml with the AWS CLI");
    let packaged = deploy::package(&server, &root().join("template.yaml")).await?;
    let machine = deploy::deploy_headroom(&server, &packaged, "shop").await?;
    say("creating the shop: a table, an ECS service, an EC2 Auto Scaling group");
    let shop = Shop::new("shop");
    let before = load.at(moments[0] - SignedDuration::from_mins(5)).unwrap_or(0.5);
    shop.create(&server, Capacity::at_target(before)).await?;
    let endpoint = HealthEndpoint::start().await?;
    publish(&server, &shop.platform(&endpoint.url)?).await?;
    let source = arguments
        .trace
        .as_ref()
        .map_or("a model of its traffic".to_owned(), |file| file.display().to_string());
    say(&format!("publishing two weeks of its metrics, from {source}"));
    shop.seed(&server.aws, &load, moments[0] - HISTORY, moments[0], None).await?;

    let teller = Teller { server: &server, machine: &machine, shop: &shop, load: &load };
    say("cycle 1: the load is about to rise");
    teller.cycle("rise", moments[0], json!(null)).await?;
    say("cycle 2: the load has fallen");
    teller.advance(moments[0], moments[1]).await?;
    teller.cycle("fall", moments[1], json!(null)).await?;
    // Whatever the load, the web tier has to change for its failing health to matter.
    say(
        "cycle 3: the load is about to rise again and a person asks for two more servers, but the shop's health endpoint fails",
    );
    teller.advance(moments[1], moments[2]).await?;
    endpoint.set(false);
    let servers = shop.capacity(&server.aws).await?.web + 2;
    teller.cycle("sick", moments[2], json!({"shop-web/desired": servers})).await?;
    endpoint.set(true);

    if arguments.keep {
        keep(&server, &machine).await?;
    }
    say("done; stopping the local AWS");
    Ok(())
}

async fn publish(server: &Server, platform: &str) -> Result<()> {
    let parsed = headroom_core::config::parse(platform)?;
    let store = headroom_aws::config_source::ParameterStore::new(&server.aws);
    store.publish(&parsed.platform.name, platform, Some(deploy::BUCKET)).await?;
    Ok(())
}

/// Runs cycles and tells what they did.
struct Teller<'a> {
    server: &'a Server,
    machine: &'a str,
    shop: &'a Shop,
    load: &'a Series,
}

impl Teller<'_> {
    /// Lets time go by: the load goes on, on the capacity that there is now.
    async fn advance(&self, from: Timestamp, to: Timestamp) -> Result<()> {
        let capacity = self.shop.capacity(&self.server.aws).await?;
        self.shop.seed(&self.server.aws, self.load, from, to, Some(capacity)).await
    }

    async fn cycle(&self, name: &str, now: Timestamp, capacity: Json) -> Result<()> {
        let executions = StepFunctions::new(&self.server.aws.sfn());
        let mut input = json!({"platform": self.shop.name, "now": now.to_string(), "capacity": capacity});
        if let Some(given) = input.as_object_mut().filter(|given| given["capacity"].is_null()) {
            given.remove("capacity");
        }
        let input = input.to_string();
        println!("          start-execution --input '{input}'");
        let started = Instant::now();
        let arn = executions.start(self.machine, Some(name), &input).await?;
        let ended = executions.wait(&arn, CYCLE_MAX).await?;
        let seconds = started.elapsed().as_secs_f64();
        match ended {
            Ended::Succeeded(_) => println!("          the execution succeeded in {seconds:.1} s\n"),
            Ended::Failed { error, .. } => {
                println!("          the execution failed in {seconds:.1} s: {error}\n")
            }
        }
        let table = |name: &str| {
            let name = format!("headroom-{}-{name}", self.shop.name);
            DynamoTable::new(&self.server.aws.dynamodb(), name, &self.server.aws.meter)
        };
        let store = Store::new(table("state"), table("demand-forecasts"), table("scaling-decisions"));
        let platform = PlatformName(self.shop.name.clone());
        let stories = store.stories(&platform, 1).await?;
        stories.iter().for_each(|story| println!("{}", indented(&explain(&story.as_story(&platform)))));
        let Capacity { web, api, read, write } = self.shop.capacity(&self.server.aws).await?;
        println!("    Capacity in AWS now: web {web}, api {api}, read {read}, write {write}\n");
        Ok(())
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }).collect()
}

async fn keep(server: &Server, machine: &str) -> Result<()> {
    println!("The local AWS keeps running. Look around with any AWS tool, for example:\n");
    for (name, value) in server.variables() {
        println!("  export {name}={value}");
    }
    println!("  .venv/bin/aws stepfunctions list-executions --state-machine-arn {machine}");
    println!("  .venv/bin/aws dynamodb scan --table-name headroom-shop-scaling-decisions --max-items 3");
    println!("  cargo run -q -p headroom --features aws -- explain shop --last 3");
    println!("  cargo run -q -p headroom --features aws -- run shop --dry-run --state-machine-arn {machine}");
    println!("\nCtrl-C stops it.");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
