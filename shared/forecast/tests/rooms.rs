//! Which rooms of this crate may use which: the top-level modules, and the edges between them.

use std::path::Path;

use headroom_rooms::{Room, differences};

/// Every room with the rooms that it uses. A room uses only what stands above it in this list, so there is no circle.
const ROOMS: &[Room<'_>] = &[
    ("chance", ""),
    ("codec", ""),
    ("ratio", ""),
    ("series", ""),
    ("statistics", ""),
    ("boosting", "chance"),
    ("forecast", "ratio series"),
    ("period", "series statistics"),
    ("pattern", "period series statistics"),
    ("seasonal_naive", "forecast ratio series statistics"),
    ("ensemble", "boosting codec forecast period ratio series statistics"),
    ("lead_window", "boosting codec ratio series statistics"),
];

#[test]
fn rooms_use_only_what_is_listed() {
    let differences = differences(Path::new("src"), ROOMS, &[]);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
