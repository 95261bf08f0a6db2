//! A table of versioned items: the one shape in which everything is stored.
//!
//! Every item has a revision. Writes that matter say which revision they replace, so that what two functions do at the
//! same time is noticed by the second.

mod dynamo;
#[cfg(any(test, feature = "fakes"))]
mod memory;

use std::future::Future;

pub use dynamo::DynamoTable;
use jiff::Timestamp;
#[cfg(any(test, feature = "fakes"))]
pub use memory::MemoryTable;

use crate::error::AwsError;

/// DynamoDB refuses items above 400 KB, names and numbers included.
pub const BODY_BYTES_MAX: usize = 390_000;
/// An item: a key, a revision, a body.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Where it stands.
    pub key: Key,
    /// How often it was written, from 1.
    pub revision: u64,
    /// What it says.
    pub body: Body,
    /// When it may go.
    pub expires: Option<Timestamp>,
}

/// A partition and a place in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The partition.
    pub partition: String,
    /// The place, by which a partition is sorted.
    pub sort: String,
}

impl Key {
    /// A key.
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> Key {
        Key { partition: partition.into(), sort: sort.into() }
    }
}

/// What an item says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Text that a person can read in the console.
    Text(String),
    /// Bytes, where text would cost too much.
    Bytes(Vec<u8>),
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Body::Text(text) => text.len(),
            Body::Bytes(bytes) => bytes.len(),
        }
    }
}

/// What a write expects to replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is there.
    Anything,
    /// Nothing.
    Absent,
    /// This revision.
    Revision(u64),
}

/// Why a write was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// Somebody else wrote first.
    #[error("{0} was written by somebody else meanwhile")]
    Conflict(String),
    /// The call failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

/// A table.
pub trait Table: Send + Sync {
    /// The item at a key.
    fn get(&self, key: &Key) -> impl Future<Output = Result<Option<Item>, AwsError>> + Send;

    /// The items at some keys, in any order, without those that are not there.
    fn get_many(&self, keys: Vec<Key>) -> impl Future<Output = Result<Vec<Item>, AwsError>> + Send;

    /// Writes an item if what is there is what was expected.
    fn put(&self, item: Item, expect: Expect) -> impl Future<Output = Result<(), PutError>> + Send;

    /// Writes items whatever is there.
    fn put_many(&self, items: Vec<Item>) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// The items of a partition from one place to another, both included, in order.
    fn range(
        &self,
        partition: &str,
        from: &str,
        to: &str,
    ) -> impl Future<Output = Result<Vec<Item>, AwsError>> + Send;

    /// The newest items of a partition at or before a place, newest first, `most` of them.
    fn newest(
        &self,
        partition: &str,
        to: &str,
        most: usize,
    ) -> impl Future<Output = Result<Vec<Item>, AwsError>> + Send;
}
