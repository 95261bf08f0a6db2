//! The template's own rules, read from what AWS makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::OnceLock;

use headroom_core::config::parse;
use headroom_core::cycle::{Cycle, SettleRequest};
use headroom_core::iam::{Place, policies};
use headroom_core::report::figures;
use headroom_core::settle::outcome;
use jiff::Timestamp;
use local_aws::{root, tool};
use serde_json::{Value as Json, json};

/// The properties that name a resource, and how long AWS lets the name be.
const NAMES: [(&str, &str, usize); 12] = [
    ("AWS::CloudWatch::Alarm", "AlarmName", 255),
    ("AWS::CloudWatch::Dashboard", "DashboardName", 255),
    ("AWS::DynamoDB::Table", "TableName", 255),
    ("AWS::Events::Rule", "Name", 64),
    ("AWS::IAM::Role", "RoleName", 64),
    ("AWS::KMS::Alias", "AliasName", 256),
    ("AWS::Lambda::Function", "FunctionName", 64),
    ("AWS::Logs::LogGroup", "LogGroupName", 512),
    ("AWS::SNS::Topic", "TopicName", 256),
    ("AWS::Scheduler::Schedule", "Name", 64),
    ("AWS::Scheduler::ScheduleGroup", "Name", 64),
    ("AWS::StepFunctions::StateMachine", "StateMachineName", 80),
];
/// SAM names these after their place in the template if the template does not, which is the same in every stack.
const NAMED_BY_SAM: [&str; 1] = ["AWS::Scheduler::Schedule"];

/// The template as SAM transforms it.
fn template() -> &'static Json {
    static TEMPLATE: OnceLock<Json> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let script = root().join("tests/local-aws/transform.py");
        let output = Command::new(tool("python")).arg(script).arg(root().join("template.yaml")).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    })
}

fn resources() -> impl Iterator<Item = (&'static str, &'static str, &'static Json)> {
    let all = template()["Resources"].as_object().unwrap();
    all.iter().map(|(id, resource)| (id.as_str(), resource["Type"].as_str().unwrap(), resource))
}

fn of_type(kind: &str) -> BTreeMap<&'static str, &'static Json> {
    resources().filter(|(_, its, _)| *its == kind).map(|(id, _, resource)| (id, resource)).collect()
}

/// A text, with the platform's name where the template has it.
fn text(value: &Json, platform: &str) -> String {
    let text = value["Fn::Sub"].as_str().or(value.as_str()).unwrap_or_default();
    text.replace("${Platform}", platform)
}

/// The names of a platform's stack that are unique in an account, by type.
fn names(platform: &str) -> BTreeSet<(&'static str, String)> {
    let name = |(_, kind, resource): (&str, &'static str, &Json)| {
        let (_, property, _) = NAMES.iter().find(|(of, _, _)| *of == kind)?;
        Some((kind, text(resource["Properties"].get(property)?, platform)))
    };
    resources().filter_map(name).collect()
}

/// The statements of a role's policies, those under a condition of the template included.
fn statements(role: &str) -> Vec<&'static Json> {
    let policies = template()["Resources"][role]["Properties"]["Policies"].as_array().unwrap();
    let all = policies.iter().flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap());
    all.map(|statement| {
        let branches = statement.get("Fn::If").and_then(Json::as_array).into_iter().flatten();
        branches.into_iter().find(|branch| branch.get("Sid").is_some()).unwrap_or(statement)
    })
    .collect()
}

