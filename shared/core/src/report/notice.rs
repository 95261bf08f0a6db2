//! Notices to people: what happened, what it means, what to do; and how often the same is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::ending_name;
use crate::alert::Raised;
use crate::cycle::Cycle;
use crate::settle::{Ending, Outcome};

/// The same cause is told once in so long.
const QUIET: Duration = Duration::from_secs(3_600);
/// What lasts until somebody does something is told again once a day.
const LASTING_QUIET: Duration = Duration::from_secs(86_400);

/// When people were last told, by cause.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Told(pub BTreeMap<String, Timestamp>);

impl Told {
    /// Whether anything of an outcome is to be told: a cause that was not told within the hour. That a platform stopped, or goes
    /// on, is always told: it happens once for each time that a person has to look.
    pub fn is_due(&self, outcome: &Outcome, now: Timestamp) -> bool {
        let always = matches!(outcome.outcome, Ending::NeedsHuman | Ending::Resumed);
        always
            || outcome
                .causes()
                .iter()
                .any(|cause| !self.0.get(cause).is_some_and(|at| is_recent(cause, *at, now)))
    }

    /// The same after an outcome was told. What is longer ago than it matters is forgotten.
    pub fn with(&self, outcome: &Outcome, now: Timestamp) -> Told {
        let mut told = self.0.clone();
        told.retain(|cause, at| is_recent(cause, *at, now));
        for cause in outcome.causes() {
            told.entry(cause).or_insert(now);
        }
        Told(told)
    }
}

fn is_recent(cause: &str, at: Timestamp, now: Timestamp) -> bool {
    let quiet = if cause.starts_with(Raised::LASTING) { LASTING_QUIET } else { QUIET };
    // A time that is still to come was written by a clock that goes wrong, and silences nobody.
    let age = now.duration_since(at);
    !age.is_negative() && age.unsigned_abs() < quiet
}

/// A notice, in the forms that its readers take.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// A line.
    pub subject: String,
    /// For people, by e-mail.
    pub text: String,
    /// For programs.
    pub record: Json,
    /// For chat channels: the custom notification of Amazon Q Developer in chat applications (once AWS Chatbot), which drops every
    /// other form: <https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html>.
    pub chat: Json,
}

/// What an ending means for whoever is told of it.
struct Advice {
    means: &'static str,
    /// `PLATFORM` stands for the platform's name.
    commands: &'static [&'static str],
    /// The heading in docs/runbook.md.
    runbook: &'static str,
}

fn advice(ending: Ending) -> Advice {
    match ending {
        Ending::NeedsHuman => Advice {
            means: "Something could not be rolled back. No cycle acts until a person has looked; capacity stands as it is.",
            commands: &["headroom explain PLATFORM --last 5", "headroom run PLATFORM --task resume"],
            runbook: "needs_human",
        },
        Ending::RolledBack => Advice {
            means: "A step failed or a wave was not healthy. Everything begun was rolled back, and the next cycle may try again.",
            commands: &["headroom explain PLATFORM", "headroom pause PLATFORM --for 2h"],
            runbook: "A rollback",
        },
        Ending::Stopped => Advice {
            means: "A step failed or a wave was not healthy. What was begun stands, because the file says so.",
            commands: &["headroom explain PLATFORM", "headroom pause PLATFORM --for 2h"],
            runbook: "A cycle failed",
        },
        Ending::Failed => Advice {
            means: "The cycle failed before it changed anything. The next one starts afresh; if it happens again, look for the cause.",
            commands: &["headroom status PLATFORM"],
            runbook: "A cycle failed",
        },
        Ending::Recovered => Advice {
            means: "An earlier cycle was ended before it had settled. What it had begun was rolled back.",
            commands: &["headroom explain PLATFORM --last 2"],
            runbook: "A cycle was ended",
        },
        Ending::RolledBackByHand => Advice {
            means: "A person asked for a plan to be rolled back, and it was. The next cycle decides again, and may decide the same.",
            commands: &["headroom explain PLATFORM", "headroom pause PLATFORM --for 2h"],
            runbook: "A wrong plan",
        },
        Ending::ScaledPartly => Advice {
            means: "Somebody else changed the capacity meanwhile, so some steps were not made. The next cycle decides again.",
            commands: &["headroom explain PLATFORM"],
            runbook: "It does not scale",
        },
        Ending::Resumed => Advice {
            means: "A person has looked, and the next cycle acts again.",
            commands: &["headroom status PLATFORM"],
            runbook: "needs_human",
        },
        Ending::Held | Ending::Withheld | Ending::Scaled | Ending::Trained | Ending::Skipped => Advice {
            means: "The cycle did what it should. What happened is worth knowing, and may need something of a person.",
            commands: &["headroom explain PLATFORM --last 3"],
            runbook: "An alert",
        },
    }
}

