//! Commands about what is kept between cycles: pause, unpause, override, status.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use headroom_aws::config_source::{ConfigSource, ParameterStore};
use headroom_aws::sdk::Aws;
use headroom_aws::store::Store;
use headroom_aws::table::DynamoTable;
use headroom_core::config::parse;
use headroom_core::name::{DimensionKey, PlatformName};
use headroom_core::platform::Platform;
use headroom_core::report::{Status, status, status_json};
use headroom_core::scalar::Span;
use headroom_core::state::{InvalidRequest, OperatorRequests, Override, Pause};
use headroom_core::units::{Direction, Units};
use jiff::Timestamp;

use crate::account::Form;
use crate::output::say;

/// What is paused, and for how long.
#[derive(Debug, Args)]
pub(crate) struct PauseArguments {
    /// The platform.
    platform: String,
    /// Only this group.
    #[arg(long)]
    group: Option<String>,
    /// Only this resource.
    #[arg(long)]
    resource: Option<String>,
    /// Only this direction.
    #[arg(long)]
    direction: Option<Way>,
    #[command(flatten)]
    term: Term,
    #[command(flatten)]
    form: Form,
}

/// What must be there, and for how long.
#[derive(Debug, Args)]
pub(crate) struct OverrideArguments {
    /// The platform.
    platform: String,
    /// At least so many units, such as `web/desired=12`; 0 ends an override.
    #[arg(value_parser = floor, value_name = "DIMENSION=UNITS")]
    floor: (DimensionKey, Units),
    #[command(flatten)]
    term: Term,
    #[command(flatten)]
    form: Form,
}

/// For how long, and why.
#[derive(Debug, Args)]
struct Term {
    /// For how long, such as `90m` or `2h`; it then ends by itself.
    #[arg(long = "for", value_parser = str::parse::<Span>, value_name = "TIME")]
    lasts: Span,
    /// Who asks, or why; it stands in every decision that it changes.
    #[arg(long, env = "USER", hide_env_values = true, default_value = "somebody")]
    by: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    /// Nothing is taken away.
    In,
    /// Nothing is added.
    Out,
}

fn floor(text: &str) -> Result<(DimensionKey, Units), String> {
    let (key, units) = text.split_once('=').ok_or("write DIMENSION=UNITS, such as web/desired=12")?;
    let key = key.parse::<DimensionKey>().map_err(|error| error.to_string())?;
    let units = units.parse().map_err(|_| format!("`{units}` is not a number of units"))?;
    Ok((key, Units(units)))
}

impl Term {
    fn until(&self, now: Timestamp) -> Timestamp {
        now.checked_add(self.lasts.0).unwrap_or(Timestamp::MAX)
    }
}

pub(crate) async fn pause(aws: &Aws, arguments: PauseArguments) -> Result<ExitCode, String> {
    let now = Timestamp::now();
    let pause = Pause {
        group: arguments.group.as_deref().map(Into::into),
        resource: arguments.resource.as_deref().map(Into::into),
        direction: arguments.direction.map(|way| match way {
            Way::In => Direction::In,
            Way::Out => Direction::Out,
        }),
        until: arguments.term.until(now),
        by: arguments.term.by,
    };
    let name = PlatformName(arguments.platform);
    ask(aws, &name, now, arguments.form, |requests, platform| requests.paused(platform, pause, now)).await
}

pub(crate) async fn unpause(aws: &Aws, name: &PlatformName, form: Form) -> Result<ExitCode, String> {
    let now = Timestamp::now();
    ask(aws, name, now, form, |requests, _| Ok(requests.unpaused(now))).await
}

pub(crate) async fn override_floor(aws: &Aws, arguments: OverrideArguments) -> Result<ExitCode, String> {
    let now = Timestamp::now();
    let (key, units) = arguments.floor;
    let until = arguments.term.until(now);
    let wanted = Override { key, units, until, by: arguments.term.by };
    let name = PlatformName(arguments.platform);
    ask(aws, &name, now, arguments.form, |requests, platform| requests.overridden(platform, wanted, now))
        .await
}

pub(crate) async fn tell(aws: &Aws, name: &PlatformName, form: Form) -> Result<ExitCode, String> {
    tell_at(aws, name, &published(aws, name).await?, Timestamp::now(), form).await
}

/// Changes what people asked for, and tells what is kept then. It counts from the next decision on.
async fn ask(
    aws: &Aws,
    name: &PlatformName,
    now: Timestamp,
    form: Form,
    change: impl FnOnce(&OperatorRequests, &Platform) -> Result<OperatorRequests, InvalidRequest>,
) -> Result<ExitCode, String> {
    let platform = published(aws, name).await?;
    let store = store(aws, name);
    let read = store.requests(name).await.map_err(|error| error.to_string())?;
    let requests = change(&read.value, &platform).map_err(|error| error.to_string())?;
    store.put_requests(name, &read, &requests).await.map_err(|error| error.to_string())?;
    tell_at(aws, name, &platform, now, form).await
}

async fn tell_at(
    aws: &Aws,
    name: &PlatformName,
    platform: &Platform,
    now: Timestamp,
    form: Form,
) -> Result<ExitCode, String> {
    let store = store(aws, name);
    let stored = store.stored_state(name).await.map_err(|error| error.to_string())?;
    let newest = store.outcomes(name, 1).await.map_err(|error| error.to_string())?;
    let decisions = match newest.first() {
        Some((at, outcome)) => store.decisions(name, *at, &outcome.cycle_id).await,
        None => Ok(Vec::new()),
    };
    let decisions = &decisions.map_err(|error| error.to_string())?;
    let (lease, state) = (&stored.lease.value, &stored.state.value);
    let told = Status { platform, lease, state, decisions, now };
    if form.json {
        say(status_json(&told))?
    } else {
        say(status(&told).trim_end())?
    }
    Ok(ExitCode::SUCCESS)
}

async fn published(aws: &Aws, name: &PlatformName) -> Result<Platform, String> {
    let text = ParameterStore::new(aws).load(name).await.map_err(|error| error.to_string())?;
    let parsed = parse(&text).map_err(|faults| format!("the published file has faults:\n{faults}"))?;
    Ok(parsed.platform)
}

/// The tables of a platform's stack.
pub(crate) fn store(aws: &Aws, platform: &PlatformName) -> Store<DynamoTable> {
    let table =
        |name: &str| DynamoTable::new(&aws.dynamodb(), format!("headroom-{platform}-{name}"), &aws.meter);
    Store::new(table("state"), table("demand-forecasts"), table("scaling-decisions"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_is_read_as_people_write_it() {
        let check = |text: &str, expected: &str| {
            let read = floor(text).map_or_else(|error| error, |(key, units)| format!("{key} {units}"));
            assert_eq!(read, expected);
        };
        check("web/desired=12", "web/desired 12");
        check("users/by-email:write=0", "users/by-email:write 0");
        check("web=12", "`web` is not a dimension; write RESOURCE/DIMENSION, such as web/desired");
        check("web/desired=many", "`many` is not a number of units");
        check("web/desired", "write DIMENSION=UNITS, such as web/desired=12");
    }
}
