//! The ensemble: boosted and statistical models of one load, weighted by cross-validation and calibrated online.

mod boosted_regression;
mod cleaning;
mod covariates;
mod cross_validation;
mod features;
mod linear_regression;
mod model;
#[cfg(test)]
mod model_tests;
mod online_calibration;
mod quantile_regression;
mod statistical_models;
mod weights;

pub use covariates::{COVARIATES_MAX, Context, Covariate};
pub use cross_validation::Exclusion;
pub use model::{Ensemble, MODEL_VERSION, NAME, RetrainReason};
