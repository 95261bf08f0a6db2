//! What is stored about a platform, and where.
//!
//! | table | partition | sort |
//! |---|---|---|
//! | state | `shop` | `lease`, `config#VERSION`, `learned`, `scaled`, `standing`, `asked`, `told` |
//! | state | `shop#cycle` | `CYCLE#observed#BATCH` |
//! | state | `shop#history#SHARD` | `START#live`, `START#back-HASH` |
//! | state | `shop#models#SHARD` | `METRIC#load`, `METRIC#lead` |
//! | state | `shop#plan` | `PLAN`, `PLAN#WAVE#BATCH` |
//! | state | `shop#journal` | `PLAN#WAVE#STEP` |
//! | demand-forecasts | `shop` | `TIME#CYCLE#BATCH` |
//! | scaling-decisions | `shop` | `TIME#CYCLE#BATCH`, `TIME#CYCLE#outcome` |

mod history;
mod journal;
mod models;
mod records;
mod state;

use headroom_core::lease::Lease;
use headroom_core::name::{ConfigVersion, PlatformName};
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

pub use history::{Learned, Missed};
pub use records::{DimensionForecasts, StoredCycleRecord};
pub use state::StoredState;

use crate::error::AwsError;
use crate::sdk::Aws;
use crate::table::{BODY_BYTES_MAX, Body, DynamoTable, Expect, Item, Key, PutError, Table};

/// Text above this is packed: below it, a person can read it in the console and packing saves next to nothing.
const TEXT_BYTES_MAX: usize = 4_096;
/// Unpacked, nothing here is larger; a body that claims to be is not ours.
const UNPACKED_BYTES_MAX: u64 = 64 << 20;

/// Everything stored about platforms.
#[derive(Clone, Debug)]
pub struct Store<T> {
    state: T,
    forecasts: T,
    decisions: T,
}

/// Why something could not be stored or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote first.
    #[error("{0} was written by somebody else meanwhile")]
    Conflict(String),
    /// What is stored cannot be read: another version wrote it, or it was garbled.
    #[error("{what} cannot be read: {why}")]
    Corrupt {
        /// Where it stands.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something that must be there is not.
    #[error("{0} is not stored")]
    Missing(String),
    /// The call failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl From<PutError> for StoreError {
    fn from(error: PutError) -> StoreError {
        match error {
            PutError::Conflict(what) => StoreError::Conflict(what),
            PutError::Aws(error) => StoreError::Aws(error),
        }
    }
}

/// A value with the revision it was read at; zero when it was not there.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned<V> {
    /// The value.
    pub value: V,
    /// Its revision.
    pub revision: u64,
}

impl<V> Versioned<V> {
    fn expect(&self) -> Expect {
        if self.revision == 0 { Expect::Absent } else { Expect::Revision(self.revision) }
    }
}

impl Store<DynamoTable> {
    /// The tables that the environment names: `STATE_TABLE`, `FORECASTS_TABLE` and `DECISIONS_TABLE`.
    ///
    /// # Errors
    /// When one is not named.
    pub fn from_env(aws: &Aws) -> Result<Store<DynamoTable>, std::env::VarError> {
        let table = |variable: &str| {
            std::env::var(variable).map(|name| DynamoTable::new(&aws.dynamodb(), name, &aws.meter))
        };
        Ok(Store::new(table("STATE_TABLE")?, table("FORECASTS_TABLE")?, table("DECISIONS_TABLE")?))
    }
}

impl<T: Table> Store<T> {
    /// A store in three tables.
    pub fn new(state: T, forecasts: T, decisions: T) -> Store<T> {
        Store { state, forecasts, decisions }
    }

    /// The table of state itself, for tests that garble what is stored.
    #[cfg(any(test, feature = "fakes"))]
    pub fn state(&self) -> &T {
        &self.state
    }