/// What people are told of a cycle.
pub fn notice(cycle: &Cycle, outcome: &Outcome) -> Notice {
    let alerts: Vec<&str> = outcome.alerts.iter().map(|raised| raised.name.as_str()).collect();
    let name = if outcome.outcome.is_news() { ending_name(outcome) } else { alerts.join(", ") };
    let subject = format!("Headroom {}: {name}", cycle.platform);
    let advice = advice(outcome.outcome);
    let commands: Vec<String> =
        advice.commands.iter().map(|command| command.replace("PLATFORM", &cycle.platform.0)).collect();
    let link = console(&cycle.execution);
    Notice {
        text: text(outcome, &advice, &commands, link.as_deref()),
        chat: chat(&subject, outcome, &advice, &commands, link.as_deref()),
        record: record(cycle, outcome, &advice, &commands, link.as_deref()),
        subject,
    }
}

/// What happened: the summary, and each alert.
fn happened(outcome: &Outcome) -> String {
    let mut told = outcome.summary.clone();
    for raised in &outcome.alerts {
        let action = raised.action.as_ref().map(|action| format!(" ({action})")).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(told, "\n{}: {}{action}", raised.name, raised.sentence);
    }
    told
}

fn text(outcome: &Outcome, advice: &Advice, commands: &[String], link: Option<&str>) -> String {
    let commands: String = commands.iter().map(|command| format!("  {command}\n")).collect();
    let link = link.map(|link| format!("The execution: {link}\n")).unwrap_or_default();
    format!(
        "What happened\n{}\n\nWhat it means\n{}\n\nWhat to do\n{commands}In the runbook: {}\n\n{link}Started by {}, cycle {}\n",
        happened(outcome),
        advice.means,
        advice.runbook,
        outcome.trigger,
        outcome.cycle_id,
    )
}

fn chat(subject: &str, outcome: &Outcome, advice: &Advice, commands: &[String], link: Option<&str>) -> Json {
    /// A chat shows no more, and the notice by e-mail has the rest.
    const LETTERS_MAX: usize = 2_000;
    let happened: String = happened(outcome).chars().take(LETTERS_MAX).collect();
    let steps = commands.iter().map(|command| format!("`{command}`"));
    let steps = steps.chain([format!("Runbook: {}", advice.runbook)]);
    let steps: Vec<String> = steps.chain(link.map(|link| format!("<{link}|The execution>"))).collect();
    let mut notification = json!({
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": subject,
            "description": format!("{happened}\n\n{}", advice.means),
            "nextSteps": steps,
        },
        "metadata": {"threadId": outcome.cycle_id, "summary": subject},
    });
    // Builds with other features of serde_json would send another order.
    notification.sort_all_objects();
    notification
}

fn record(
    cycle: &Cycle,
    outcome: &Outcome,
    advice: &Advice,
    commands: &[String],
    link: Option<&str>,
) -> Json {
    json!({
        "platform": cycle.platform,
        "cycle": outcome.cycle_id,
        "outcome": outcome.outcome,
        "trigger": outcome.trigger.to_string(),
        "summary": outcome.summary,
        "meaning": advice.means,
        "commands": commands,
        "runbook": advice.runbook,
        "console": link,
        "alerts": outcome.alerts,
        "plan": outcome.plan_id,
        "steps": outcome.steps,
    })
}

