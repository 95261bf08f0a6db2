//! `make demo`: three cycles of a shop on a local AWS, told as they happen, and checked.

#![expect(clippy::print_stdout, reason = "a demo is there to be read")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use headroom_aws::executions::{Ended, StepFunctions};
use headroom_aws::store::Store;
use headroom_aws::table::DynamoTable;
use headroom_core::name::PlatformName;
use headroom_core::platform::Platform;
use headroom_core::report::explain;
use headroom_core::series::Series;
use jiff::{SignedDuration, Timestamp};
use local_aws::expected::{Cycle, Expected, faults};
use local_aws::health::HealthEndpoint;
use local_aws::server::{Options, Server};
use local_aws::shop::{Capacity, Shop};
use local_aws::{Result, deploy, load, root};
use serde_json::json;

/// The same for everybody.
const SEED: u64 = 42;
const DAYS: i64 = 17;
/// Two weeks before the first cycle, which is up to three days before the end.
const HISTORY: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Capacity on the local AWS is there at once, so waits for it are cut to a twentieth.
const WAIT_SCALE: f64 = 0.05;
const CYCLE_MAX: Duration = Duration::from_secs(120);
/// With the paces of AWS a cycle waits up to ten minutes for each of three waves, and as long for each to be rolled back.
const REAL_CYCLE_MAX: Duration = Duration::from_secs(70 * 60);
/// Fewer servers are asked for where two more would be above the largest capacity in the shop's file.
const SERVERS_MAX: u32 = 40;

struct Arguments {
    trace: Option<PathBuf>,
    keep: bool,
    real: bool,
    begun: Option<Timestamp>,
}

fn arguments() -> Result<Arguments> {
    let mut arguments = Arguments { trace: None, keep: false, real: false, begun: None };
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        match word.as_str() {
            "--keep" => arguments.keep = true,
            "--real" => arguments.real = true,
            "--trace" => arguments.trace = Some(given.next().ok_or("--trace needs a file")?.into()),
            "--begun" => {
                let second = given.next().ok_or("--begun needs a Unix time in seconds")?;
                arguments.begun = Some(Timestamp::from_second(second.parse()?)?);
            }
            other => {
                return Err(format!(
                    "unknown argument {other}; known are --trace FILE, --keep, --real and --begun SECOND"
                )
                .into());
            }
        }
    }
    Ok(arguments)
}

/// What takes AWS from half a minute, for a task, to several, for a table, takes this long everywhere with `REAL=1`.
const REAL_PACE_S: f64 = 45.0;

/// How the local AWS behaves.
fn options(real: bool) -> Options {
    let (wait_scale, pace) = if real { (1.0, REAL_PACE_S) } else { (WAIT_SCALE, 0.0) };
    Options { wait_scale, faults: false, pace }
}

/// Waits for the shop's first servers and tasks, where that takes time: the load that is published was served by them.
async fn have_started(real: bool, say: impl Fn(&str)) {
    if !real {
        return;
    }
    say("waiting for the shop's first servers and tasks");
    tokio::time::sleep(Duration::from_secs_f64(REAL_PACE_S)).await;
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
    let waited_s = arguments.begun.map(|begun| Timestamp::now().duration_since(begun).as_secs());
    let say = |what: &str| println!("[{:5.1} s] {what}", started.elapsed().as_secs_f64());
    let end = Timestamp::from_second(Timestamp::now().as_second().div_euclid(300) * 300)?;
    let load = match &arguments.trace {
        Some(file) => load::trace(file, end)?,
        None => load::model(end, DAYS, SEED),
    };
    let moments =
        load::story(&load).ok_or("the trace is shorter than five days; the demo needs that much")?;

    say("starting a local AWS");
    let folder = root().join("target/demo");
    let server = Server::start(&folder, options(arguments.real)).await?;
    say("deploying template.yaml with the AWS CLI");
    let template = deploy::template_of(&deploy::built()?, &folder)?;
    let packaged = deploy::package(&server, &template).await?;
    let machine = deploy::deploy_headroom(&server, &packaged, "shop").await?;
    say("creating the shop: a table, an ECS service, an EC2 Auto Scaling group");
    let shop = Shop::new("shop");
    let before = load.at(moments[0] - SignedDuration::from_mins(5)).unwrap_or(0.5);
    shop.create(&server, Capacity::at_target(before)).await?;
    let endpoint = HealthEndpoint::start().await?;
    let platform = publish(&server, &shop.platform(&endpoint.url)?).await?;
    let source = arguments
        .trace
        .as_ref()
        .map_or("a model of its traffic".to_owned(), |file| file.display().to_string());
    say(&format!("publishing two weeks of its metrics, from {source}"));
    shop.seed(&server.aws, &load, moments[0] - HISTORY, moments[0], None).await?;
    have_started(arguments.real, say).await;

    let cycle_max = if arguments.real { REAL_CYCLE_MAX } else { CYCLE_MAX };
    let teller = Teller {
        server: &server,
        machine: &machine,
        shop: &shop,
        platform: &platform,
        load: &load,
        cycle_max,
    };
    // What a trace asks for is not known before.
    let of_load = |known: Expected| if arguments.trace.is_some() { Expected::Anything } else { known };
    say("cycle 1: the load is about to rise");
    teller.cycle("rise", moments[0], of_load(Expected::Out)).await?;
    say("cycle 2: the load has fallen");
    teller.advance(moments[0], moments[1]).await?;
    teller.cycle("fall", moments[1], of_load(Expected::In)).await?;
    // Whatever the load, the web tier has to change for its failing health to matter.
    teller.advance(moments[1], moments[2]).await?;
    let web = shop.capacity(&server.aws).await?.web;
    let servers = if web + 2 <= SERVERS_MAX { web + 2 } else { web - 2 };
    say(&format!(
        "cycle 3: the load is about to rise again and a person asks for {servers} servers instead of {web}, but the shop's health endpoint fails"
    ));
    endpoint.set(false);
    teller.cycle("sick", moments[2], Expected::RolledBack { servers }).await?;
    endpoint.set(true);

    if arguments.keep {
        keep(&server, &machine).await?;
    }
    say(
        "done: every cycle ended as it should, with the capacity that it should have; stopping the local AWS",
    );
    if let Some(waited_s) = waited_s {
        println!(
            "          {waited_s} s passed before, with the tools and the build of what was not built yet"
        );
    }
    Ok(())
}

