//! The JSON Schema of `platform.yaml`, made from the types it is read into.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Value as Json, json};

use super::raw;

/// The key that may wrap a whole file, as in files written for other tools.
pub(crate) const WRAPPER: &str = "Multi_Service_Scaling_Configuration";

/// The JSON Schema (draft 2020-12) of a platform file, with or without the wrapping key.
pub fn schema() -> Json {
    let mut platform = platform().clone();
    let definitions = platform.as_object_mut().and_then(|object| object.remove("$defs")).unwrap_or_default();
    let title = platform.as_object_mut().and_then(|object| object.remove("title")).unwrap_or_default();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "oneOf": [
            {"$ref": "#/$defs/Platform"},
            {"type": "object", "properties": {WRAPPER: {"$ref": "#/$defs/Platform"}}, "required": [WRAPPER],
             "additionalProperties": false},
        ],
        "$defs": definitions,
    });
    if let Some(definitions) = schema.get_mut("$defs").and_then(Json::as_object_mut) {
        if let Some(object) = platform.as_object_mut() {
            object.remove("$schema");
        }
        definitions.insert("Platform".to_owned(), platform);
    }
    schema
}

/// The schema of an unwrapped file, as the check walks it. Making it takes longer than reading a file with it, so it is made
/// once.
pub(crate) fn platform() -> &'static Json {
    static PLATFORM: LazyLock<Json> = LazyLock::new(|| {
        SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<raw::Platform>().to_value()
    });
    &PLATFORM
}
