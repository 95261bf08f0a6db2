//! What a cycle saw, expected, decided and achieved: the record from which everything can be explained.

use headroom_core::cycle::{Batch, Cycle};
use headroom_core::decide::Decision;
use headroom_core::forecast::MetricForecast;
use headroom_core::journal::Entry;
use headroom_core::name::{CycleId, DimensionKey, PlatformName};
use headroom_core::observe::Observation;
use headroom_core::plan::Plan;
use headroom_core::report::CycleRecord;
use headroom_core::settle::Outcome;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Store, StoreError, days_after, json, split, value};
use crate::table::{Item, Key, Table};

/// Observations only serve their cycle, and a look back over a weekend.
const OBSERVED_DAYS: i64 = 4;
/// Forecasts are compared with what came; a month of that tells how good they are.
const FORECAST_DAYS: i64 = 30;
/// Decisions answer the question why; a quarter of a year of that.
const DECISION_DAYS: i64 = 90;

/// What is forecast of one dimension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DimensionForecasts {
    /// Which dimension.
    pub key: DimensionKey,
    /// One for each of its metrics.
    pub forecasts: Vec<MetricForecast>,
}

impl<T: Table> Store<T> {
    /// Keeps what a cycle observed of a batch.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn put_observations(
        &self,
        cycle: &Cycle,
        batch: &Batch,
        observed: &[Observation],
    ) -> Result<(), StoreError> {
        let key = Key::new(cycle_partition(&cycle.platform), format!("{}#observed#{batch}", cycle.id));
        let items = parts(&key, observed, days_after(cycle.now, OBSERVED_DAYS))?;
        Ok(self.state.put_many(items).await?)
    }

    /// What a cycle observed of every batch.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn observations(
        &self,
        platform: &PlatformName,
        cycle: &CycleId,
    ) -> Result<Vec<Observation>, StoreError> {
        let prefix = format!("{cycle}#observed#");
        all(&self.state.range(&cycle_partition(platform), &prefix, &format!("{prefix}~")).await?)
    }

    /// Keeps the forecasts of a batch.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn put_forecasts(
        &self,
        cycle: &Cycle,
        batch: &Batch,
        forecasts: &[DimensionForecasts],
    ) -> Result<(), StoreError> {
        let key = Key::new(&cycle.platform.0, format!("{}#{batch}", place(cycle.now, &cycle.id)));
        Ok(self.forecasts.put_many(parts(&key, forecasts, days_after(cycle.now, FORECAST_DAYS))?).await?)
    }

    /// The forecasts of every batch of a cycle.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn forecasts(
        &self,
        platform: &PlatformName,
        now: Timestamp,
        cycle: &CycleId,
    ) -> Result<Vec<DimensionForecasts>, StoreError> {
        let prefix = format!("{}#", place(now, cycle));
        all(&self.forecasts.range(&platform.0, &prefix, &format!("{prefix}~")).await?)
    }

    /// The forecasts that were made from one time to another, both included, each with its time.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn forecasts_between(
        &self,
        platform: &PlatformName,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(Timestamp, DimensionForecasts)>, StoreError> {
        let (from, to) = (second(from), format!("{}#~", second(to)));
        let mut made = Vec::new();
        for item in self.forecasts.range(&platform.0, &from, &to).await? {
            let at = item.key.sort.split('#').next().and_then(|at| at.parse().ok());
            let Some(at) = at else { continue };
            let forecasts: Vec<DimensionForecasts> = value(&item)?;
            made.extend(forecasts.into_iter().map(|forecast| (at, forecast)));
        }
        Ok(made)
    }

    /// Keeps the decisions of a cycle.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn put_decisions(&self, cycle: &Cycle, decisions: &[Decision]) -> Result<(), StoreError> {
        let key = Key::new(&cycle.platform.0, format!("{}#decided", place(cycle.now, &cycle.id)));
        Ok(self.decisions.put_many(parts(&key, decisions, days_after(cycle.now, DECISION_DAYS))?).await?)
    }

    /// The decisions of a cycle.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn decisions(
        &self,
        platform: &PlatformName,
        now: Timestamp,
        cycle: &CycleId,
    ) -> Result<Vec<Decision>, StoreError> {
        let prefix = format!("{}#decided#", place(now, cycle));
        all(&self.decisions.range(&platform.0, &prefix, &format!("{prefix}~")).await?)
    }

    /// The decisions of the last cycle that decided for a time from one to another, both included; none if none did.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn decided_between(
        &self,
        platform: &PlatformName,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Decision>, StoreError> {
        let (from, to) = (second(from), format!("{}#~", second(to)));
        let items = self.decisions.range(&platform.0, &from, &to).await?;
        let cycle = |item: &Item| item.key.sort.rsplit_once("#decided#").map(|(cycle, _)| cycle.to_owned());
        let last = items.iter().rev().find_map(cycle);
        let mine: Vec<Item> =
            items.into_iter().filter(|item| last.is_some() && cycle(item) == last).collect();
        all(&mine)
    }

    /// The newest cycles that ended, newest first: when, and how.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn outcomes(
        &self,
        platform: &PlatformName,
        most: usize,
    ) -> Result<Vec<(Timestamp, Outcome)>, StoreError> {
        // Decisions and outcomes of a cycle stand side by side, so twice as many items hold as many outcomes.
        let items = self.decisions.newest(&platform.0, "~", most.saturating_mul(2)).await?;
        let ended = items.iter().filter(|item| item.key.sort.ends_with("#outcome"));
        let told = ended.filter_map(|item| Some((item.key.sort.split('#').next()?.parse().ok()?, item)));
        told.take(most).map(|(now, item)| Ok((now, value(item)?))).collect()
    }

    /// Keeps how a cycle ended.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn put_outcome(
        &self,
        platform: &PlatformName,
        now: Timestamp,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        let key = Key::new(&platform.0, format!("{}#outcome", place(now, &outcome.cycle_id)));
        let item =
            Item { body: json(&key, outcome)?, key, revision: 1, expires: days_after(now, DECISION_DAYS) };
        Ok(self.decisions.put_many(vec![item]).await?)
    }
}

