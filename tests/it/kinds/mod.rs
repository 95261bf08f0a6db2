//! Each kind of resource by whole cycles: out, in, and rolled back.

mod scalable_target;
