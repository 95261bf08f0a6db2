//! What stands between the cycles of a platform: what they learned, and what people asked for.

use headroom_core::alert::Scaled;
use headroom_core::decide::Standing;
use headroom_core::decide::standing::Asked;
use headroom_core::lease::Lease;
use headroom_core::name::PlatformName;
use serde::de::DeserializeOwned;

use super::{Store, StoreError, Versioned, value};
use crate::table::{Item, Key, Table};

/// Everything that stands, as it was read at once.
#[derive(Clone, Debug)]
pub struct Stands {
    /// Who may act.
    pub lease: Versioned<Lease>,
    /// What stands, with what people asked for.
    pub standing: Versioned<Standing>,
    /// What was scaled lately.
    pub scaled: Vec<Scaled>,
}

impl<T: Table> Store<T> {
    /// Lease, standing and what was scaled, in one call.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn stands(&self, platform: &PlatformName) -> Result<Stands, StoreError> {
        let keys = ["lease", "standing", "asked", "scaled"].map(|sort| Key::new(&platform.0, sort));
        let items = self.state.get_many(keys.to_vec()).await?;
        let mut standing: Versioned<Standing> = of(&items, "standing")?;
        standing.value.asked = of::<Asked>(&items, "asked")?.value;
        let scaled = of::<Vec<Scaled>>(&items, "scaled")?.value;
        Ok(Stands { lease: of(&items, "lease")?, standing, scaled })
    }

    /// What cycles learned, without what people asked for.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn standing(&self, platform: &PlatformName) -> Result<Versioned<Standing>, StoreError> {
        self.read(&Key::new(&platform.0, "standing")).await
    }

    /// Replaces what was read. What people asked for is not part of it.
    ///
    /// # Errors
    /// With a conflict when somebody else replaced it first.
    pub async fn put_standing(
        &self,
        platform: &PlatformName,
        read: &Versioned<Standing>,
        standing: &Standing,
    ) -> Result<(), StoreError> {
        self.replace(Key::new(&platform.0, "standing"), read, standing, None).await
    }

    /// What people asked for.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn asked(&self, platform: &PlatformName) -> Result<Versioned<Asked>, StoreError> {
        self.read(&Key::new(&platform.0, "asked")).await
    }

    /// Replaces what was read.
    ///
    /// # Errors
    /// With a conflict when somebody else replaced it first.
    pub async fn put_asked(
        &self,
        platform: &PlatformName,
        read: &Versioned<Asked>,
        asked: &Asked,
    ) -> Result<(), StoreError> {
        self.replace(Key::new(&platform.0, "asked"), read, asked, None).await
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
    use headroom_core::decide::Breaker;
    use headroom_core::decide::standing::Override;
    use headroom_core::units::Units;
    use jiff::Timestamp;

    use super::*;
    use crate::table::MemoryTable;

    #[tokio::test]
    async fn what_people_ask_for_and_what_cycles_learn_do_not_meet() {
        let store = Store::new(MemoryTable::default(), MemoryTable::default(), MemoryTable::default());
        let platform: PlatformName = "shop".into();
        let read = store.stands(&platform).await.unwrap();
        assert_eq!((read.standing.revision, &read.standing.value), (0, &Standing::default()));
        let asked = store.asked(&platform).await.unwrap();
        let floor = Override {
            key: "web/desired".parse().unwrap(),
            units: Units(3),
            until: Timestamp::MAX,
            by: "ana".into(),
        };
        let wanted = Asked { overrides: vec![floor], ..Asked::default() };
        store.put_asked(&platform, &asked, &wanted).await.unwrap();
        // A cycle that read before somebody asked writes what it learned all the same.
        let mut learned = read.standing.value.clone();
        learned.breakers.insert("web".into(), Breaker { failures: 1, failed_at: None });
        store.put_standing(&platform, &read.standing, &learned).await.unwrap();
        let stands = store.stands(&platform).await.unwrap().standing;
        assert_eq!((stands.revision, &stands.value.asked), (1, &wanted));
        assert_eq!(stands.value.breakers, learned.breakers);
        assert!(matches!(
            store.put_standing(&platform, &read.standing, &learned).await,
            Err(StoreError::Conflict(_))
        ));
        assert!(matches!(store.put_asked(&platform, &asked, &wanted).await, Err(StoreError::Conflict(_))));
    }
}