/// The page of an execution in the console, from its ARN.
fn console(execution: &str) -> Option<String> {
    let mut parts = execution.split(':');
    let (partition, region) = (parts.nth(1)?, parts.nth(1)?);
    let domain = match partition {
        "aws-cn" => "console.amazonaws.cn",
        "aws-us-gov" => "console.amazonaws-us-gov.com",
        _ => "console.aws.amazon.com",
    };
    Some(format!("https://{region}.{domain}/states/home?region={region}#/v2/executions/details/{execution}"))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::cycle::{Execution, Input, SettleRequest};
    use crate::settle;
    use crate::trigger::Trigger;

    const ENDINGS: [Ending; 13] = [
        Ending::Held,
        Ending::Withheld,
        Ending::Scaled,
        Ending::ScaledPartly,
        Ending::Trained,
        Ending::Skipped,
        Ending::Resumed,
        Ending::Recovered,
        Ending::RolledBackByHand,
        Ending::RolledBack,
        Ending::Stopped,
        Ending::NeedsHuman,
        Ending::Failed,
    ];

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn cycle() -> Cycle {
        let input = Input::read(&json!({"platform": "shop"})).unwrap();
        let arn = "arn:aws:states:eu-central-1:123456789012:execution:headroom-shop:abc".to_owned();
        Cycle::new(&input, &Execution { name: "abc".into(), arn, started_at: at(0) })
    }

    fn outcome(ending: Ending, error: Option<&str>, alerts: &[&str]) -> Outcome {
        let request: SettleRequest = serde_json::from_value(json!({
            "input": {"platform": "shop"},
            "execution": {"name": "abc", "arn": "arn", "startedAt": at(0)},
            "at": at(0),
            "usage": {},
        }))
        .unwrap();
        let raised = |name: &&str| Raised {
            name: (*name).to_owned(),
            sentence: "scaling events in the last hour: 11, above 10".to_owned(),
            action: Some("look".to_owned()),
            lasting: name.starts_with("Lasting"),
        };
        Outcome {
            outcome: ending,
            error: error.map(str::to_owned),
            summary: "rolled back (1 steps): GET /health: answered 503".to_owned(),
            alerts: alerts.iter().map(raised).collect(),
            ..settle::outcome(&request, Trigger::default(), None, &[])
        }
    }

    #[test]
    fn a_notice_says_what_happened_what_it_means_and_what_to_do() {
        let told = notice(&cycle(), &outcome(Ending::RolledBack, Some("RolledBack"), &["FrequentScaling"]));
        assert_eq!(told.subject, "Headroom shop: rolled back");
        expect![[r#"
            What happened
            rolled back (1 steps): GET /health: answered 503
            FrequentScaling: scaling events in the last hour: 11, above 10 (look)

            What it means
            A step failed or a wave was not healthy. Everything begun was rolled back, and the next cycle may try again.

            What to do
              headroom explain shop
              headroom pause shop --for 2h
            In the runbook: A rollback

            The execution: https://eu-central-1.console.aws.amazon.com/states/home?region=eu-central-1#/v2/executions/details/arn:aws:states:eu-central-1:123456789012:execution:headroom-shop:abc
            Started by by hand, cycle abc
        "#]].assert_eq(&told.text);
        expect![[r#"
            {
              "content": {
                "description": "rolled back (1 steps): GET /health: answered 503\nFrequentScaling: scaling events in the last hour: 11, above 10 (look)\n\nA step failed or a wave was not healthy. Everything begun was rolled back, and the next cycle may try again.",
                "nextSteps": [
                  "`headroom explain shop`",
                  "`headroom pause shop --for 2h`",
                  "Runbook: A rollback",
                  "<https://eu-central-1.console.aws.amazon.com/states/home?region=eu-central-1#/v2/executions/details/arn:aws:states:eu-central-1:123456789012:execution:headroom-shop:abc|The execution>"
                ],
                "textType": "client-markdown",
                "title": "Headroom shop: rolled back"
              },
              "metadata": {
                "summary": "Headroom shop: rolled back",
                "threadId": "abc"
              },
              "source": "custom",
              "version": "1.0"
            }"#]].assert_eq(&format!("{:#}", told.chat));
    }

    #[test]
    fn every_notice_names_commands_and_an_entry_of_the_runbook() {
        let runbook = include_str!("../../../../docs/runbook.md");
        for ending in ENDINGS {
            let told = notice(&cycle(), &outcome(ending, None, &["A"]));
            let heading = told.record["runbook"].as_str().unwrap();
            assert!(runbook.contains(&format!("\n## {heading}\n")), "{ending:?}: no entry {heading}");
            let commands = told.record["commands"].as_array().unwrap();
            assert!(!commands.is_empty() && told.text.contains(commands[0].as_str().unwrap()), "{ending:?}");
            assert!(!told.text.contains("PLATFORM"), "{ending:?}");
        }
    }

    #[test]
    fn a_cause_is_told_once_an_hour() {
        let rolled_back = outcome(Ending::RolledBack, Some("RolledBack"), &[]);
        let told = Told::default();
        assert!(told.is_due(&rolled_back, at(0)));
        let told = told.with(&rolled_back, at(0));
        assert!(!told.is_due(&rolled_back, at(3_599)), "the same within the hour");
        assert!(told.is_due(&rolled_back, at(3_600)));
        assert!(told.is_due(&outcome(Ending::Failed, Some("Denied"), &[]), at(300)), "something else");
        assert!(
            told.is_due(&outcome(Ending::RolledBack, Some("RolledBack"), &["A"]), at(300)),
            "an alert with it"
        );
        let denied = told.with(&outcome(Ending::Failed, Some("Denied"), &[]), at(300));
        assert!(denied.is_due(&outcome(Ending::Failed, Some("Throttled"), &[]), at(600)), "another error");
        // An hour counts from when it was told, and not from when it would have been told again.
        assert!(told.with(&rolled_back, at(1_800)).is_due(&rolled_back, at(3_600)));
        assert!(!told.is_due(&outcome(Ending::Held, None, &[]), at(9_000)), "no news");
        assert!(told.is_due(&rolled_back, at(-60)), "a clock that goes wrong silences nobody");
    }

    #[test]
    fn what_lasts_is_told_once_a_day() {
        let lasting = outcome(Ending::Held, None, &["LastingBudget"]);
        let told = Told::default().with(&lasting, at(0));
        assert!(!told.is_due(&lasting, at(86_399)) && told.is_due(&lasting, at(86_400)));
        let both = outcome(Ending::Held, None, &["LastingBudget", "LastingBreaker"]);
        assert!(told.is_due(&both, at(300)), "another one");
    }

    #[test]
    fn a_stop_and_its_end_are_always_told() {
        for (ending, error) in [(Ending::NeedsHuman, Some("NeedsHuman")), (Ending::Resumed, None)] {
            let stopped = outcome(ending, error, &[]);
            assert!(Told::default().with(&stopped, at(0)).is_due(&stopped, at(300)), "{ending:?}");
        }
    }

    #[test]
    fn the_console_of_each_partition_has_its_own_name() {
        let link = |partition: &str| console(&format!("arn:{partition}:states:r-1:1:execution:m:a")).unwrap();
        assert!(link("aws").starts_with("https://r-1.console.aws.amazon.com/states/home?region=r-1#/v2/"));
        assert!(link("aws-cn").starts_with("https://r-1.console.amazonaws.cn/"));
        assert!(link("aws-us-gov").starts_with("https://r-1.console.amazonaws-us-gov.com/"));
        assert_eq!(console("arn"), None);
    }
}
