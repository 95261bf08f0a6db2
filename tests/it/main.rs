//! The whole thing on a local AWS, and the rules of state machine and template.

mod bench;
mod cycle;
mod faults;
mod large;
mod local_aws;
mod machine;
mod steps;
