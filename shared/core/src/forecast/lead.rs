//! The lead window of a dimension, as the model of its metric needs it.

use std::time::Duration;

use headroom_forecast::lead_window::LeadSetting;

use crate::platform::{Place, Platform};
use crate::state::{EMPTY, LeadWindows, PlatformState};

/// The setting for a metric of a dimension, of which one unit carries `unit`: from the platform file and learned times.
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

/// The learned time rounded to steps of 25 % from the first guess. A model is trained for one lead window, and without steps
/// it would have to be trained again for each second that was learned.
fn stepped(guess: Duration, learned: Duration) -> Duration {
    const STEP: f64 = 1.25;
    let (guess_s, learned_s) = (guess.as_secs_f64(), learned.as_secs_f64());
    if guess_s <= 0.0 || learned_s <= 0.0 {
        return learned;
    }
    let steps = (learned_s / guess_s).log(STEP).round();
    Duration::from_secs_f64((guess_s * STEP.powf(steps)).min(f64::from(u32::MAX)).round())
}