fn strings(value: &Json) -> BTreeSet<&str> {
    match value {
        Json::Array(several) => several.iter().filter_map(Json::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// The statement of a role with this name.
fn statement(role: &str, sid: &str) -> &'static Json {
    statements(role).into_iter().find(|statement| statement["Sid"] == sid).unwrap()
}

#[test]
fn the_stack_of_a_second_platform_has_names_of_its_own() {
    let (one, other) = (names("shop"), names("shop-eu"));
    assert!(10 < one.len() && one.len() == other.len());
    assert_eq!(one.intersection(&other).next(), None);
    for kind in NAMED_BY_SAM {
        for (id, resource) in of_type(kind) {
            let name = text(&resource["Properties"]["Name"], "shop");
            assert!(name.contains("shop"), "{id} is called {name} in every stack");
        }
    }
}

#[test]
fn names_fit_for_the_longest_platform() {
    let pattern = template()["Parameters"]["Platform"]["AllowedPattern"].as_str().unwrap();
    let longest = pattern.strip_suffix("}$").and_then(|pattern| pattern.rsplit(',').next()).unwrap();
    let platform = "x".repeat(longest.parse().unwrap());
    for (kind, name) in names(&platform) {
        let most = NAMES.iter().find(|(of, _, _)| *of == kind).unwrap().2;
        assert!(name.len() <= most, "{name} has {} letters, and {kind} takes {most}", name.len());
    }
}

#[test]
fn every_role_has_the_permissions_boundary() {
    let roles = of_type("AWS::IAM::Role");
    assert!(8 < roles.len());
    for (id, role) in roles {
        let boundary = &role["Properties"]["PermissionsBoundary"];
        assert_eq!(
            boundary,
            &json!({"Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundaryArn"}, {"Ref": "AWS::NoValue"}]}),
            "{id}"
        );
    }
}

#[test]
fn alarms_can_publish_to_the_topic() {
    let topic = &template()["Resources"]["Topic"]["Properties"];
    let key =
        json!({"Fn::If": ["TopicEncrypted", {"Fn::GetAtt": ["TopicKey", "Arn"]}, {"Ref": "AWS::NoValue"}]});
    assert_eq!(topic["KmsMasterKeyId"], key, "the policy of AWS's own keys lets no alarm use them");
    let policy = &template()["Resources"]["TopicKey"]["Properties"]["KeyPolicy"]["Statement"];
    let alarms = policy.as_array().unwrap().iter();
    let alarms = alarms.clone().find(|of| of["Principal"] == json!({"Service": "cloudwatch.amazonaws.com"}));
    assert_eq!(strings(&alarms.unwrap()["Action"]), BTreeSet::from(["kms:Decrypt", "kms:GenerateDataKey*"]));
    for (id, alarm) in of_type("AWS::CloudWatch::Alarm") {
        assert_eq!(alarm["Properties"]["AlarmActions"], json!([{"Ref": "Topic"}]), "{id}");
    }
}

#[test]
fn execute_may_use_the_keys_of_both_topics() {
    let used = statement("ExecuteRole", "EncryptWhatPeopleAreTold");
    assert_eq!(strings(&used["Action"]), BTreeSet::from(["kms:Decrypt", "kms:GenerateDataKey*"]));
    let nothing = json!({"Ref": "AWS::NoValue"});
    assert_eq!(
        used["Resource"],
        json!([
            {"Fn::If": ["TopicEncrypted", {"Fn::GetAtt": ["TopicKey", "Arn"]}, nothing]},
            {"Fn::If": ["HasNotifyTopicKey", {"Ref": "NotifyTopicKeyArn"}, nothing]},
        ])
    );
    let through = json!({"Fn::Sub": "sns.${AWS::Region}.${AWS::URLSuffix}"});
    assert_eq!(used["Condition"]["StringEquals"]["kms:ViaService"], through);
}

fn alarm(id: &str) -> &'static Json {
    &template()["Resources"][id]["Properties"]
}

#[test]
fn every_bad_end_of_an_execution_raises_an_alarm() {
    let alarms = of_type("AWS::CloudWatch::Alarm");
    let ends: BTreeSet<&str> = alarms
        .values()
        .map(|alarm| &alarm["Properties"])
        .filter(|alarm| alarm["Namespace"] == "AWS/States" && alarm["Threshold"] == 1)
        .map(|alarm| alarm["MetricName"].as_str().unwrap())
        .collect();
    assert_eq!(ends, BTreeSet::from(["ExecutionsAborted", "ExecutionsFailed", "ExecutionsTimedOut"]));
    for (id, alarm) in alarms {
        let said = text(&alarm["Properties"]["AlarmDescription"], "shop");
        assert!(100 < said.len() && said.len() <= 1_024, "{id} does not say what it means and what to do");
    }
}

