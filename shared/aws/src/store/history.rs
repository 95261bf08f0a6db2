//! History: load by the hour, packed by shard; and what was learned once about the platform's resources.

use std::collections::{BTreeMap, BTreeSet};

use headroom_core::history::{Chunk, Column};
use headroom_core::name::{PlatformName, ResourceId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Store, StoreError, Versioned, corrupt, days_after};
use crate::table::{Body, Item, Key, Table};

/// Two training periods of the longest kind that CloudWatch keeps at five minutes.
const HISTORY_DAYS: i64 = 70;

/// Columns whose past was read from CloudWatch, so that it is not read again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Columns(pub BTreeSet<String>);

/// Resources that have a native scaling policy, as of some time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Natives {
    /// When AWS was asked.
    pub asked_at: Option<Timestamp>,
    /// Of which configuration.
    pub config: Option<String>,
    /// Those that have one.
    pub resources: BTreeSet<ResourceId>,
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

    /// Replaces live chunks. Only the holder of the lease does this, so they need no condition.
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
            expires: days_after(*hour, HISTORY_DAYS),
        });
        Ok(self.state.put_many(items.collect()).await?)
    }

    /// Keeps history read from CloudWatch at first sight, a day at a time. Doing it again replaces it.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn put_past(
        &self,
        platform: &PlatformName,
        shard: u8,
        chunks: &BTreeMap<Timestamp, Chunk>,
    ) -> Result<(), StoreError> {
        let items = chunks.iter().map(|(day, chunk)| {
            let names: Vec<&str> = chunk.0.keys().map(|column| column.0.as_str()).collect();
            let digest = Sha256::digest(names.join("\n").as_bytes());
            let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            Item {
                key: Key::new(partition(platform, shard), format!("{day}#back-{digest}")),
                revision: 1,
                body: Body::Bytes(chunk.pack()),
                expires: days_after(*day, HISTORY_DAYS),
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

    /// Columns whose past is known.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn columns(&self, platform: &PlatformName) -> Result<Versioned<Columns>, StoreError> {
        self.read(&Key::new(&platform.0, "columns")).await
    }

    /// Replaces the columns that were read.
    ///
    /// # Errors
    /// With a conflict when somebody else replaced them first.
    pub async fn put_columns(
        &self,
        platform: &PlatformName,
        read: &Versioned<Columns>,
        added: impl IntoIterator<Item = Column>,
    ) -> Result<(), StoreError> {
        let mut columns = read.value.clone();
        columns.0.extend(added.into_iter().map(|column| column.0));
        self.replace(Key::new(&platform.0, "columns"), read, &columns, None).await
    }

    /// Which resources have native policies, as it was asked last.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn natives(&self, platform: &PlatformName) -> Result<Versioned<Natives>, StoreError> {
        self.read(&Key::new(&platform.0, "natives")).await
    }

    /// Replaces what was read.
    ///
    /// # Errors
    /// With a conflict when somebody else replaced it first.
    pub async fn put_natives(
        &self,
        platform: &PlatformName,
        read: &Versioned<Natives>,
        natives: &Natives,
    ) -> Result<(), StoreError> {
        self.replace(Key::new(&platform.0, "natives"), read, natives, None).await
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
