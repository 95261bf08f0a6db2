//! What the stand-ins for AWS share.

/// Where a call breaks. Calls are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The call of this number fails and changes nothing.
    Before(usize),
    /// The call of this number works, but its answer is lost.
    After(usize),
}

impl Break {
    /// The number of the call.
    pub fn call(self) -> usize {
        match self {
            Break::Before(call) | Break::After(call) => call,
        }
    }
}
