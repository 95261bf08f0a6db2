//! Plans and their journal.

use headroom_core::journal::{Entry, StepEvent};
use headroom_core::name::{PlanId, PlatformName};
use headroom_core::plan::{Plan, STEPS_PER_BATCH, Step, StepId, Wave};
use headroom_core::world::Change;
use jiff::Timestamp;

use super::{Store, StoreError, Versioned, days_after, json, value};
use crate::table::{Item, Key, Table};

/// Plans and journals are the record of what was done to a platform; three months of them answer most questions.
const JOURNAL_DAYS: i64 = 90;
/// Items that are asked for together: as many keys as DynamoDB takes in one call.
const BATCHES_ASKED: usize = 100;
/// The key of a batch has four digits.
const BATCHES_MAX: usize = 10_000;

impl<T: Table> Store<T> {
    /// Keeps a plan: its batches of steps first, then its head, without which it does not exist.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn put_plan(&self, platform: &PlatformName, plan: &Plan) -> Result<(), StoreError> {
        let expires = days_after(plan.made_at, JOURNAL_DAYS);
        let mut items = Vec::new();
        for (wave, steps) in plan.waves.iter().enumerate() {
            for (batch, steps) in steps.steps.chunks(STEPS_PER_BATCH).enumerate() {
                let key = batch_key(platform, &plan.id, wave, batch);
                items.push(Item { body: json(&key, &steps)?, key, revision: 1, expires });
            }
        }
        let bare = |wave: &Wave| Wave { steps: Vec::new(), ..wave.clone() };
        let head = Plan { waves: plan.waves.iter().map(bare).collect(), ..plan.clone() };
        self.state.put_many(items).await?;
        let key = head_key(platform, &plan.id);
        self.state.put_many(vec![Item { body: json(&key, &head)?, key, revision: 1, expires }]).await?;
        Ok(())
    }

    /// A plan without its steps, so that it stays small.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub async fn plan_head(&self, platform: &PlatformName, id: &PlanId) -> Result<Plan, StoreError> {
        let key = head_key(platform, id);
        let item = self.state.get(&key).await?.ok_or_else(|| StoreError::Missing(format!("plan {id}")))?;
        value(&item)
    }

    /// A whole plan.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub async fn plan(&self, platform: &PlatformName, id: &PlanId) -> Result<Plan, StoreError> {
        let mut plan = self.plan_head(platform, id).await?;
        let items =
            self.state.range(&plan_partition(platform), &format!("{id}#"), &format!("{id}#~")).await?;
        let waves = plan.waves.iter_mut().enumerate();
        for (wave, into) in waves {
            let prefix = format!("{id}#{wave:03}#");
            for item in items.iter().filter(|item| item.key.sort.starts_with(&prefix)) {
                into.steps.extend(value::<Vec<Step>>(item)?);
            }
        }
        Ok(plan)
    }

    /// A whole plan, read by the keys of its items: collect-metrics, which takes plans over, may not query.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub async fn plan_by_keys(&self, platform: &PlatformName, id: &PlanId) -> Result<Plan, StoreError> {
        let mut plan = self.plan_head(platform, id).await?;
        for (wave, into) in plan.waves.iter_mut().enumerate() {
            for first in (0..BATCHES_MAX).step_by(BATCHES_ASKED) {
                let batches = first..first + BATCHES_ASKED;
                let keys = batches.map(|batch| batch_key(platform, id, wave, batch)).collect();
                let items = self.state.get_many(keys).await?;
                for item in &items {
                    into.steps.extend(value::<Vec<Step>>(item)?);
                }
                if items.len() < BATCHES_ASKED {
                    break;
                }
            }
            if into.steps.is_empty() {
                return Err(StoreError::Missing(format!("wave {wave} of plan {id}")));
            }
        }
        Ok(plan)
    }

    /// The journal of a plan, read by the keys of its entries, for the same reason. A step without one was never begun.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn journal_by_keys(
        &self,
        platform: &PlatformName,
        plan: &Plan,
    ) -> Result<Vec<Entry>, StoreError> {
        let waves = plan.waves.iter().enumerate();
        let steps = waves.flat_map(|(wave, steps)| steps.steps.iter().map(move |step| (wave, step)));
        let keys: Vec<Key> =
            steps.map(|(wave, step)| entry_key(platform, &plan.id, wave, &step.id)).collect();
        let mut entries = Vec::new();
        for keys in keys.chunks(BATCHES_ASKED) {
            let items = self.state.get_many(keys.to_vec()).await?;
            entries.extend(items.iter().map(value).collect::<Result<Vec<Entry>, StoreError>>()?);
        }
        Ok(entries)
    }

    /// The steps of one batch.
    ///
    /// # Errors
    /// When they are not there or cannot be read.
    pub async fn steps(
        &self,
        platform: &PlatformName,
        id: &PlanId,
        wave: usize,
        batch: usize,
    ) -> Result<Vec<Step>, StoreError> {
        let key = batch_key(platform, id, wave, batch);
        let item = self.state.get(&key).await?.ok_or_else(|| StoreError::Missing(key.sort.clone()))?;
        value(&item)
    }

    /// The journal of a plan.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn journal(
        &self,
        platform: &PlatformName,
        id: &PlanId,
    ) -> Result<Vec<Versioned<Entry>>, StoreError> {
        self.entries(platform, &format!("{id}#"), &format!("{id}#~")).await
    }

    /// Writes an entry over the one that was read.
    ///
    /// # Errors
    /// With a conflict when somebody else wrote it first.
    pub async fn put_entry(
        &self,
        platform: &PlatformName,
        read: &Versioned<Entry>,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let at = entry.events.last().map_or(Timestamp::UNIX_EPOCH, |happened| happened.at);
        let key = entry_key(platform, &entry.plan, entry.wave, &entry.step.id);
        self.replace(key, read, entry, days_after(at, JOURNAL_DAYS)).await
    }

    /// The journal of every plan that was made since a time.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn journal_since(
        &self,
        platform: &PlatformName,
        since: Timestamp,
    ) -> Result<Vec<Entry>, StoreError> {
        let entries = self.entries(platform, &since.as_second().to_string(), "~").await?;
        Ok(entries.into_iter().map(|entry| entry.value).collect())
    }

    /// Changes made since a time, oldest first: those of steps that hold, and those that rolled them back.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn changes(
        &self,
        platform: &PlatformName,
        since: Timestamp,
    ) -> Result<Vec<Change>, StoreError> {
        let from = since.as_second().to_string();
        let mut changes: Vec<Change> = Vec::new();
        for Versioned { value: entry, .. } in self.entries(platform, &from, "~").await? {
            for happened in &entry.events {
                let step = match happened.event {
                    StepEvent::Succeeded => entry.step.clone(),
                    StepEvent::UndoSucceeded => entry.step.undo(),
                    _ => continue,
                };
                changes.extend(step.changes.into_iter().map(|change| Change {
                    key: change.key,
                    at: happened.at,
                    from: change.expected,
                    to: change.target,
                }));
            }
        }
        changes.sort_by_key(|change| change.at);
        Ok(changes)
    }

    async fn entries(
        &self,
        platform: &PlatformName,
        from: &str,
        to: &str,
    ) -> Result<Vec<Versioned<Entry>>, StoreError> {
        let items = self.state.range(&format!("{platform}#journal"), from, to).await?;
        items.iter().map(|item| Ok(Versioned { value: value(item)?, revision: item.revision })).collect()
    }
}

fn plan_partition(platform: &PlatformName) -> String {
    format!("{platform}#plan")
}

fn head_key(platform: &PlatformName, id: &PlanId) -> Key {
    Key::new(plan_partition(platform), &id.0)
}

fn batch_key(platform: &PlatformName, id: &PlanId, wave: usize, batch: usize) -> Key {
    Key::new(plan_partition(platform), format!("{id}#{wave:03}#{batch:04}"))
}

fn entry_key(platform: &PlatformName, id: &PlanId, wave: usize, step: &StepId) -> Key {
    Key::new(format!("{platform}#journal"), format!("{id}#{wave:03}#{step}"))
}
