//! The shell of every function: logging, the meter, and errors with names.

use std::future::Future;
use std::time::{Duration, Instant, SystemTime};

use headroom_core::usage::INVOCATIONS;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::{Serialize, de::DeserializeOwned};

use crate::failure::Failure;
use crate::meter::Meter;
use crate::sdk::Aws;

/// Memory of a function where nothing says how much: the least there is.
const MEMORY_MB_DEFAULT: f64 = 128.0;

/// Runs a function until the environment ends. `handle` gets the request and returns the response.
///
/// # Errors
/// When the runtime cannot be reached.
pub async fn serve<Q, R, F, Fut>(aws: &Aws, handle: F) -> Result<(), lambda_runtime::Error>
where
    Q: DeserializeOwned,
    R: Serialize,
    F: Fn(Q) -> Fut,
    Fut: Future<Output = Result<R, Failure>>,
{
    let (handle, meter) = (&handle, &aws.meter);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Q>| async move {
        meter.take(); // Whatever a failed invocation before this one left.
        clock(meter);
        aws.time_left.ends_at(end_of(event.context.deadline));
        handle(event.payload).await.map_err(|error| {
            tracing::error!(error.name = error.name(), "{error}");
            Diagnostic { error_type: error.name().into(), error_message: told(&error) }
        })
    }))
    .await
}

/// The sentence of a failure for the state machine. Step Functions ends an execution whose state grows past 256 KiB, and a
/// person reads the first faults of a file and mends them; the log has all of them.
fn told(failure: &Failure) -> String {
    const LETTERS_MAX: usize = 8_000;
    let told = failure.to_string();
    match told.char_indices().nth(LETTERS_MAX) {
        Some((end, _)) => format!("{}... (the log has the rest)", told.get(..end).unwrap_or_default()),
        None => told,
    }
}

/// Sets up logging as Lambda's own settings ask for. Called once, before the first client is made.
pub fn logging() {
    lambda_runtime::tracing::init_default_subscriber();
}

/// Counts the invocation; its duration is added when the meter is read.
fn clock(meter: &Meter) {
    meter.add(INVOCATIONS, 1.0);
    meter.start(Instant::now(), memory_gb());
}

/// When Lambda ends the invocation, from its deadline in milliseconds since the epoch. A deadline that has passed before
/// the invocation began is none.
fn end_of(deadline_ms: u64) -> Option<Instant> {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let left = Duration::from_millis(deadline_ms).checked_sub(since_epoch)?;
    Instant::now().checked_add(left)
}

fn memory_gb() -> f64 {
    let text = std::env::var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").ok();
    text.and_then(|text| text.parse::<f64>().ok()).unwrap_or(MEMORY_MB_DEFAULT) / 1_024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_sentence_is_cut_and_says_so() {
        let failure = |letters: usize| Failure::StateCorrupt("\u{e4}".repeat(letters));
        let (short, long) = (told(&failure(100)), told(&failure(300_000)));
        assert_eq!(short, failure(100).to_string());
        assert!(long.ends_with("\u{e4}... (the log has the rest)"), "{}", long.len());
        assert!(long.chars().count() < 8_100);
    }
}
