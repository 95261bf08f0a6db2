//! Parts of a platform that are worked on at once.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::history::{SHARDS, shard};
use crate::name::ResourceId;
use crate::platform::Platform;

/// Dimensions of a batch: a forecast of so many fits well into one invocation, with time to spare for a retry.
const BATCH_DIMENSIONS: usize = 100;

/// A part of a platform that is worked on at once: a range of shards, so that it needs no list of names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Batch {
    first: u8,
    last: u8,
}

/// A text that is not a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a batch")]
pub struct NotABatch(String);

impl Batch {
    /// The shards it covers.
    pub fn shards(&self) -> RangeInclusive<u8> {
        self.first..=self.last
    }

    /// Whether a resource belongs to it.
    pub fn contains(&self, resource: &ResourceId) -> bool {
        self.shards().contains(&shard(resource))
    }

    /// The batches that cover a platform: as few as hold at most a hundred dimensions each, where shards allow.
    pub fn cover(platform: &Platform) -> Vec<Batch> {
        let mut sizes = vec![0_usize; usize::from(SHARDS)];
        for place in platform.dimensions() {
            if let Some(size) = sizes.get_mut(usize::from(shard(&place.resource.id))) {
                *size += 1;
            }
        }
        let mut batches: Vec<Batch> = Vec::new();
        let mut held = 0;
        for (shard, size) in (0..SHARDS).zip(sizes) {
            match batches.last_mut().filter(|_| held + size <= BATCH_DIMENSIONS || held == 0) {
                Some(batch) => batch.last = shard,
                None => {
                    batches.push(Batch { first: shard, last: shard });
                    held = 0;
                }
            }
            held += size;
        }
        batches
    }
}

impl std::fmt::Display for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}-{:02}", self.first, self.last)
    }
}

impl From<Batch> for String {
    fn from(batch: Batch) -> String {
        batch.to_string()
    }
}

impl TryFrom<String> for Batch {
    type Error = NotABatch;

    fn try_from(text: String) -> Result<Batch, NotABatch> {
        let range =
            text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        match range {
            Some((first, last)) if first <= last && last < SHARDS => Ok(Batch { first, last }),
            _ => Err(NotABatch(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group of so many services. To read a file with ten thousand of them would take longer than all other tests.
    fn platform(services: usize) -> Platform {
        let text = "configuration_name: shop
scaling_groups: {app: {resources: [{type: ECS_SERVICE, name: service, min_capacity: 1, max_capacity: 3}]}}
";
        let mut platform = crate::config::parse(text).unwrap().platform;
        let group = platform.groups.first_mut().unwrap();
        let service = group.resources.remove(0);
        group.resources = (0..services)
            .map(|i| {
                let mut service = service.clone();
                service.id = format!("service-{i}").as_str().into();
                service
                    .dimensions
                    .iter_mut()
                    .for_each(|dimension| dimension.key.resource = service.id.clone());
                service
            })
            .collect();
        platform
    }

    #[test]
    fn batches_cover_every_shard_once() {
        let texts = |services: usize| {
            Batch::cover(&platform(services)).iter().map(Batch::to_string).collect::<Vec<_>>()
        };
        assert_eq!(texts(3), ["00-63"]);
        for services in [100, 101, 2_000, 10_000] {
            let batches = Batch::cover(&platform(services));
            let shards: Vec<u8> = batches.iter().flat_map(Batch::shards).collect();
            assert_eq!(shards, (0..SHARDS).collect::<Vec<u8>>(), "{services}");
            assert!(batches.len() <= services / 50 + 1, "{services}: {}", batches.len());
        }
    }

    #[test]
    fn batches_are_read_as_written() {
        assert_eq!(serde_json::from_str::<Batch>("\"03-09\"").unwrap().to_string(), "03-09");
        for text in ["\"9-3\"", "\"0-64\"", "\"x\"", "\"\""] {
            assert!(serde_json::from_str::<Batch>(text).is_err(), "{text}");
        }
    }
}
