//! What the adapters say that they call, held against what they call and against the template's roles.

use std::collections::BTreeSet;

use headroom_core::resource::Permissions;

/// What adapters may call, with their sources. RDS has several in one.
const SOURCES: [(&[Permissions], &[&str]); 12] = [
    (
        &[Permissions::AUTO_SCALING],
        &[
            include_str!("autoscaling.rs"),
            include_str!("autoscaling/activities.rs"),
            include_str!("autoscaling/policies.rs"),
            include_str!("autoscaling/warm_pool.rs"),
        ],
    ),
    (&[Permissions::ECS], &[include_str!("ecs.rs")]),
    (&[Permissions::EKS], &[include_str!("eks.rs")]),
    (&[Permissions::DYNAMODB], &[include_str!("dynamodb.rs")]),
    (&[Permissions::KINESIS], &[include_str!("kinesis.rs")]),
    (&[Permissions::LAMBDA], &[include_str!("lambda.rs")]),
    (&[Permissions::ELASTICACHE], &[include_str!("elasticache.rs")]),
    (
        &[
            Permissions::AURORA_SERVERLESS,
            Permissions::AURORA_REPLICAS,
            Permissions::RDS_READ_REPLICAS,
            Permissions::RDS_STORAGE,
        ],
        &[
            include_str!("rds/mod.rs"),
            include_str!("rds/serverless.rs"),
            include_str!("rds/aurora_replicas.rs"),
            include_str!("rds/read_replicas.rs"),
            include_str!("rds/readers.rs"),
            include_str!("rds/storage.rs"),
            include_str!("../metrics.rs"),
        ],
    ),
    (&[Permissions::SAGEMAKER], &[include_str!("sagemaker.rs")]),
    (&[Permissions::API_GATEWAY], &[include_str!("apigateway.rs")]),
    (&[Permissions::SCALABLE_TARGETS], &[include_str!("scalable.rs")]),
    (&[Permissions::LOAD_BALANCERS], &[include_str!("balancing.rs")]),
];
/// How the operations of AWS begin that adapters call.
const VERBS: [&str; 10] = [
    "create_",
    "decrease_",
    "delete_",
    "describe_",
    "get_",
    "increase_",
    "modify_",
    "put_",
    "set_",
    "update_",
];
/// And those that begin otherwise.
const OTHERS: [&str; 1] = ["register_scalable_target"];

fn all(permissions: &Permissions) -> Vec<&'static str> {
    let Permissions { see, look, find, set, judge } = permissions;
    [*see, look, find, set, judge].concat()
}

/// `DescribeTable` as the SDK's method: `describe_table`.
fn method(action: &str) -> String {
    let name = action.split(':').next_back().unwrap().replace("DB", "Db");
    let mut method = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !method.is_empty() {
            method.push('_');
        }
        method.extend(letter.to_lowercase());
    }
    method
}

/// The operations that a source calls: methods without arguments, named like operations.
fn called(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    let calls = code.match_indices("()").filter_map(|(end, _)| {
        let start = code[..end].rfind(|letter| !is_name(letter))?;
        (code[start..].starts_with('.')).then(|| code[start + 1..end].to_owned())
    });
    calls
        .filter(|name| VERBS.iter().any(|verb| name.starts_with(verb)) || OTHERS.contains(&name.as_str()))
        .collect()
}

#[test]
fn every_adapter_says_what_it_calls_and_calls_what_it_says() {
    for (permissions, sources) in SOURCES {
        let said: BTreeSet<String> = permissions.iter().flat_map(all).map(method).collect();
        let called = sources.iter().flat_map(|source| called(source)).map(|name| asked(&said, name));
        assert_eq!(called.collect::<BTreeSet<_>>(), said);
    }
    let listed = SOURCES.iter().flat_map(|(permissions, _)| *permissions).copied();
    assert_eq!(listed.collect::<Vec<_>>(), Permissions::ALL);
}

/// What IAM asks about a method: API Gateway's actions are the verbs of HTTP.
fn asked(said: &BTreeSet<String>, name: String) -> String {
    match name.split('_').next() {
        Some("get") if said.contains("g_e_t") => "g_e_t".to_owned(),
        Some("update") if said.contains("p_a_t_c_h") => "p_a_t_c_h".to_owned(),
        _ => name,
    }
}

/// The actions of one statement of the template.
fn granted(sid: &str) -> BTreeSet<&'static str> {
    let template = include_str!("../../../../template.yaml");
    let statement = template.split_once(&format!("- Sid: {sid}\n")).unwrap().1;
    let actions = statement.split_once("Action:\n").unwrap().1;
    actions.lines().map_while(|line| line.trim().strip_prefix("- ")).collect()
}

#[test]
fn the_roles_have_what_the_adapters_need() {
    let of = |choose: fn(&Permissions) -> Vec<&'static [&'static str]>| -> BTreeSet<&'static str> {
        Permissions::ALL.iter().flat_map(choose).flatten().copied().collect()
    };
    let with =
        |sid: &str, stages: &str| granted(sid).union(&granted(stages)).copied().collect::<BTreeSet<_>>();
    assert_eq!(with("SeeCapacity", "SeeStages"), of(|one| vec![one.see, one.find]), "collect-metrics");
    assert_eq!(with("LookBeforeActing", "LookAtStages"), of(|one| vec![one.see, one.look]), "execute");
    let mut set = granted("ScaleWhatIsTagged");
    set.extend(granted("MakeReadersThatAreTagged"));
    assert!(set.remove("rds:AddTagsToResource"), "readers are made with their tags");
    assert_eq!(set, of(|one| vec![one.set]), "execute");
    let mut health = with("SeeHealth", "SeeHealthOfStages");
    assert!(health.remove("cloudwatch:DescribeAlarms"), "for checks by alarms");
    assert_eq!(health, of(|one| vec![one.see, one.judge]), "health-check");
}