/// What a cycle that held still publishes about itself.
fn published() -> Json {
    let at = Timestamp::UNIX_EPOCH;
    let execution = json!({"name": "c", "arn": "arn", "startedAt": at});
    let request: SettleRequest = serde_json::from_value(json!({
        "input": {"platform": "shop"}, "execution": execution, "at": at,
        "collected": {"kind": "ready", "summary": ""}, "decided": null, "failedBatches": [],
        "failure": null, "undoFailure": null, "usage": {},
    }))
    .unwrap();
    let cycle: Cycle = serde_json::from_value(json!({
        "platform": "shop", "id": "c", "execution": "arn", "now": at, "startedAt": at, "dryRun": false,
        "task": "scale",
    }))
    .unwrap();
    figures(&cycle, &outcome(&request, Default::default(), None, &[]), at)
}

#[test]
fn alarms_look_at_figures_that_are_published() {
    let published = published();
    let directive = &published["_aws"]["CloudWatchMetrics"][0];
    let metrics: BTreeSet<&str> =
        directive["Metrics"].as_array().unwrap().iter().map(|one| one["Name"].as_str().unwrap()).collect();
    for id in ["NeedsHuman", "CyclesAreMissing"] {
        assert_eq!(alarm(id)["Namespace"], directive["Namespace"], "{id}");
        assert!(metrics.contains(alarm(id)["MetricName"].as_str().unwrap()), "{id}");
        assert_eq!(
            alarm(id)["Dimensions"],
            json!([{"Name": "Platform", "Value": {"Ref": "Platform"}}]),
            "{id}"
        );
        assert_eq!(directive["Dimensions"], json!([["Platform"]]));
    }
}

#[test]
fn a_platform_that_waits_for_a_person_stays_in_alarm() {
    let alarm = alarm("NeedsHuman");
    // Between the cycles of a slow schedule there are no points, and they must not end the alarm.
    assert_eq!(alarm["TreatMissingData"], "ignore");
    assert_eq!((&alarm["Statistic"], &alarm["EvaluationPeriods"]), (&json!("Maximum"), &json!(1)));
}

#[test]
fn cycles_may_be_missed_for_as_long_as_a_schedule_needs() {
    const DAY_S: u64 = 86_400;
    let parameter = &template()["Parameters"]["CyclesMissingAfter"];
    let windows = template()["Mappings"]["CyclesMissingAfter"].as_object().unwrap();
    let allowed = strings(&parameter["AllowedValues"]);
    assert_eq!(allowed, windows.keys().map(String::as_str).collect());
    assert!(allowed.contains(parameter["Default"].as_str().unwrap()));
    for (minutes, window) in windows {
        let (period, periods) = (window["Period"].as_u64().unwrap(), window["Periods"].as_u64().unwrap());
        assert_eq!(period * periods, minutes.parse::<u64>().unwrap() * 60);
        let most = if period < 3_600 { DAY_S } else { 7 * DAY_S };
        assert!(period % 60 == 0 && period * periods <= most, "{minutes}: CloudWatch refuses it");
    }
    let find =
        |key: &str| json!({"Fn::FindInMap": ["CyclesMissingAfter", {"Ref": "CyclesMissingAfter"}, key]});
    let alarm = alarm("CyclesAreMissing");
    assert_eq!((&alarm["Period"], &alarm["EvaluationPeriods"]), (&find("Period"), &find("Periods")));
    assert_eq!(alarm["TreatMissingData"], "breaching");
}

