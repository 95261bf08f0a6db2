//! forecast: predicts the load of a batch of dimensions from their history.
//!
//! It never fails a cycle: a metric that cannot be forecast says why, and its dimension falls back to the measured load.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use headroom_aws::configs::Configs;
use headroom_aws::failure::Failure;
use headroom_aws::meter::Meter;
use headroom_aws::sdk::Aws;
use headroom_aws::store::{DimensionForecasts, Store};
use headroom_aws::table::{DynamoTable, Table};
use headroom_core::cycle::{Batch, Cycle, ForecastRequest, ForecastResponse, Task};
use headroom_core::forecast::{TrainingBudget, forecast_metric};
use headroom_core::history::{Column, shard};
use headroom_core::platform::{Place, Platform};
use jiff::Timestamp;

/// What the function works with.
#[derive(Debug)]
pub struct Ports<T> {
    /// What is stored.
    pub store: Store<T>,
    /// Configurations already parsed.
    pub configs: Configs,
    /// Counts what is used.
    pub meter: Meter,
}

impl Ports<DynamoTable> {
    /// Ports to AWS, with the tables that the environment names.
    ///
    /// # Errors
    /// When a table is not named.
    pub fn new(aws: &Aws) -> Result<Self, std::env::VarError> {
        Ok(Ports { store: Store::from_env(aws)?, configs: Configs::default(), meter: aws.meter.clone() })
    }
}

/// Forecasts one batch.
///
/// # Errors
/// When what is stored cannot be read or written. The state machine then goes on without this batch.
pub async fn handle<T: Table>(
    ports: &Ports<T>,
    request: ForecastRequest,
) -> Result<ForecastResponse, Failure> {
    let ForecastRequest { cycle, config, batch } = request;
    let platform = ports.configs.get(&ports.store, &cycle.platform, &config).await?;
    let forecasts = forecast(ports, &platform, &cycle, &batch).await?;
    if cycle.task == Task::Scale {
        ports.store.put_forecasts(&cycle, &batch, &forecasts).await?;
    }
    let all = forecasts.iter().flat_map(|dimension| &dimension.forecasts);
    let (made, missing): (Vec<_>, Vec<_>) = all.partition(|forecast| forecast.outcome.is_ok());
    let (made, missing) = (made.len(), missing.len());
    tracing::info!(platform = %cycle.platform, cycle = %cycle.id, %batch, made, missing, "{made} forecasts, {missing} missing");
    Ok(ForecastResponse { batch, made, missing, usage: ports.meter.take() })
}

/// Models that an invocation may train: so many leave a cycle most of its minutes, and each of them is trained once a
/// day or less. What finds no room is due in the next cycle.
const TRAININGS_OF_A_CYCLE: usize = 20;
/// The same where training is what the execution is for: half of what the function's time is enough for.
const TRAININGS_OF_A_TRAINING: usize = 100;

async fn forecast<T: Table>(
    ports: &Ports<T>,
    platform: &Platform,
    cycle: &Cycle,
    batch: &Batch,
) -> Result<Vec<DimensionForecasts>, Failure> {
    let from = cycle.now.checked_sub(platform.predictive.training_period).unwrap_or(Timestamp::MIN);
    let trains = cycle.task == Task::Train;
    let left = if trains { TRAININGS_OF_A_TRAINING } else { TRAININGS_OF_A_CYCLE };
    let mut budget = TrainingBudget { all: trains, left };
    let state = ports.store.platform_state(&platform.name).await?.value;
    let mut forecasts = Vec::new();
    for mine in batch.shards() {
        let served = |place: &Place<'_>| place.dimension.facts.is_served;
        let places = platform.dimensions().filter(|place| shard(&place.resource.id) == mine && served(place));
        let places: Vec<Place<'_>> = places.collect();
        if places.is_empty() {
            continue;
        }
        let history = ports.store.chunks(&platform.name, mine, from).await?;
        let mut models = ports.store.models(&platform.name, mine).await?;
        let mut changed = BTreeMap::new();
        for place in places {
            let metrics = place.dimension.metrics.iter().filter(|metric| metric.measure.is_foreseen());
            let made = metrics.map(|metric| {
                let column = Column::new(&place.dimension.key, &metric.name);
                let known = models.remove(&column).unwrap_or_default();
                let update = forecast_metric(
                    platform,
                    &state,
                    (place, metric),
                    &history,
                    known,
                    cycle.now,
                    &mut budget,
                );
                changed.extend(update.models.map(|models| (column, models)));
                update.forecast
            });
            let forecasts_of = made.collect();
            forecasts.push(DimensionForecasts { key: place.dimension.key.clone(), forecasts: forecasts_of });
        }
        // Shard by shard: what was trained is kept, whatever becomes of the rest.
        ports.store.put_models(&platform.name, mine, &changed, cycle.now).await?;
    }
    Ok(forecasts)
}
