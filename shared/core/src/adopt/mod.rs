//! A platform file for what an account has already: tiers, order and dependencies with the evidence for each.
//!
//! It proposes and never decides: the file is in phase `observe`, and what was guessed says so.

pub mod back_test;
mod bill;
mod bounds;
mod evidence;
pub mod inventory;
pub mod price;
mod scalable;
mod tagging;
mod targets;
#[cfg(test)]
mod tests;
pub mod text;
mod tiers;
mod yaml;

use serde::Serialize;

pub use bill::{Bill, bill};
pub use scalable::scalable_target;
pub use tagging::{TAG, Tagging};
pub use tiers::{Dependency, Tier};

use self::inventory::{Inventory, LeftOut};
use crate::name::PlatformName;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The name that the platform gets.
    pub platform: PlatformName,
    /// What was looked for, such as `the tag app=shop`.
    pub what: String,
    /// The day, as the file tells it.
    pub day: String,
}

/// A platform file, and what to do before it may act.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proposal {
    /// Tiers in the order in which they scale out.
    pub tiers: Vec<Tier>,
    /// What they depend on, with the evidence.
    pub dependencies: Vec<Dependency>,
    /// What to know of the order, in sentences.
    pub remarks: Vec<String>,
    /// What was asked for and cannot be scaled.
    pub left_out: Vec<LeftOut>,
    /// What could not be seen, in sentences.
    pub not_seen: Vec<String>,
    /// What has to be tagged and switched on.
    pub tagging: Tagging,
    /// The file.
    #[serde(skip)]
    pub yaml: String,
}

/// There is nothing to scale.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing was found that Headroom scales{0}")]
pub struct NothingFound(String);

/// Proposes a platform file for what was found.
///
/// # Errors
/// When nothing was found that can be scaled; it says what was left out or could not be seen.
pub fn propose(asked: &Asked, inventory: &Inventory) -> Result<Proposal, NothingFound> {
    if inventory.found.is_empty() {
        let left_out = inventory
            .left_out
            .iter()
            .map(|left| format!("\n  left out: {}, because {}", left.what, left.why));
        let not_seen = inventory.not_seen.iter().map(|what| format!("\n  not seen: {what}"));
        return Err(NothingFound(left_out.chain(not_seen).collect()));
    }
    let arrangement = tiers::arrange(inventory);
    Ok(Proposal {
        yaml: yaml::text(asked, inventory, &arrangement),
        tagging: tagging::tagging(inventory, &asked.platform),
        tiers: arrangement.tiers,
        dependencies: arrangement.dependencies,
        remarks: arrangement.remarks,
        left_out: inventory.left_out.clone(),
        not_seen: inventory.not_seen.clone(),
    })
}

/// The platform whose tag everything carries that carries one at all.
pub fn tagged_platform(inventory: &Inventory) -> Option<PlatformName> {
    let mut names = inventory.found.iter().filter_map(|found| found.tags.get(TAG));
    let first = names.next()?;
    names.all(|name| name == first).then(|| platform_name(first))
}

/// A name that a platform may have, made of any text.
pub fn platform_name(text: &str) -> PlatformName {
    /// The stack takes names of up to 49 characters.
    const LETTERS_MAX: usize = 49;
    let letter =
        |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '-' };
    let name: String = text.chars().map(letter).take(LETTERS_MAX).collect();
    let name = name.trim_matches('-');
    PlatformName(if name.is_empty() { "adopted".to_owned() } else { name.to_owned() })
}