#[test]
fn alarms_of_one_platform_start_no_cycle_of_another() {
    let rule = &template()["Resources"]["AlarmRule"]["Properties"];
    let names = rule["EventPattern"]["detail"]["alarmName"].as_array().unwrap();
    assert_eq!(names.len(), 1);
    let prefix = |platform: &str| text(&names[0]["prefix"], platform);
    // Of all letters, only a slash cannot stand in the name of a platform.
    assert_eq!(prefix("shop").replacen("shop", "", 1), "headroom//start/");
    for other in ["shop-eu", "shop.eu", "shop_2", "sho"] {
        assert!(!format!("{}slow", prefix(other)).starts_with(&prefix("shop")), "{other}");
    }
    for (id, alarm) in of_type("AWS::CloudWatch::Alarm") {
        let name = text(&alarm["Properties"]["AlarmName"], "shop");
        assert!(!name.starts_with(&prefix("shop")), "{id} would start the cycles that it watches");
    }
}

#[test]
fn a_first_deployment_that_fails_leaves_no_tables() {
    for (id, table) in of_type("AWS::DynamoDB::Table") {
        assert_eq!(table["DeletionPolicy"], "RetainExceptOnCreate", "{id}");
        // CloudFormation cannot remove what is protected.
        assert_eq!(table["Properties"]["DeletionProtectionEnabled"]["Ref"], "DeletionProtection", "{id}");
        assert_eq!(template()["Parameters"]["DeletionProtection"]["Default"], "false");
        // A table that is replaced has been created long before; its policy knows no exception.
        assert_eq!(table["UpdateReplacePolicy"], "Retain", "{id}");
    }
}

#[test]
fn functions_in_a_vpc_may_have_network_interfaces() {
    for (id, function) in of_type("AWS::Lambda::Function") {
        if function["Properties"].get("VpcConfig").is_none() {
            continue;
        }
        let role = function["Properties"]["Role"]["Fn::GetAtt"][0].as_str().unwrap();
        assert_eq!(
            strings(&statement(role, "StandInTheVpc")["Action"]),
            BTreeSet::from([
                "ec2:AssignPrivateIpAddresses",
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSubnets",
                "ec2:UnassignPrivateIpAddresses",
            ]),
            "{id}"
        );
    }
}

#[test]
fn a_missing_configuration_is_missing_and_not_denied() {
    let listing = statement("CollectMetricsRole", "SeeThatAConfigurationIsMissing");
    assert_eq!(listing["Action"], "s3:ListBucket");
    assert_eq!(listing["Resource"], json!({"Fn::Sub": "arn:${AWS::Partition}:s3:::${ConfigBucket}"}));
    // A plain `StringLike` is false where there is no prefix, as while an object is got.
    assert_eq!(listing["Condition"], json!({"StringLikeIfExists": {"s3:prefix": "headroom/*"}}));
}

/// Resources of every kind that has an adapter.
const RESOURCES: &str = "
      - {type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 9}
      - {type: ECS_SERVICE, name: api, cluster: prod, min_capacity: 1, max_capacity: 9}
      - {type: EKS_NODE_GROUP, name: workers, cluster: prod, auto_scaling_group: eks-workers, min_capacity: 1, max_capacity: 9}
      - {type: DYNAMODB_TABLE, name: orders, read_capacity: {min: 5, max: 400}}
      - {type: AURORA_SERVERLESS, name: ledger, min_capacity: 0.5, max_capacity: 16}
      - {type: AURORA_REPLICAS, name: books, min_capacity: 1, max_capacity: 8, adopt_readers: true}
      - {type: RDS_READ_REPLICAS, name: copies, min_capacity: 1, max_capacity: 5}
      - {type: RDS_STORAGE, name: archive, min_capacity: 100, max_capacity: 500}
      - {type: ELASTICACHE_REPLICATION_GROUP, name: sessions, replicas: {min: 1, max: 3}}
      - {type: LAMBDA_FUNCTION, name: checkout, qualifier: live, provisioned_concurrency: {min: 1, max: 100}}
      - {type: KINESIS_STREAM, name: clicks, min_capacity: 1, max_capacity: 9}
      - {type: SAGEMAKER_ENDPOINT, name: Rank, min_capacity: 1, max_capacity: 9, target_invocations: 100}
      - {type: API_GATEWAY_STAGE, name: a1b2c3, stage: prod, api_name: shop, min_capacity: 10, max_capacity: 900}
      - {type: SCALABLE_TARGET, name: keys, service_namespace: cassandra, resource_id: keyspace/shop/table/keys,
         scalable_dimension: 'cassandra:table:ReadCapacityUnits', min_capacity: 5, max_capacity: 400}
