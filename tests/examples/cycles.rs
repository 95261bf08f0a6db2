//! `make cycles`: random cycles of a shop on a local AWS that is slow and breaks, each told in a line, and checked.

#![expect(clippy::print_stdout, reason = "it is there to be read")]

use std::process::ExitCode;
use std::time::Instant;

use local_aws::random::Run;
use local_aws::server::{Options, Server};
use local_aws::{Result, deploy, root};

/// The shop's name, which nothing depends on.
const NAME: &str = "random";

fn arguments() -> Result<Run<'static>> {
    let mut run = Run { seed: 1, cycles: 200, name: NAME };
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        let number = given.next().ok_or_else(|| format!("{word} needs a number"))?;
        match word.as_str() {
            "--cycles" => run.cycles = number.parse()?,
            "--seed" => run.seed = number.parse()?,
            _ => return Err(format!("unknown argument {word}; known are --cycles N and --seed S").into()),
        }
    }
    Ok(run)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Whatever ends first ends the run; dropping the server stops it.
    let ended = tokio::select! {
        ended = cycles() => ended,
        _ = tokio::signal::ctrl_c() => Err("stopped by hand".into()),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("\ncycles: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the cycles; answers whether each was as it must be.
async fn cycles() -> Result<bool> {
    let run = arguments()?;
    let started = Instant::now();
    println!("{} random cycles from seed {}: starting a local AWS and deploying to it", run.cycles, run.seed);
    let folder = root().join("target/cycles");
    let server = Server::start(&folder, Options { wait_scale: 0.0, faults: true, pace: 0.0 }).await?;
    let template = deploy::template_of(&deploy::built()?, &folder)?;
    let packaged = deploy::package(&server, &template).await?;
    let summary = run.run(&server, &packaged, &mut |line| println!("{line}")).await?;
    println!("\n{} cycles from seed {} in {:.0} s:", run.cycles, run.seed, started.elapsed().as_secs_f64());
    println!("{}", summary.table());
    Ok(summary.violations.is_empty())
}
