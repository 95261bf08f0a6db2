//! A whole AWS on this machine, with Headroom deployed to it and a shop to scale.

pub mod deploy;
pub mod deployment;
pub mod expected;
mod faults;
pub mod health;
mod http;
pub mod load;
pub mod random;
pub mod seed;
pub mod server;
pub mod shop;
pub mod unkind;

use std::path::PathBuf;

/// What went wrong, for whoever ran the demo or the test.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The root of the repository.
pub fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

/// A tool of the project's own virtual environment, which `make` has set up.
pub fn tool(name: &str) -> PathBuf {
    root().join(".venv/bin").join(name)
}
