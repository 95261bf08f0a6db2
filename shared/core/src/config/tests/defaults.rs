//! The defaults that the schema tells, held against those that are used.

use serde_json::Value as Json;

use crate::config::{parse, schema};

/// A file in which everything is begun and nothing is said that has a default.
const BEGUN: &str = "configuration_name: shop
scaling_groups:
  web:
    scaling_policies: [{type: predictive}]
    resources:
      - {type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 2, max_capacity: 20}
      - {type: ECS_SERVICE, name: api, min_capacity: 2, max_capacity: 20}
      - name: worker
        type: ECS_SERVICE
        min_capacity: 2
        max_capacity: 20
        metrics: [{name: waiting, kind: queue_depth, target_per_unit: 5, namespace: shop}]
  data:
    resources: [{type: DYNAMODB_TABLE, name: users, read_capacity: {min: 5, max: 100}}]
predictive: {slo: {}, fallback: {}}
orchestration:
  dependencies: [{source: web, target: data}]
  health_checks: [{resource: web, check_type: health_endpoint, endpoint: /health}]
guardrails: {cooldown: {}, circuit_breaker: {}, budget: {hourly: 5}}
";

/// The description of what stands at a path of a file, such as `guardrails.cooldown.in`.
fn description(schema: &Json, path: &str) -> Option<String> {
    let mut nodes = vec![&schema["$defs"]["Platform"]];
    for key in path.split(['.', '[']) {
        let inner: Vec<&Json> = nodes.iter().flat_map(|node| alternatives(schema, node)).collect();
        let list = key.ends_with(']');
        nodes = inner
            .into_iter()
            .filter_map(|node| {
                let next = if list { &node["items"] } else { &node["properties"][key] };
                if next.is_null() {
                    Some(&node["additionalProperties"]).filter(|next| next.is_object())
                } else {
                    Some(next)
                }
            })
            .collect();
    }
    nodes.iter().find_map(|node| node["description"].as_str()).map(str::to_owned)
}

/// A node, with what it refers to and all that it may be instead.
fn alternatives<'a>(schema: &'a Json, node: &'a Json) -> Vec<&'a Json> {
    let mut found = vec![node];
    if let Some(reference) = node["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        found.extend(alternatives(schema, &schema["$defs"][name]));
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        let parts = node[key].as_array().into_iter().flatten();
        found.extend(parts.flat_map(|part| alternatives(schema, part)));
    }
    found
}

#[test]
fn the_schema_tells_the_defaults_that_are_used() {
    let schema = schema();
    let defaults = parse(BEGUN).unwrap().defaults;
    let (mut compared, mut wrong) = (0, Vec::new());
    for default in &defaults {
        let Some(text) = description(&schema, &default.path) else { continue };
        let text = text.replace('`', "");
        let Some((_, told)) = text.split_once("Default ") else { continue };
        let told = told.split(['.', ',', ';', '\n']).next().unwrap();
        // A fraction has a point of its own.
        let told = if text.contains(&format!("Default {}", default.value)) { &default.value } else { told };
        if ["by type", "as in", "the name", "floor where", "all", "the first"]
            .iter()
            .any(|word| told.starts_with(word))
        {
            continue;
        }
        wrong.extend(
            (told != default.value)
                .then(|| format!("{}: used {}, told: {text}", default.path, default.value)),
        );
        compared += 1;
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(20 < compared, "{compared} of {} defaults were found in the schema", defaults.len());
}
