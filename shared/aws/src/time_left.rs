//! How much of its time the running invocation has left.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much of its time the running invocation has left. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct TimeLeft(Arc<Mutex<Source>>);

#[derive(Debug, Default)]
enum Source {
    /// Nobody ends it.
    #[default]
    Unlimited,
    /// Lambda ends it then.
    Until(Instant),
    /// It may be asked so often before its time is over.
    #[cfg(any(test, feature = "fakes"))]
    Answers(usize),
}

impl TimeLeft {
    /// An invocation begins that ends then; without an end it may take any time.
    pub fn ends_at(&self, at: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at.map_or(Source::Unlimited, Source::Until);
    }

    /// Time for so many pieces of work, for tests: it is over when it was asked for more.
    #[cfg(any(test, feature = "fakes"))]
    pub fn of_pieces(pieces: usize) -> TimeLeft {
        TimeLeft(Arc::new(Mutex::new(Source::Answers(pieces))))
    }

    /// Whether there is time for something that takes so long.
    pub fn is_enough_for(&self, needed: Duration) -> bool {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Source::Unlimited => true,
            Source::Until(at) => needed <= at.saturating_duration_since(Instant::now()),
            #[cfg(any(test, feature = "fakes"))]
            Source::Answers(left) => {
                let enough = 0 < *left;
                *left = left.saturating_sub(1);
                enough
            }
        }
    }
}
