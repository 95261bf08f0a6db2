//! Each kind of resource by whole cycles: out, in, and rolled back.

pub(crate) mod kinesis_stream;
mod scalable_target;
