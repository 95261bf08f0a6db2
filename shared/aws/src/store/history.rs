//! History: load by the hour, packed by shard; and what was learned once about the platform's resources.

use std::collections::{BTreeMap, BTreeSet};

use headroom_core::alert::Scaled;
use headroom_core::collect::{LastSeen, TargetGroups};
use headroom_core::history::Chunk;
use headroom_core::name::{PlatformName, ResourceId};
use headroom_core::platform::Predictive;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Store, StoreError, Versioned, corrupt, days_after};
use crate::table::{Body, Item, Key, Table};

/// What was learned once about a platform, and need not be asked in every cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Learned {
    /// Columns whose past was read from CloudWatch.
    pub columns: BTreeSet<String>,
    /// Resources that have a native scaling policy.
    pub natives: BTreeSet<ResourceId>,
    /// When AWS was asked for native policies.
    pub natives_asked_at: Option<Timestamp>,
    /// Of which resources: a digest of their ids.
    pub natives_asked_of: Option<String>,
    /// The target groups that resources are registered with, where metrics are measured at them.
    pub target_groups: TargetGroups,
    /// When AWS was asked for target groups.
    pub target_groups_asked_at: Option<Timestamp>,
    /// Of which resources: a digest of their ids.
    pub target_groups_asked_of: Option<String>,
    /// Metrics whose absence means zero, with the newest time at which they had points.
    pub last_seen: LastSeen,
    /// Times that no cycle read and that are not read yet.
    pub missed: Vec<Missed>,
}

/// A time that no cycle read, and how far it has been read since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// When it begins.
    pub from: Timestamp,
    /// When it ends.
    pub to: Timestamp,
    /// The length of the periods in which it is read, in seconds.
    pub period_s: u32,
    /// The last column that was read of it; columns are read in order.
    pub done: Option<String>,
}

impl<T: Table> Store<T> {
    /// The chunks that this hour's points are added to, by shard; empty where the hour has none yet.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn live_chunks(
        &self,
        platform: &PlatformName,
        shards: &[u8],
        hours: &[Timestamp],
    ) -> Result<BTreeMap<(u8, Timestamp), Chunk>, StoreError> {
        let places: BTreeMap<Key, (u8, Timestamp)> = shards
            .iter()
            .flat_map(|shard| hours.iter().map(|hour| (live_key(platform, *shard, *hour), (*shard, *hour))))
            .collect();
        let items = self.state.get_many(places.keys().cloned().collect()).await?;
        items
            .iter()
            .filter_map(|item| Some((*places.get(&item.key)?, item)))
            .map(|(place, item)| Ok((place, chunk(item)?)))
            .collect()
    }

    /// Replaces those live chunks that are not as they were. Only the holder of the lease does this, so they need no condition.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn put_live_chunks(
        &self,
        platform: &PlatformName,
        chunks: &BTreeMap<(u8, Timestamp), Chunk>,
    ) -> Result<(), StoreError> {
        let items = chunks.iter().map(|((shard, hour), chunk)| Item {
            key: live_key(platform, *shard, *hour),
            revision: 1,
            body: Body::Bytes(chunk.pack()),
            expires: days_after(*hour, Predictive::HISTORY_KEPT_DAYS),
        });
        Ok(self.state.put_many(items.collect()).await?)
    }

    /// Keeps history read from CloudWatch, part by part, until a while after the end of what was read. Doing it again
    /// replaces it.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn put_past(
        &self,
        platform: &PlatformName,
        shard: u8,
        chunks: &BTreeMap<Timestamp, Chunk>,
        read_until: Timestamp,
    ) -> Result<(), StoreError> {
        let items = chunks.iter().map(|(day, chunk)| {
            let names: Vec<&str> = chunk.0.keys().map(|column| column.0.as_str()).collect();
            let digest = Sha256::digest(names.join("\n").as_bytes());
            let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            Item {
                key: Key::new(partition(platform, shard), format!("{day}#back-{digest}")),
                revision: 1,
                body: Body::Bytes(chunk.pack()),
                // However old it is, it serves as long as what is measured from now on.
                expires: days_after(read_until, Predictive::HISTORY_KEPT_DAYS),
            }
        });
        Ok(self.state.put_many(items.collect()).await?)
    }

    /// Every chunk of a shard from a time on.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn chunks(
        &self,
        platform: &PlatformName,
        shard: u8,
        from: Timestamp,
    ) -> Result<Vec<Chunk>, StoreError> {
        let items = self.state.range(&partition(platform, shard), &from.to_string(), "~").await?;
        items.iter().map(chunk).collect()
    }

    /// What was learned about a platform.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn learned(&self, platform: &PlatformName) -> Result<Versioned<Learned>, StoreError> {
        self.read(&Key::new(&platform.0, "learned")).await
    }

    /// Replaces what was read.
    ///
    /// # Errors
    /// With a conflict when somebody else replaced it first.
    pub async fn put_learned(
        &self,
        platform: &PlatformName,
        read: &Versioned<Learned>,
        learned: &Learned,
    ) -> Result<(), StoreError> {
        self.replace(Key::new(&platform.0, "learned"), read, learned, None).await
    }

    /// What was scaled of a platform lately.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn scaled(&self, platform: &PlatformName) -> Result<Versioned<Vec<Scaled>>, StoreError> {
        self.read(&Key::new(&platform.0, "scaled")).await
    }

    /// Replaces what was read.
    ///
    /// # Errors
    /// With a conflict when somebody else replaced it first.
    pub async fn put_scaled(
        &self,
        platform: &PlatformName,
        read: &Versioned<Vec<Scaled>>,
        scaled: &[Scaled],
    ) -> Result<(), StoreError> {
        self.replace(Key::new(&platform.0, "scaled"), read, &scaled, None).await
    }
}

fn partition(platform: &PlatformName, shard: u8) -> String {
    format!("{platform}#history#{shard:02}")
}

fn live_key(platform: &PlatformName, shard: u8, hour: Timestamp) -> Key {
    Key::new(partition(platform, shard), format!("{hour}#live"))
}

fn chunk(item: &Item) -> Result<Chunk, StoreError> {
    match &item.body {
        Body::Bytes(bytes) => Chunk::unpack(bytes).map_err(|error| corrupt(item, error)),
        Body::Text(_) => Err(corrupt(item, "a chunk is bytes")),
    }
}
