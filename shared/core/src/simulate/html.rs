//! stub
use super::Replay;
/// stub
pub fn html(replay: &Replay) -> String { replay.platform.clone() }
