//! Which rooms of this crate may use which: the top-level modules, and the edges between them.

use std::path::Path;

use headroom_rooms::{Room, differences};

/// Every room with the rooms that it uses. A room uses only what stands above it in this list, so there is no circle.
const ROOMS: &[Room<'_>] = &[
    ("name", ""),
    ("scalar", ""),
    ("text", ""),
    ("trigger", ""),
    ("units", ""),
    ("usage", ""),
    ("history", "name"),
    ("lease", "name"),
    ("order", "name"),
    ("resource", "name scalar units"),
    ("platform", "name resource scalar units"),
    ("calendar", "name platform scalar"),
    ("iam", "platform resource"),
    ("config", "name order platform resource scalar text units"),
    ("policies", "name platform resource units"),
    ("observe", "name platform units"),
    ("reason", "name platform scalar text units"),
    ("state", "name platform text units"),
    ("collect", "history name observe platform units"),
    ("forecast", "calendar collect history platform state units"),
    ("world", "forecast name observe platform state units"),
    ("demand", "calendar forecast observe platform reason state units world"),
    ("decide", "calendar demand forecast name observe platform reason resource state units world"),
    ("plan", "decide name platform resource units"),
    ("journal", "name plan"),
    ("rollback", "journal name observe plan units"),
    ("health", "journal observe plan platform units"),
    ("pilot", "calendar decide forecast name observe plan platform state units world"),
    ("alert", "journal name platform text"),
    ("cycle", "alert health history name plan platform text units usage"),
    ("simulate", "collect decide demand name pilot plan platform units"),
    ("settle", "alert cycle journal lease name plan trigger usage"),
    ("learning", "decide demand journal name observe plan platform settle state units"),
    (
        "report",
        "alert cycle decide forecast journal learning lease name observe plan platform reason settle state text units usage",
    ),
    ("dashboard", "platform report"),
    ("adopt", "collect dashboard name order pilot platform resource simulate text units usage"),
];

/// Edges that one would not expect, with a word why.
const WHY: &[(&str, &str, &str)] = &[
    ("collect", "history", "what is read goes into history, and past loads come from it"),
    ("forecast", "state", "provisioning times that were learned lengthen the lead window"),
    (
        "forecast",
        "collect",
        "whether ready units carried a load is told by the records that collecting keeps",
    ),
    ("forecast", "calendar", "events multiply forecasts, and models learn from past events"),
    ("demand", "calendar", "events set floors"),
    ("plan", "decide", "a plan carries out decisions"),
    ("pilot", "plan", "a replay tells its fleet which steps were done"),
    ("health", "journal", "what AWS lacks is told of the steps that hold, and once"),
    ("cycle", "health", "the answer of health-check travels through the state machine"),
    ("cycle", "history", "a batch of forecasts names the chunks that it needs"),
    ("cycle", "alert", "what people should know travels through the state machine"),
    ("alert", "journal", "alarms count the changes that the journal says were made"),
    ("settle", "alert", "an outcome tells which alarms were raised"),
    ("learning", "settle", "the ending of a plan moves breakers"),
    ("learning", "decide", "earlier decisions are compared with the load that came"),
    ("learning", "demand", "the same measured demand that decisions use is compared"),
    ("simulate", "collect", "measured utilisation becomes load as in a cycle"),
    ("report", "learning", "a report names costs and the measured share"),
    ("report", "reason", "that a budget binds is told by the reason of a decision"),
    ("adopt", "simulate", "the history of an account is replayed beside its native policies"),
    ("adopt", "pilot", "what costs the most is told by the metric that steers it"),
    ("adopt", "dashboard", "the bill counts the metrics that a platform publishes"),
    ("adopt", "collect", "and those that it reads in every cycle"),
    ("dashboard", "report", "it draws the figures that reports publish, by the names they have there"),
];

#[test]
fn rooms_use_only_what_is_listed() {
    let differences = differences(Path::new("src"), ROOMS, WHY);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
