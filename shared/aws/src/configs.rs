//! Parsed configurations, kept between invocations: a version never changes, so it is parsed once.

use std::sync::{Arc, Mutex, PoisonError};

use headroom_core::config::parse;
use headroom_core::name::{ConfigVersion, PlatformName};
use headroom_core::platform::Platform;

use crate::failure::Failure;
use crate::store::{Store, version_of};
use crate::table::Table;

/// A function serves few platforms; more than this in one of its instances and the oldest goes.
const KEPT_MAX: usize = 8;

/// Configurations already parsed.
#[derive(Debug, Default)]
pub struct Configs(Mutex<Vec<(ConfigVersion, Arc<Platform>)>>);

impl Configs {
    /// The platform of a configuration that a cycle works from.
    ///
    /// # Errors
    /// When it is not stored, or no longer valid in this version of Headroom.
    pub async fn get<T: Table>(
        &self,
        store: &Store<T>,
        platform: &PlatformName,
        version: &ConfigVersion,
    ) -> Result<Arc<Platform>, Failure> {
        if let Some(platform) = self.kept(version) {
            return Ok(platform);
        }
        let text = store.config(platform, version).await?;
        Ok(self.remember(version, parsed(platform, &text)?))
    }

    /// Parses a configuration and stores it for the rest of the cycle, unless that was done before.
    ///
    /// # Errors
    /// When it is wrong, or cannot be stored.
    pub async fn keep<T: Table>(
        &self,
        store: &Store<T>,
        platform: &PlatformName,
        text: &str,
    ) -> Result<(Arc<Platform>, ConfigVersion), Failure> {
        let version = version_of(text);
        if let Some(platform) = self.kept(&version) {
            return Ok((platform, version));
        }
        let found = parsed(platform, text)?;
        if found.name != *platform {
            return Err(Failure::ConfigMismatch { platform: platform.clone(), found: found.name });
        }
        store.put_config(platform, text).await?;
        Ok((self.remember(&version, found), version))
    }

    fn remember(&self, version: &ConfigVersion, platform: Platform) -> Arc<Platform> {
        let platform = Arc::new(platform);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if KEPT_MAX <= kept.len() {
            kept.remove(0);
        }
        kept.push((version.clone(), Arc::clone(&platform)));
        platform
    }

    fn kept(&self, version: &ConfigVersion) -> Option<Arc<Platform>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, _)| known == version).map(|(_, platform)| Arc::clone(platform))
    }
}

fn parsed(platform: &PlatformName, text: &str) -> Result<Platform, Failure> {
    let parsed = parse(text).map_err(|faults| Failure::ConfigInvalid { platform: platform.clone(), faults });
    Ok(parsed?.platform)
}