/// Times sort as text; the cycle tells two of the same time apart.
fn place(now: Timestamp, cycle: &CycleId) -> String {
    format!("{}#{cycle}", second(now))
}

fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn cycle_partition(platform: &PlatformName) -> String {
    format!("{platform}#cycle")
}

/// Values in as many items as they need.
fn parts<V: Serialize + Clone>(
    key: &Key,
    values: &[V],
    expires: Option<Timestamp>,
) -> Result<Vec<Item>, StoreError> {
    let parts = split(key, values)?.into_iter().enumerate();
    let items = parts.map(|(part, (_, body))| Item {
        key: Key::new(&key.partition, format!("{}#{part:03}", key.sort)),
        revision: 1,
        body,
        expires,
    });
    Ok(items.collect())
}

fn all<V: DeserializeOwned>(items: &[Item]) -> Result<Vec<V>, StoreError> {
    let parts: Result<Vec<Vec<V>>, StoreError> = items.iter().map(value).collect();
    Ok(parts?.into_iter().flatten().collect())
}

/// Cycles among which one is looked for that has just ended: others may have ended meanwhile, but not many.
const JUST_ENDED: usize = 10;

/// Everything stored about one cycle.
#[derive(Clone, Debug)]
pub struct StoredCycleRecord {
    now: Timestamp,
    observations: Vec<Observation>,
    forecasts: Vec<(DimensionKey, Vec<MetricForecast>)>,
    decisions: Vec<Decision>,
    plan: Option<Plan>,
    entries: Vec<Entry>,
    outcome: Outcome,
}

impl StoredCycleRecord {
    /// How the cycle ended.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// As it is told.
    pub fn as_record<'a>(&'a self, platform: &'a PlatformName) -> CycleRecord<'a> {
        CycleRecord {
            platform,
            now: self.now,
            observations: &self.observations,
            forecasts: &self.forecasts,
            decisions: &self.decisions,
            plan: self.plan.as_ref(),
            entries: &self.entries,
            outcome: Some(&self.outcome),
        }
    }
}

impl<T: Table> Store<T> {
    /// The newest cycles that ended, newest first, each with everything stored about it.
    ///
    /// # Errors
    /// When something cannot be read.
    pub async fn records(
        &self,
        platform: &PlatformName,
        most: usize,
    ) -> Result<Vec<StoredCycleRecord>, StoreError> {
        let mut records = Vec::new();
        for (now, outcome) in self.outcomes(platform, most).await? {
            records.push(self.record(platform, now, outcome).await?);
        }
        Ok(records)
    }

    /// Everything stored about a cycle that has just ended; `None` if it left no record.
    ///
    /// # Errors
    /// When something cannot be read.
    pub async fn record_of(
        &self,
        platform: &PlatformName,
        cycle: &CycleId,
    ) -> Result<Option<StoredCycleRecord>, StoreError> {
        let outcomes = self.outcomes(platform, JUST_ENDED).await?;
        match outcomes.into_iter().find(|(_, outcome)| outcome.cycle_id == *cycle) {
            Some((now, outcome)) => self.record(platform, now, outcome).await.map(Some),
            None => Ok(None),
        }
    }

    async fn record(
        &self,
        platform: &PlatformName,
        now: Timestamp,
        outcome: Outcome,
    ) -> Result<StoredCycleRecord, StoreError> {
        let id = &outcome.cycle_id;
        let plan = match &outcome.plan_id {
            Some(plan) => Some(self.plan(platform, plan).await?),
            None => None,
        };
        let entries = match &outcome.plan_id {
            Some(plan) => self.journal(platform, plan).await?.into_iter().map(|entry| entry.value).collect(),
            None => Vec::new(),
        };
        let forecasts = self.forecasts(platform, now, id).await?;
        Ok(StoredCycleRecord {
            now,
            observations: self.observations(platform, id).await?,
            forecasts: forecasts.into_iter().map(|made| (made.key, made.forecasts)).collect(),
            decisions: self.decisions(platform, now, id).await?,
            plan,
            entries,
            outcome,
        })
    }
}
