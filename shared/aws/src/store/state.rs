//! What is kept between the cycles of a platform: what they learned, and what people asked for.

use headroom_core::alert::Scaled;
use headroom_core::lease::Lease;
use headroom_core::name::PlatformName;
use headroom_core::report::Told;
use headroom_core::state::{OperatorRequests, PlatformState};
use serde::de::DeserializeOwned;

use super::{Store, StoreError, Versioned, value};
use crate::table::{Item, Key, Table};

/// Everything that is kept, as it was read at once.
#[derive(Clone, Debug)]
pub struct StoredState {
    /// Who may act.
    pub lease: Versioned<Lease>,
    /// What cycles learned, with what people asked for.
    pub state: Versioned<PlatformState>,
    /// What was scaled lately.
    pub scaled: Vec<Scaled>,
}

impl<T: Table> Store<T> {
    /// Lease, state and what was scaled, in one call.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn stored_state(&self, platform: &PlatformName) -> Result<StoredState, StoreError> {
        let keys = ["lease", "standing", "asked", "scaled"].map(|sort| Key::new(&platform.0, sort));
        let items = self.state.get_many(keys.to_vec()).await?;
        let mut state: Versioned<PlatformState> = of(&items, "standing")?;
        state.value.requests = of::<OperatorRequests>(&items, "asked")?.value;
        let scaled = of::<Vec<Scaled>>(&items, "scaled")?.value;
        Ok(StoredState { lease: of(&items, "lease")?, state, scaled })
    }

    /// What cycles learned, without what people asked for.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn platform_state(
        &self,
        platform: &PlatformName,
    ) -> Result<Versioned<PlatformState>, StoreError> {
        self.read(&Key::new(&platform.0, "standing")).await
    }

    /// Replaces what was read. What people asked for is not part of it.
    ///
    /// # Errors
    /// With a conflict when somebody else replaced it first.
    pub async fn put_platform_state(
        &self,
        platform: &PlatformName,
        read: &Versioned<PlatformState>,
        state: &PlatformState,
    ) -> Result<(), StoreError> {
        self.replace(Key::new(&platform.0, "standing"), read, state, None).await
    }

    /// What people asked for.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn requests(&self, platform: &PlatformName) -> Result<Versioned<OperatorRequests>, StoreError> {
        self.read(&Key::new(&platform.0, "asked")).await
    }

    /// When people were last told of what.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn told(&self, platform: &PlatformName) -> Result<Versioned<Told>, StoreError> {
        self.read(&Key::new(&platform.0, "told")).await
    }

    /// Replaces what was read.
    ///
    /// # Errors
    /// With a conflict when somebody else replaced it first.
    pub async fn put_told(
        &self,
        platform: &PlatformName,
        read: &Versioned<Told>,
        told: &Told,
    ) -> Result<(), StoreError> {
        self.replace(Key::new(&platform.0, "told"), read, told, None).await
    }

    /// Replaces what was read.
    ///
    /// # Errors
    /// With a conflict when somebody else replaced it first.
    pub async fn put_requests(
        &self,
        platform: &PlatformName,
        read: &Versioned<OperatorRequests>,
        requests: &OperatorRequests,
    ) -> Result<(), StoreError> {
        self.replace(Key::new(&platform.0, "asked"), read, requests, None).await
    }
}

fn of<V: DeserializeOwned + Default>(items: &[Item], sort: &str) -> Result<Versioned<V>, StoreError> {
    match items.iter().find(|item| item.key.sort == sort) {
        Some(item) => Ok(Versioned { value: value(item)?, revision: item.revision }),
        None => Ok(Versioned { value: V::default(), revision: 0 }),
    }
}

#[cfg(test)]
mod tests {
    use headroom_core::state::{Breaker, Override};
    use headroom_core::units::Units;
    use jiff::Timestamp;

    use super::*;
    use crate::table::MemoryTable;

    #[tokio::test]
    async fn what_people_ask_for_and_what_cycles_learn_do_not_meet() {
        let store = Store::new(MemoryTable::default(), MemoryTable::default(), MemoryTable::default());
        let platform: PlatformName = "shop".into();
        let read = store.stored_state(&platform).await.unwrap();
        assert_eq!((read.state.revision, &read.state.value), (0, &PlatformState::default()));
        let asked = store.requests(&platform).await.unwrap();
        let floor = Override {
            key: "web/desired".parse().unwrap(),
            units: Units(3),
            until: Timestamp::MAX,
            by: "ana".into(),
        };
        let wanted = OperatorRequests { overrides: vec![floor], ..OperatorRequests::default() };
        store.put_requests(&platform, &asked, &wanted).await.unwrap();
        // A cycle that read before somebody asked writes what it learned all the same.
        let mut learned = read.state.value.clone();
        learned.breakers.insert("web".into(), Breaker { failures: 1, failed_at: None });
        store.put_platform_state(&platform, &read.state, &learned).await.unwrap();
        let stands = store.stored_state(&platform).await.unwrap().state;
        assert_eq!((stands.revision, &stands.value.requests), (1, &wanted));
        assert_eq!(stands.value.breakers, learned.breakers);
        assert!(matches!(
            store.put_platform_state(&platform, &read.state, &learned).await,
            Err(StoreError::Conflict(_))
        ));
        assert!(matches!(store.put_requests(&platform, &asked, &wanted).await, Err(StoreError::Conflict(_))));
    }
}