";

/// Whether a pattern of a policy has a text in it; that may be a pattern too, and is then narrower.
fn covers(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).any(|at| text.is_char_boundary(at) && covers(rest, &text[at..]))
        }),
    }
}

/// A value of the template with its parameters filled in.
fn filled(value: &Json) -> String {
    let text = value["Fn::Sub"].as_str().or(value.as_str()).unwrap_or_default();
    let text = text.replace("${AWS::Partition}", "aws").replace("${AWS::Region}", "eu-central-1");
    text.replace("${AWS::AccountId}", "123456789012")
}

/// Whether a statement of the template allows an action on a resource under such a condition, or under less.
fn allows(statement: &Json, action: &str, resource: &str, condition: &Json) -> bool {
    let resources = statement["Resource"]
        .as_array()
        .map_or_else(|| vec![&statement["Resource"]], |all| all.iter().collect());
    let wanted = statement["Condition"]["Fn::If"][1]["StringEquals"].as_object();
    statement["Effect"] == "Allow"
        && strings(&statement["Action"]).contains(action)
        && resources.into_iter().any(|pattern| covers(&filled(pattern), resource))
        && wanted.is_none_or(|wanted| wanted.keys().all(|key| condition["StringEquals"][key] == "shop"))
}

#[test]
fn the_printed_policy_allows_nothing_that_the_execute_role_does_not() {
    let text = format!("configuration_name: shop\nscaling_groups:\n  all:\n    resources:{RESOURCES}");
    let platform = parse(&text).unwrap_or_else(|faults| panic!("{faults}")).platform;
    let [partition, region, account] = ["aws", "eu-central-1", "123456789012"].map(str::to_owned);
    let role = statements("ExecuteRole");
    let mut granted = 0;
    for policy in policies(&platform, &Place { partition, region, account }).unwrap() {
        let policy = serde_json::to_value(policy).unwrap();
        for printed in policy["Statement"].as_array().unwrap() {
            for (action, resource) in strings(&printed["Action"]).into_iter().flat_map(|action| {
                strings(&printed["Resource"]).into_iter().map(move |resource| (action, resource))
            }) {
                let is_allowed = role.iter().any(|one| allows(one, action, resource, &printed["Condition"]));
                assert!(is_allowed, "{action} on {resource} {}", printed["Condition"]);
                granted += 1;
            }
        }
    }
    assert!(40 < granted, "{granted}");
}

#[test]
fn with_policies_of_its_own_the_execute_role_has_no_statement_for_any_platform() {
    let policies = &template()["Resources"]["ExecuteRole"]["Properties"]["Policies"];
    let all = policies[0]["PolicyDocument"]["Statement"].as_array().unwrap();
    // What remains is either about Headroom's own tables, logs and topics, or denies.
    const OWN: [&str; 7] = [
        "Log",
        "Trace",
        "Journal",
        "KeepOutcomes",
        "TellPeople",
        "NoOtherLaunchConfiguration",
        "NoOtherMaximum",
    ];
    for statement in all {
        let condition = statement["Fn::If"][0].as_str();
        match statement["Sid"].as_str() {
            Some(sid) => assert!(OWN.contains(&sid), "{sid}"),
            None if condition == Some("HasTopicKeys") => {}
            None => {
                assert_eq!(condition, Some("HasExecutePolicies"), "{statement}");
                assert_eq!(statement["Fn::If"][1], json!({"Ref": "AWS::NoValue"}), "{statement}");
            }
        }
    }
}
