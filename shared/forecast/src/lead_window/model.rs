//! The trained models of a lead window, and how they are stored.

use serde::{Deserialize, Serialize};

use super::features::LevelFeatures;
use super::window_model::{Effort, WindowModel};
use super::{LeadSetting, Window, WindowStatistic, steps};
use crate::codec::{self, NotAModel};

/// The trained models of all windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeadModel {
    pub(super) setting: LeadSetting,
    pub(super) step_s: u32,
    /// The end of the history that it was trained on, and the number of its steps.
    pub(super) trained_until_s: i64,
    pub(super) steps: usize,
    pub(super) arrival: WindowModel,
    pub(super) whole: WindowModel,
    /// None in models of the second version, until they are trained again.
    pub(super) later: Option<WindowModel>,
}

/// The second version of the stored model, which had no later window.
#[derive(Deserialize)]
struct LeadModel2 {
    setting: LeadSetting,
    step_s: u32,
    trained_until_s: i64,
    steps: usize,
    arrival: WindowModel,
    whole: WindowModel,
}

/// The first bytes of every stored model.
const MAGIC: [u8; 4] = *b"HRLM";
/// The version that this build writes and reads. It has to change when the stored fields or their meaning do.
const VERSION: u16 = 3;
/// The version before it, which is still read.
const VERSION_BEFORE: u16 = 2;
/// The later window lasts so many cycles: three changes in a row, each of three times as many units, are 27 times as many.
const LATER_CYCLES: usize = 2;

impl LeadModel {
    /// The model in bytes, about 35 KB.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(MAGIC, VERSION, self)
    }

    /// The model from its bytes.
    ///
    /// # Errors
    /// For a version that is older than the one before, and for bytes that are no model.
    pub fn decode(bytes: &[u8]) -> Result<LeadModel, NotAModel> {
        match codec::decode(MAGIC, VERSION, bytes) {
            Err(NotAModel::Version { found: VERSION_BEFORE, .. }) => {
                let LeadModel2 { setting, step_s, trained_until_s, steps, arrival, whole } =
                    codec::decode(MAGIC, VERSION_BEFORE, bytes)?;
                Ok(LeadModel { setting, step_s, trained_until_s, steps, arrival, whole, later: None })
            }
            decoded => decoded,
        }
    }

    /// Trains the models of all windows; `None` if the history is too short.
    pub(super) fn train(setting: LeadSetting, features: &LevelFeatures) -> Option<LeadModel> {
        let step_s = features.step_s();
        let ready = steps(setting.provisioning_s, step_s);
        let cycle = steps(setting.cycle_s, step_s).max(1);
        let end = ready + cycle;
        let arrival = WindowModel::train(
            features,
            Window { from: ready, to: end, statistic: WindowStatistic::EachStep },
            end,
            Effort::FULL,
        )?;
        let whole = WindowModel::train(
            features,
            Window { from: 0, to: end, statistic: WindowStatistic::Largest },
            end,
            Effort::FULL,
        )?;
        let later = Window { from: end, to: end + LATER_CYCLES * cycle, statistic: WindowStatistic::Largest };
        let later = WindowModel::train(features, later, later.to, Effort::COARSE);
        let trained_until_s = features.time_of(features.len()).as_second();
        Some(LeadModel { setting, step_s, trained_until_s, steps: features.len(), arrival, whole, later })
    }
}
