//! Counts every call to AWS, where it is made: once for each attempt, because attempts are what is billed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use headroom_core::usage::{GB_SECONDS, Usage};

/// What was used since it was last taken. Clones share their counters.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<Counters>>);

#[derive(Debug, Default)]
struct Counters {
    usage: Usage,
    /// When the invocation began, and the memory it holds in GB.
    running: Option<(Instant, f64)>,
}

impl Meter {
    /// Adds to a counter.
    pub fn add(&self, counter: &str, amount: f64) {
        self.counters().usage.add(counter, amount);
    }

    /// Starts the clock of an invocation.
    pub fn start(&self, at: Instant, memory_gb: f64) {
        self.counters().running = Some((at, memory_gb));
    }

    /// What was used, the time since the start included; starts anew.
    pub fn take(&self) -> Usage {
        let Counters { mut usage, running } = std::mem::take(&mut *self.counters());
        if let Some((at, memory_gb)) = running {
            usage.add(GB_SECONDS, at.elapsed().as_secs_f64() * memory_gb);
        }
        usage
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[dyn_dispatch_hint]
impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(metadata) = config.load::<Metadata>() {
            self.add(&format!("{}:{}", metadata.service(), metadata.name()), 1.0);
        }
        Ok(())
    }
}
