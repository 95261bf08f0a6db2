//! Trained models: two items a metric, in a partition for each shard, so that a batch reads them in a few queries.

use std::collections::BTreeMap;

use headroom_core::forecast::Models;
use headroom_core::history::Column;
use headroom_core::name::PlatformName;
use headroom_forecast::NotAModel;
use headroom_forecast::ensemble::Ensemble;
use headroom_forecast::lead_window::LeadModel;
use jiff::Timestamp;

use super::{Store, StoreError, days_after};
use crate::table::{Body, Item, Key, Table};

/// Models are stored again every few hours; those of a metric that is gone may go after a month.
const MODEL_DAYS: i64 = 30;
/// DynamoDB has no empty place; this one is before every name.
const FIRST: &str = " ";
/// What the places of the two models of a metric end in.
const LOAD: &str = "#load";
const LEAD: &str = "#lead";

impl<T: Table> Store<T> {
    /// The models of every metric of a shard. One that this build cannot read is left out: it is trained anew.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn models(
        &self,
        platform: &PlatformName,
        shard: u8,
    ) -> Result<BTreeMap<Column, Models>, StoreError> {
        let items = self.state.range(&partition(platform, shard), FIRST, "~").await?;
        let mut models: BTreeMap<Column, Models> = BTreeMap::new();
        for item in &items {
            let Body::Bytes(bytes) = &item.body else { continue };
            let place = item.key.sort.as_str();
            let read = if let Some(column) = place.strip_suffix(LOAD) {
                let of = models.entry(Column(column.to_owned())).or_default();
                Ensemble::decode(bytes).map(|load| of.load = Some(load))
            } else if let Some(column) = place.strip_suffix(LEAD) {
                let of = models.entry(Column(column.to_owned())).or_default();
                LeadModel::decode(bytes).map(|lead| of.lead = Some(lead))
            } else {
                Ok(())
            };
            if let Err(error) = read {
                say(&error, place);
            }
        }
        Ok(models)
    }

    /// Keeps the models of some metrics. Only the holder of the lease does this, so they need no condition.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn put_models(
        &self,
        platform: &PlatformName,
        shard: u8,
        models: &BTreeMap<Column, Models>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let item = |column: &Column, kind: &str, bytes: Vec<u8>| Item {
            key: Key::new(partition(platform, shard), format!("{}{kind}", column.0)),
            revision: 1,
            body: Body::Bytes(bytes),
            expires: days_after(now, MODEL_DAYS),
        };
        let items = models.iter().flat_map(|(column, models)| {
            let load = models.load.as_ref().map(|load| item(column, LOAD, load.encode()));
            let lead = models.lead.as_ref().map(|lead| item(column, LEAD, lead.encode()));
            [load, lead]
        });
        Ok(self.state.put_many(items.flatten().collect()).await?)
    }
}

fn partition(platform: &PlatformName, shard: u8) -> String {
    format!("{platform}#models#{shard:02}")
}

fn say(error: &NotAModel, place: &str) {
    let name = match error {
        NotAModel::Version { .. } => "ModelVersion",
        NotAModel::Garbled { .. } => "ModelGarbled",
    };
    tracing::warn!(error.name = name, place, "{place} is trained anew: {error}");
}
