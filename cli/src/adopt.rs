//! `headroom adopt`: what an account has already becomes a platform file. Nothing is changed in the account.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Args};
use headroom_aws::discovery::{Wanted, discover};
use headroom_aws::sdk::Aws;
use headroom_core::adopt::back_test::{BackTest, DAYS, back_test};
use headroom_core::adopt::inventory::Inventory;
use headroom_core::adopt::{Asked, Proposal, bill, platform_name, propose, tagged_platform, text};
use headroom_core::config::parse;
use headroom_core::name::PlatformName;
use headroom_core::platform::Platform;
use headroom_core::report::SCHEMA;
use headroom_core::simulate::measured::steering_metrics;
use jiff::Timestamp;
use serde_json::json;

use crate::account::{self, Form};
use crate::output::say;

/// What to look for, and where to put the file.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("wanted").required(true).multiple(true)))]
pub(crate) struct Arguments {
    /// Resources with this tag. Given several times, a resource must carry all of them.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag, group = "wanted")]
    tags: Vec<(String, String)>,
    /// Resources of this CloudFormation stack, and of the stacks within it.
    #[arg(long = "stack", value_name = "NAME", group = "wanted")]
    stacks: Vec<String>,
    /// A resource, by name or ARN; an ECS service as CLUSTER/SERVICE. What tags, stacks and names find is added up.
    #[arg(long = "name", value_name = "NAME", group = "wanted")]
    names: Vec<String>,
    /// The name of the platform. Default what the tag `headroom` says, the value of the first tag, the first stack, or `adopted`.
    #[arg(long, value_name = "NAME")]
    platform: Option<String>,
    /// The file to write.
    #[arg(long, value_name = "FILE", default_value = "platform.yaml")]
    output: PathBuf,
    /// Replaces the file if it is there already.
    #[arg(long)]
    force: bool,
    /// Does not replay the newest weeks from CloudWatch, which takes most of the time.
    #[arg(long)]
    no_back_test: bool,
    #[command(flatten)]
    form: Form,
}

fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be KEY=VALUE".to_owned()),
    }
}

impl Arguments {
    fn platform(&self, inventory: &Inventory) -> PlatformName {
        if let Some(name) = &self.platform {
            return platform_name(name);
        }
        let of_tag = || self.tags.first().map(|(_, value)| value);
        let asked = || platform_name(of_tag().or_else(|| self.stacks.first()).map_or("", String::as_str));
        tagged_platform(inventory).unwrap_or_else(asked)
    }

    /// What is looked for, in words.
    fn told(&self) -> String {
        let tags = self.tags.iter().map(|(key, value)| format!("the tag {key}={value}"));
        let stacks = self.stacks.iter().map(|stack| format!("the stack {stack}"));
        let names = self.names.iter().map(|name| format!("the name {name}"));
        tags.chain(stacks).chain(names).collect::<Vec<_>>().join(" and ")
    }

    fn asked(&self, inventory: &Inventory, now: Timestamp) -> Asked {
        let day = now.to_string().chars().take_while(|letter| *letter != 'T').collect();
        Asked { platform: self.platform(inventory), what: self.told(), day }
    }
}

pub(crate) async fn run(aws: &Aws, arguments: &Arguments) -> Result<ExitCode, String> {
    let file = &arguments.output;
    if !arguments.force && file.exists() {
        return Err(format!(
            "{} is there already; --force replaces it, --output names another",
            file.display()
        ));
    }
    let Arguments { tags, stacks, names, .. } = arguments;
    let wanted = Wanted { tags: tags.clone(), stacks: stacks.clone(), names: names.clone() };
    let progress = |what: &str| eprintln!("{what} ...");
    let inventory = discover(aws, &wanted, &progress).await.map_err(|error| error.to_string())?;
    let now = Timestamp::now();
    let asked = arguments.asked(&inventory, now);
    let proposal = propose(&asked, &inventory).map_err(|error| error.to_string())?;
    write(file, &proposal.yaml, arguments.force)?;
    let name = file.display();
    let parsed = parse(&proposal.yaml)
        .map_err(|faults| format!("{name} was written and is not valid, which should not be:\n{faults}"))?;
    parsed.warnings.iter().for_each(|warning| eprintln!("{name}:{warning} (warning)"));
    let adopted = Adopted { asked, file, proposal, platform: parsed.platform };
    if arguments.form.json {
        let told = if arguments.no_back_test { None } else { Some(adopted.back_test(aws, now, false).await) };
        say(adopted.as_json(told))?;
        return Ok(ExitCode::SUCCESS);
    }
    // What is known is told at once: the replay takes its time.
    adopted.tell()?;
    if !arguments.no_back_test {
        match adopted.back_test(aws, now, true).await {
            Ok(told) => say(text::back_test(&told).trim_end())?,
            Err(why) => say(format_args!("not replayed: {why}"))?,
        }
    }
    adopted.tell_rest()?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the file, and never over another one unless that was asked for.
fn write(file: &Path, text: &str, force: bool) -> Result<(), String> {
    let named = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut options = std::fs::OpenOptions::new();
    let options = if force { options.create(true).truncate(true) } else { options.create_new(true) };
    options.write(true).open(file).and_then(|mut file| file.write_all(text.as_bytes())).map_err(named)
}

/// What an account became.
struct Adopted<'a> {
    asked: Asked,
    file: &'a Path,
    proposal: Proposal,
    platform: Platform,
}

