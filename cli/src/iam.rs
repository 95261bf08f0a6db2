//! `headroom iam`.

use std::path::PathBuf;
use std::process::ExitCode;

use headroom_core::config::parse;
use headroom_core::iam::{Place, policies};

use crate::output::say;
use crate::validate::read;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The platform file; `-` for standard input.
    file: PathBuf,
    /// The account's twelve digits.
    #[arg(long, value_parser = account)]
    account: String,
    /// The region of the resources.
    #[arg(long, env = "AWS_REGION")]
    region: String,
    /// The partition: aws, aws-cn or aws-us-gov.
    #[arg(long, default_value = "aws")]
    partition: String,
    /// Which policy to print, from 1 on, of a platform that needs several.
    #[arg(long)]
    part: Option<usize>,
}

/// Twelve digits.
fn account(text: &str) -> Result<String, String> {
    let is_account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_account.then(|| text.to_owned()).ok_or_else(|| "an account has twelve digits".to_owned())
}

/// Prints a policy as IAM takes it.
pub(crate) fn iam(arguments: &Arguments) -> Result<ExitCode, String> {
    let Arguments { file, account, region, partition, part } = arguments;
    let name = file.display();
    let platform = parse(&read(file)?).map_err(|faults| format!("{name}: {faults}"))?.platform;
    let place = Place { partition: partition.clone(), region: region.clone(), account: account.clone() };
    let policies = policies(&platform, &place).map_err(|error| format!("{name}: {error}"))?;
    let part = match (part, policies.len()) {
        (Some(part), _) => *part,
        (None, 1) => 1,
        (None, several) => {
            return Err(format!(
                "{name}: needs {several} policies; print each with --part 1 to --part {several}"
            ));
        }
    };
    let policy = part.checked_sub(1).and_then(|index| policies.get(index));
    let policy = policy
        .ok_or_else(|| format!("{name}: needs {} policies, and none is number {part}", policies.len()))?;
    say(serde_json::to_string_pretty(policy).map_err(|error| error.to_string())?)?;
    Ok(ExitCode::SUCCESS)
}
