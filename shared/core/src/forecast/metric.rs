//! The forecasts of one metric.

use headroom_forecast::lead_window::LeadForecast;
use headroom_forecast::{Forecast, NoForecast, Pattern};
use serde::{Deserialize, Serialize};

use super::ObjectiveFeedback;
use crate::units::Ratio;

/// The forecasts of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricForecast {
    /// The metric's name in its dimension.
    pub metric: String,
    /// The forecast, or why there is none.
    pub outcome: Result<Forecast, NoForecast>,
    /// The forecast of the lead window, if there is a model of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead: Option<LeadForecast>,
    /// The kind of load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    /// How far the newest hour is from its forecast, from zero to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<Ratio>,
    /// Whether the objective was kept, and how strictly it is aimed at; `None` where that is unknown or not ours to answer for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective_feedback: Option<ObjectiveFeedback>,
}

impl MetricForecast {
    /// No forecast, and why.
    pub fn none(metric: &str, why: NoForecast) -> MetricForecast {
        MetricForecast {
            metric: metric.to_owned(),
            outcome: Err(why),
            lead: None,
            pattern: None,
            anomaly: None,
            objective_feedback: None,
        }
    }
}