    /// The platform's lease, as it stands.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn lease(&self, platform: &PlatformName) -> Result<Versioned<Lease>, StoreError> {
        self.read(&Key::new(&platform.0, "lease")).await
    }

    /// Replaces the lease that was read.
    ///
    /// # Errors
    /// With a conflict when somebody else replaced it first.
    pub async fn put_lease(
        &self,
        platform: &PlatformName,
        read: &Versioned<Lease>,
        lease: &Lease,
    ) -> Result<(), StoreError> {
        self.replace(Key::new(&platform.0, "lease"), read, lease, None).await
    }

    /// Keeps a configuration's text under its version, so that every function of a cycle works from the same one and
    /// every decision can be explained later.
    ///
    /// # Errors
    /// When the call fails. That it is there already is no error: the same version is the same text.
    pub async fn put_config(&self, platform: &PlatformName, text: &str) -> Result<ConfigVersion, StoreError> {
        let version = version_of(text);
        let key = Key::new(&platform.0, format!("config#{version}"));
        let item = Item { key, revision: 1, body: pack(text.as_bytes(), text), expires: None };
        match self.state.put(item, Expect::Absent).await {
            Ok(()) | Err(PutError::Conflict(_)) => Ok(version),
            Err(PutError::Aws(error)) => Err(error.into()),
        }
    }

    /// The text of a configuration.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub async fn config(
        &self,
        platform: &PlatformName,
        version: &ConfigVersion,
    ) -> Result<String, StoreError> {
        let key = Key::new(&platform.0, format!("config#{version}"));
        let item = self.state.get(&key).await?.ok_or_else(|| StoreError::Missing(key.sort.clone()))?;
        text(&item)
    }

    async fn read<V: DeserializeOwned + Default>(&self, key: &Key) -> Result<Versioned<V>, StoreError> {
        match self.state.get(key).await? {
            Some(item) => Ok(Versioned { value: value(&item)?, revision: item.revision }),
            None => Ok(Versioned { value: V::default(), revision: 0 }),
        }
    }

    async fn replace<V, W: Serialize>(
        &self,
        key: Key,
        read: &Versioned<V>,
        value: &W,
        expires: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let item = Item { body: json(&key, value)?, key, revision: read.revision + 1, expires };
        Ok(self.state.put(item, read.expect()).await?)
    }
}

/// The version of a configuration: the first half of its digest.
pub fn version_of(text: &str) -> ConfigVersion {
    let digest = Sha256::digest(text.as_bytes());
    ConfigVersion(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// A value as a body: readable text where it is short, packed where it is long.
fn json<V: Serialize>(key: &Key, value: &V) -> Result<Body, StoreError> {
    let text = serde_json::to_string(value)
        .map_err(|error| StoreError::Corrupt { what: key.sort.clone(), why: error.to_string() })?;
    Ok(pack(text.as_bytes(), &text))
}

fn pack(bytes: &[u8], text: &str) -> Body {
    use std::io::Write as _;
    if bytes.len() <= TEXT_BYTES_MAX {
        return Body::Text(text.to_owned());
    }
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    match packer.write_all(bytes).and_then(|()| packer.finish()) {
        Ok(packed) => Body::Bytes(packed),
        Err(_) => Body::Text(text.to_owned()), // Writing into memory does not fail; if it did, nothing is lost.
    }
}

fn text(item: &Item) -> Result<String, StoreError> {
    use std::io::Read as _;
    match &item.body {
        Body::Text(text) => Ok(text.clone()),
        Body::Bytes(bytes) => {
            let mut text = String::new();
            let unpacked = flate2::read::ZlibDecoder::new(bytes.as_slice())
                .take(UNPACKED_BYTES_MAX)
                .read_to_string(&mut text);
            unpacked.map(|_| text).map_err(|error| corrupt(item, error))
        }
    }
}

fn value<V: DeserializeOwned>(item: &Item) -> Result<V, StoreError> {
    serde_json::from_str(&text(item)?).map_err(|error| corrupt(item, error))
}

fn corrupt(item: &Item, error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { what: format!("{}/{}", item.key.partition, item.key.sort), why: error.to_string() }
}

/// The time some days after another; items that have outlived it may go.
fn days_after(at: Timestamp, days: i64) -> Option<Timestamp> {
    at.checked_add(SignedDuration::from_hours(days * 24)).ok()
}

/// Values in as many bodies as are needed for each to fit into an item.
fn split<V: Serialize + Clone>(key: &Key, values: &[V]) -> Result<Vec<(Vec<V>, Body)>, StoreError> {
    let body = json(key, &values)?;
    let length = match &body {
        Body::Text(text) => text.len(),
        Body::Bytes(bytes) => bytes.len(),
    };
    if length <= BODY_BYTES_MAX || values.len() <= 1 {
        return Ok(vec![(values.to_vec(), body)]);
    }
    let (first, second) = values.split_at(values.len() / 2);
    let mut parts = split(key, first)?;
    parts.extend(split(key, second)?);
    Ok(parts)
}
