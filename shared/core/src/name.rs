//! Names: of platforms, groups, resources and dimensions. One type each, so that they cannot be mixed up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> $name {
                $name(text.to_owned())
            }
        }
    )+};
}

names! {
    /// One multi-tier workload, described by one `platform.yaml`.
    PlatformName,
    /// A tier: `scaling_groups.<name>`.
    GroupName,
    /// A resource, by the id that is unique in its platform.
    ResourceId,
    /// One execution of the state machine: its execution name.
    CycleId,
    /// A plan: the time it was made and the cycle that made it, so that ids sort by time.
    PlanId,
    /// The configuration a cycle works from: a digest of its text.
    ConfigVersion,
}

/// A dimension of a resource, written `web/desired`, `user-table/read` or `user-table/by-email:write`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DimensionKey {
    /// The resource it belongs to.
    pub resource: ResourceId,
    /// What is scaled on it: `desired`, `read`, `write`, `index:read`.
    pub dimension: String,
}

impl DimensionKey {
    /// The dimension `dimension` of `resource`.
    pub fn new(resource: &ResourceId, dimension: &str) -> DimensionKey {
        DimensionKey { resource: resource.clone(), dimension: dimension.to_owned() }
    }
}

impl fmt::Display for DimensionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.resource, self.dimension)
    }
}

/// A text that is not `resource/dimension`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a dimension; write RESOURCE/DIMENSION, such as web/desired")]
pub struct NotADimension(String);

impl FromStr for DimensionKey {
    type Err = NotADimension;

    fn from_str(text: &str) -> Result<DimensionKey, NotADimension> {
        match text.rsplit_once('/') {
            Some((resource, dimension)) if !resource.is_empty() && !dimension.is_empty() => {
                Ok(DimensionKey { resource: resource.into(), dimension: dimension.to_owned() })
            }
            _ => Err(NotADimension(text.to_owned())),
        }
    }
}

impl TryFrom<String> for DimensionKey {
    type Error = NotADimension;

    fn try_from(text: String) -> Result<DimensionKey, NotADimension> {
        text.parse()
    }
}

impl From<DimensionKey> for String {
    fn from(key: DimensionKey) -> String {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimension_keys_read_as_written() {
        for text in ["web/desired", "service/prod/api/desired", "user-table/by-email:read"] {
            assert_eq!(text.parse::<DimensionKey>().unwrap().to_string(), text);
        }
        for text in ["", "web", "/desired", "web/"] {
            assert!(text.parse::<DimensionKey>().is_err(), "{text}");
        }
    }
}
