//! The lead window of a dimension as its model needs it: from its platform, and from what was learned.

use std::time::Duration;

use headroom_forecast::lead_window::LeadSetting;

use crate::platform::{Place, Platform};
use crate::state::{EMPTY, LeadWindows, PlatformState};

/// The setting of a metric of a dimension of which one unit carries `unit`.
pub(crate) fn lead_setting(
    platform: &Platform,
    state: &PlatformState,
    place: Place<'_>,
    unit: f64,
) -> LeadSetting {
    let seconds = |span: Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
    let window = |state| LeadWindows::of(platform, state).window(place.group, place.resource);
    let (guess, learned) = (window(&EMPTY), window(state));
    let provisioning = stepped(guess.provisioning, learned.provisioning);
    LeadSetting { provisioning_s: seconds(provisioning), cycle_s: seconds(learned.cycle), unit }
}

/// What was learned of a time, in steps of a quarter from the first guess: a model is for one lead window, and would have to
/// be trained anew with every second of it.
fn stepped(guess: Duration, learned: Duration) -> Duration {
    const STEP: f64 = 1.25;
    let (guess_s, learned_s) = (guess.as_secs_f64(), learned.as_secs_f64());
    if guess_s <= 0.0 || learned_s <= 0.0 {
        return learned;
    }
    let steps = (learned_s / guess_s).log(STEP).round();
    Duration::from_secs_f64((guess_s * STEP.powf(steps)).min(f64::from(u32::MAX)).round())
}
