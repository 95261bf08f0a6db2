//! Tables in memory with the rules of DynamoDB, for tests of what is built on them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{BODY_BYTES_MAX, Expect, Item, Key, PutError, Table};
use crate::error::{AwsError, Kind};

/// A table in memory with the same rules, for tests. Clones share their items.
#[derive(Clone, Debug, Default)]
pub struct MemoryTable(Arc<Mutex<BTreeMap<Key, Item>>>);

impl MemoryTable {
    fn items(&self) -> MutexGuard<'_, BTreeMap<Key, Item>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything in it, in order.
    pub fn all(&self) -> Vec<Item> {
        self.items().values().cloned().collect()
    }
}

impl Table for MemoryTable {
    async fn get(&self, key: &Key) -> Result<Option<Item>, AwsError> {
        Ok(self.items().get(key).cloned())
    }

    async fn get_many(&self, keys: Vec<Key>) -> Result<Vec<Item>, AwsError> {
        Ok(keys.iter().filter_map(|key| self.items().get(key).cloned()).collect())
    }

    async fn put(&self, item: Item, expect: Expect) -> Result<(), PutError> {
        let mut items = self.items();
        let found = items.get(&item.key).map(|item| item.revision);
        let expected = match expect {
            Expect::Anything => true,
            Expect::Absent => found.is_none(),
            Expect::Revision(revision) => found == Some(revision),
        };
        if !expected {
            return Err(PutError::Conflict(item.key.sort));
        }
        if BODY_BYTES_MAX < item.body.len() {
            return Err(AwsError::new(Kind::Limit, "write", "too large").into());
        }
        items.insert(item.key.clone(), item);
        Ok(())
    }

    async fn put_many(&self, items: Vec<Item>) -> Result<(), AwsError> {
        for item in items {
            match self.put(item, Expect::Anything).await {
                Ok(()) => (),
                Err(PutError::Aws(error)) => return Err(error),
                Err(PutError::Conflict(key)) => return Err(AwsError::new(Kind::Invalid, "write", key)),
            }
        }
        Ok(())
    }

    async fn range(&self, partition: &str, from: &str, to: &str) -> Result<Vec<Item>, AwsError> {
        let (from, to) = (Key::new(partition, from), Key::new(partition, to));
        if to < from {
            return Ok(Vec::new());
        }
        Ok(self.items().range(from..=to).map(|(_, item)| item.clone()).collect())
    }

    async fn newest(&self, partition: &str, to: &str, most: usize) -> Result<Vec<Item>, AwsError> {
        let (from, to) = (Key::new(partition, ""), Key::new(partition, to));
        Ok(self.items().range(from..=to).rev().take(most).map(|(_, item)| item.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Body;
    use super::*;

    fn text(sort: &str, revision: u64, body: &str) -> Item {
        Item { key: Key::new("shop", sort), revision, body: Body::Text(body.into()), expires: None }
    }

    #[tokio::test]
    async fn the_second_writer_of_a_revision_is_told() {
        let table = MemoryTable::default();
        table.put(text("lease", 1, "a"), Expect::Absent).await.unwrap();
        assert!(matches!(table.put(text("lease", 1, "b"), Expect::Absent).await, Err(PutError::Conflict(_))));
        table.put(text("lease", 2, "c"), Expect::Revision(1)).await.unwrap();
        assert!(matches!(
            table.put(text("lease", 2, "d"), Expect::Revision(1)).await,
            Err(PutError::Conflict(_))
        ));
        assert_eq!(
            table.get(&Key::new("shop", "lease")).await.unwrap().unwrap().body,
            Body::Text("c".into())
        );
    }

    #[tokio::test]
    async fn ranges_include_both_ends() {
        let table = MemoryTable::default();
        table.put_many(["a", "b", "c", "d"].map(|sort| text(sort, 1, "")).to_vec()).await.unwrap();
        let sorts = |items: Vec<Item>| items.into_iter().map(|item| item.key.sort).collect::<String>();
        assert_eq!(sorts(table.range("shop", "b", "c").await.unwrap()), "bc");
        assert_eq!(sorts(table.newest("shop", "c", 2).await.unwrap()), "cb");
        assert_eq!(sorts(table.range("shop", "c", "b").await.unwrap()), "");
    }
}