async fn publish(server: &Server, text: &str) -> Result<Platform> {
    let parsed = headroom_core::config::parse(text)?;
    let store = headroom_aws::config_source::ParameterStore::new(&server.aws);
    store.publish(&parsed.platform.name, text, Some(deploy::BUCKET)).await?;
    Ok(parsed.platform)
}

/// Runs cycles, tells what they did, and checks it.
struct Teller<'a> {
    server: &'a Server,
    machine: &'a str,
    shop: &'a Shop,
    platform: &'a Platform,
    load: &'a Series,
    cycle_max: Duration,
}

impl Teller<'_> {
    /// Lets time go by: the load goes on, on the capacity that there is now.
    async fn advance(&self, from: Timestamp, to: Timestamp) -> Result<()> {
        let capacity = self.capacity().await?;
        self.shop.seed(&self.server.aws, self.load, from, to, Some(capacity)).await
    }

    async fn capacity(&self) -> Result<Capacity> {
        self.shop.capacity(&self.server.aws).await
    }

    async fn cycle(&self, name: &str, now: Timestamp, expected: Expected) -> Result<()> {
        let before = self.capacity().await?;
        let failed_with = self.run(name, now, expected).await?;
        let table = |name: &str| {
            let name = format!("headroom-{}-{name}", self.shop.name);
            DynamoTable::new(&self.server.aws.dynamodb(), name, &self.server.aws.meter)
        };
        let store = Store::new(table("state"), table("demand-forecasts"), table("scaling-decisions"));
        let platform = PlatformName(self.shop.name.clone());
        let records = store.records(&platform, 1).await?;
        let story = records.first().map(|story| story.as_record(&platform));
        let story = story.ok_or_else(|| format!("nothing is stored about cycle {name}"))?;
        println!("{}", indented(&explain(&story)));
        let after = self.capacity().await?;
        println!("    Capacity in AWS now: {after}\n");
        let outcome = story.outcome.filter(|outcome| outcome.cycle_id.0 == name);
        let outcome = outcome.ok_or_else(|| format!("no outcome of cycle {name} is stored"))?;
        let cycle = Cycle { failed_with: failed_with.as_deref(), outcome, plan: story.plan, before, after };
        match faults(self.shop, self.platform, expected, &cycle) {
            faults if faults.is_empty() => Ok(()),
            faults => Err(format!("cycle {name} is not as it must be:\n  {}", faults.join("\n  ")).into()),
        }
    }

    /// Runs an execution; answers the error that it failed with.
    async fn run(&self, name: &str, now: Timestamp, expected: Expected) -> Result<Option<String>> {
        let mut input = json!({"platform": self.shop.name, "now": now.to_string()});
        if let (Expected::RolledBack { servers }, Some(input)) = (expected, input.as_object_mut()) {
            let dimension = format!("{}/desired", self.shop.web());
            input.insert("capacity".to_owned(), json!({dimension: servers}));
        }
        let input = input.to_string();
        println!("          start-execution --input '{input}'");
        let started = Instant::now();
        let executions = StepFunctions::new(&self.server.aws.sfn());
        let arn = executions.start(self.machine, Some(name), &input).await?;
        let ended = executions.wait(&arn, self.cycle_max).await?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(match ended {
            Ended::Succeeded(_) => {
                println!("          the execution succeeded in {seconds:.1} s\n");
                None
            }
            Ended::Failed { error, .. } => {
                println!("          the execution failed in {seconds:.1} s: {error}\n");
                Some(error)
            }
        })
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }).collect()
}

async fn keep(server: &Server, machine: &str) -> Result<()> {
    // `make demo KEEP=1` builds it with the commands for an account.
    let headroom = deploy::built()?.join("headroom");
    let headroom = headroom.display();
    println!("The local AWS keeps running. Look around with any AWS tool, for example:\n");
    for (name, value) in server.variables() {
        println!("  export {name}={value}");
    }
    println!("  .venv/bin/aws stepfunctions list-executions --state-machine-arn {machine}");
    println!("  .venv/bin/aws dynamodb scan --table-name headroom-shop-scaling-decisions --max-items 3");
    println!("  {headroom} explain shop --last 3");
    println!("  {headroom} run shop --dry-run --state-machine-arn {machine}");
    println!("\nCtrl-C stops it.");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