impl Adopted<'_> {
    fn tell(&self) -> Result<(), String> {
        let (resources, dimensions) = (self.platform.resources().count(), self.platform.dimensions().count());
        say(format_args!(
            "{} is written: {} with {resources} resources and {dimensions} dimensions, in phase observe\n",
            self.file.display(),
            self.asked.platform
        ))?;
        say(text::arrangement(&self.proposal))
    }

    fn tell_rest(&self) -> Result<(), String> {
        say(text::bill(bill(&self.platform)))?;
        say(text::to_do(&self.proposal.tagging, &self.asked.platform).trim_end())?;
        say("nothing was changed in the account")
    }

    /// The newest weeks, from CloudWatch.
    async fn back_test(&self, aws: &Aws, now: Timestamp, bar: bool) -> Result<BackTest, String> {
        eprintln!("reads {DAYS} days of metrics and replays them ...");
        let asked = steering_metrics(&self.platform, None);
        let span = Duration::from_secs(DAYS * 86_400);
        let loads = account::history(aws, &self.platform, &asked, now, span).await?;
        let mut progress = crate::simulate::progress();
        let mut heard = |done, of| {
            if bar {
                progress(done, of);
            }
        };
        back_test(&self.platform, loads, &mut heard).map_err(|error| error.to_string())
    }

    fn as_json(&self, told: Option<Result<BackTest, String>>) -> serde_json::Value {
        let (told, why) = match told {
            Some(Ok(told)) => (Some(told), None),
            Some(Err(why)) => (None, Some(why)),
            None => (None, None),
        };
        json!({
            "schema": SCHEMA, "platform": self.asked.platform, "file": self.file, "proposal": self.proposal,
            "back_test": told, "not_replayed": why, "bill": bill(&self.platform),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use headroom_core::adopt::inventory::Found;
    use headroom_core::resource::ResourceKind;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parsed(words: &str) -> Option<Arguments> {
        let words = ["adopt"].into_iter().chain(words.split_whitespace());
        Line::try_parse_from(words).ok().map(|line| line.arguments)
    }

    #[test]
    fn the_platform_is_called_after_what_is_looked_for() {
        let mut inventory = Inventory::default();
        let name = |words: &str| parsed(words).unwrap().platform(&Inventory::default()).0;
        assert_eq!(name("--tag app=my:shop --stack s"), "my-shop");
        assert_eq!(name("--stack shop-prod --name api"), "shop-prod");
        assert_eq!(name("--name prod/api"), "adopted");
        assert_eq!(name("--name prod/api --platform shop"), "shop");
        let mut table = Found::new(ResourceKind::DynamoDbTable, "orders", "arn");
        table.tags.insert("headroom".into(), "shop".into());
        inventory.found.push(table);
        assert_eq!(parsed("--tag app=x").unwrap().platform(&inventory).0, "shop");
        let told = parsed("--tag app=shop --tag env=prod --name prod/api").unwrap().told();
        assert_eq!(told, "the tag app=shop and the tag env=prod and the name prod/api");
    }

    #[test]
    fn something_must_be_looked_for() {
        assert!(parsed("").is_none());
        assert!(parsed("--tag app").is_none());
        assert!(parsed("--tag =shop").is_none());
    }

    #[test]
    fn a_file_that_is_there_is_replaced_only_if_asked_for() {
        let file = std::env::temp_dir().join(format!("headroom-adopt-{}.yaml", std::process::id()));
        let read = || std::fs::read_to_string(&file).unwrap();
        write(&file, "the first, which is longer", true).unwrap();
        assert!(write(&file, "second", false).is_err());
        assert_eq!(read(), "the first, which is longer");
        write(&file, "second", true).unwrap();
        assert_eq!(read(), "second");
        std::fs::remove_file(&file).unwrap();
        write(&file, "new", false).unwrap();
        std::fs::remove_file(&file).unwrap();
    }
}
