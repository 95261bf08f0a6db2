//! headroom: the command line.

#[cfg(feature = "aws")]
mod account;
#[cfg(feature = "aws")]
mod adopt;
#[cfg(feature = "aws")]
mod apply;
#[cfg(feature = "aws")]
mod cycle;
mod dashboard;
mod forecast;
mod iam;
mod manual;
mod output;
#[cfg(feature = "aws")]
mod policies;
mod policy;
#[cfg(feature = "aws")]
mod rollback;
mod simulate;
#[cfg(feature = "aws")]
mod state;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

/// Supplies capacity to a multi-tier AWS workload before demand arrives.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks a platform file and reports every fault with its line.
    Validate {
        /// The file; `-` for standard input.
        file: PathBuf,
        /// Also prints what each default came out as.
        #[arg(long)]
        explain: bool,
    },
    /// Answers JSON lines: what should the capacity be? See the manual for the protocol.
    Policy {
        /// The platform file; `-` is not possible here, the questions come on standard input.
        file: PathBuf,
        /// The resource, or `resource/dimension`.
        #[arg(long)]
        target: String,
    },
    /// Replays a load through the decision core, beside HPA, target tracking, AWS predictive scaling and others.
    Simulate(simulate::Arguments),
    /// Prints the policy of IAM with which the execute role may change this platform's resources and no others.
    Iam(iam::Arguments),
    /// Prints the body of a platform's CloudWatch dashboard, made from its file.
    Dashboard(dashboard::Arguments),
    /// Prints the JSON Schema of platform files, for editors.
    Schema,
    /// Forecasts series: one JSON object a line on standard input, one a line on standard output.
    Forecast,
    /// Prints a script with which a shell completes commands and options.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Writes manual pages, one for each command.
    Man {
        /// The folder; it is made if it is not there.
        folder: PathBuf,
    },
    /// Prints the reference of all commands, as docs/cli.md has it.
    #[command(hide = true)]
    Reference,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    Account(account::Command),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Validate { file, explain } => validate::validate(&file, explain),
        Command::Policy { file, target } => policy::policy(&file, &target),
        Command::Simulate(arguments) => simulate::simulate(&arguments),
        Command::Iam(arguments) => iam::iam(&arguments),
        Command::Dashboard(arguments) => dashboard::run(&arguments),
        Command::Schema => {
            output::say(format_args!("{:#}", headroom_core::config::schema())).map(|()| ExitCode::SUCCESS)
        }
        Command::Forecast => forecast::forecast(),
        Command::Completions { shell } => manual::completions(Arguments::command(), shell),
        Command::Man { folder } => manual::manual(Arguments::command(), &folder),
        Command::Reference => manual::reference(Arguments::command()),
        #[cfg(feature = "aws")]
        Command::Account(command) => account::run(command),
    };
    done.unwrap_or_else(|error| {
        eprintln!("headroom: {error}");
        ExitCode::FAILURE
    })
}
