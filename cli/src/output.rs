//! Standard output, which may be closed by whoever reads it: `headroom schema | head` is no failure.

use std::io::{ErrorKind, Write as _};

/// The exit code of a command that was understood and did nothing, because something else must come first. 1 is a failure, 2 a
/// command that is written wrongly.
#[cfg(feature = "aws")]
pub(crate) const NOTHING_DONE: u8 = 3;

/// Prints a line.
///
/// # Errors
/// When it cannot be written, and there is still somebody to read it.
pub(crate) fn say(text: impl std::fmt::Display) -> Result<(), String> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
        _ => Ok(()),
    }
}

/// Prints a line at once. False when nobody reads any more.
///
/// # Errors
/// When it cannot be written, and there is still somebody to read it.
pub(crate) fn is_read(text: impl std::fmt::Display) -> Result<bool, String> {
    let mut output = std::io::stdout().lock();
    match writeln!(output, "{text}").and_then(|()| output.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(format!("standard output: {error}")),
    }
}
