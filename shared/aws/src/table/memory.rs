//! Tables in memory with the rules of DynamoDB, for tests of what is built on them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{BODY_BYTES_MAX, Expect, Item, Key, PutError, Table};
use crate::error::{AwsError, ErrorKind};
use crate::fakes::Break;

/// A table in memory with the same rules. Clones share their items.
#[derive(Clone, Debug, Default)]
pub struct MemoryTable(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    items: BTreeMap<Key, Item>,
    calls: usize,
    breaks: Option<Break>,
    refuses_queries: bool,
}

impl MemoryTable {
    /// Everything in it, in order.
    pub fn all(&self) -> Vec<Item> {
        self.state().items.values().cloned().collect()
    }

    /// Calls so far, or since the last break was set.
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    /// Breaks a later call, counted from now; or none.
    pub fn breaks(&self, at: Option<Break>) {
        let mut state = self.state();
        state.breaks = at;
        state.calls = 0;
    }

    /// From now on queries are refused, as for a role that lacks them.
    pub fn refuses_queries(&self) {
        self.state().refuses_queries = true;
    }

    fn may_query(&self) -> Result<(), AwsError> {
        let refused = || AwsError::new(ErrorKind::Denied, "query a table", "refused on purpose");
        if self.state().refuses_queries { Err(refused()) } else { Ok(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call: what it does, unless it breaks before it, and its answer, unless that is lost.
    fn call<V>(&self, act: impl FnOnce(&mut BTreeMap<Key, Item>) -> V) -> Result<V, AwsError> {
        let mut state = self.state();
        state.calls += 1;
        let broken = state.breaks.filter(|at| at.call() == state.calls);
        let lost = || AwsError::new(ErrorKind::Unavailable, "use a table", "broken on purpose");
        if let Some(Break::Before(_)) = broken {
            return Err(lost());
        }
        let done = act(&mut state.items);
        if broken.is_some() { Err(lost()) } else { Ok(done) }
    }
}

impl Table for MemoryTable {
    async fn get(&self, key: &Key) -> Result<Option<Item>, AwsError> {
        self.call(|items| items.get(key).cloned())
    }

    async fn get_many(&self, keys: Vec<Key>) -> Result<Vec<Item>, AwsError> {
        self.call(|items| keys.iter().filter_map(|key| items.get(key).cloned()).collect())
    }

    async fn put(&self, item: Item, expect: Expect) -> Result<(), PutError> {
        self.call(|items| put(items, item, expect))?
    }

    async fn put_many(&self, new: Vec<Item>) -> Result<(), AwsError> {
        self.call(|items| new.into_iter().try_for_each(|item| put(items, item, Expect::Anything)))?.map_err(
            |error| match error {
                PutError::Aws(error) => error,
                PutError::Conflict(key) => AwsError::new(ErrorKind::Invalid, "write", key),
            },
        )
    }

    async fn range(&self, partition: &str, from: &str, to: &str) -> Result<Vec<Item>, AwsError> {
        self.may_query()?;
        let (from, to) = (Key::new(partition, from), Key::new(partition, to));
        self.call(|items| match from <= to {
            true => items.range(from..=to).map(|(_, item)| item.clone()).collect(),
            false => Vec::new(),
        })
    }

    async fn newest(&self, partition: &str, to: &str, most: usize) -> Result<Vec<Item>, AwsError> {
        self.may_query()?;
        let (from, to) = (Key::new(partition, ""), Key::new(partition, to));
        self.call(|items| items.range(from..=to).rev().take(most).map(|(_, item)| item.clone()).collect())
    }
}

fn put(items: &mut BTreeMap<Key, Item>, item: Item, expect: Expect) -> Result<(), PutError> {
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
        return Err(AwsError::new(ErrorKind::Limit, "write", "too large").into());
    }
    items.insert(item.key.clone(), item);
    Ok(())
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
