//! Which column of a trace is the load of which dimension, and how much a unit of the dimension carries of it.

use std::time::Duration;

use headroom_forecast::statistics::quantile;
use serde::{Serialize, Serializer};

use super::trace::{Trace, TraceColumn};
use super::{CapacityModel, Chances, NoReplay, Options, split};
use crate::name::DimensionKey;
use crate::pilot::steering;
use crate::platform::{Measure, Place, Platform};
use crate::series::Series;
use crate::units::Bounds;

/// A dimension that is replayed.
#[derive(Clone, Debug, Serialize)]
pub struct Tier {
    /// Which.
    #[serde(rename = "dimension")]
    pub key: DimensionKey,
    /// Its group.
    pub group: String,
    /// The metric it is measured by.
    pub metric: String,
    /// The factor by which the trace was multiplied to get the load in this metric's unit.
    pub scale: f64,
    /// Load that a unit should carry.
    pub target_per_unit: f64,
    /// Load that a unit carries.
    pub limit_per_unit: f64,
    /// Minutes until an ordered unit is ready.
    pub provisioning_minutes: usize,
    /// The bounds of its capacity.
    pub bounds: Bounds,
    /// What a unit costs an hour.
    pub unit_cost_hourly: f64,
    /// Load of the scored part, one a minute.
    #[serde(serialize_with = "rounded")]
    pub load: Vec<f64>,
}

/// Loads are rounded to six digits, because no measurement is more exact than that.
fn rounded<S: Serializer>(values: &[f64], output: S) -> Result<S::Ok, S::Error> {
    output.collect_seq(values.iter().map(|value| short(*value)))
}

/// A number with about six digits.
pub(super) fn short(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let unit = 10_f64.powf(value.abs().log10().floor() - 5.0);
    if unit < 1.0 { (value / unit).round() / (1.0 / unit).round() } else { value.round() }
}

/// What a tier is replayed with.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) tier: Tier,
    pub(super) model: CapacityModel,
    pub(super) load: Series,
}

/// The quantile of the load that `peak units` refer to, not the maximum: the very largest minutes are often errors of measurement.
const PEAK: f64 = 0.995;
/// Why a dimension is left out that the trace does not have.
pub(crate) const NO_COLUMN: &str = "the trace has no column for it";
/// Where all tiers share one column, its peak is scaled to this share of each tier's largest capacity.
const SHARE: f64 = 2.0 / 3.0;

/// Every dimension that has a load, in the order in which they scale out, and what should be known about the choice.
pub(super) fn tiers(
    platform: &Platform,
    trace: &Trace,
    options: &Options<'_>,
) -> Result<(Vec<Loaded>, Vec<String>), NoReplay> {
    let mut notes = Vec::new();
    let known = |place: &Place<'_>| trace.columns.iter().any(|column| names(place, column));
    if let Some(column) = trace
        .columns
        .iter()
        .find(|column| 1 < trace.columns.len() && !platform.dimensions().any(|place| names(&place, column)))
    {
        let names = platform.dimensions().map(|place| place.dimension.key.to_string());
        return Err(NoReplay::UnknownColumn {
            column: column.name.clone(),
            known: names.collect::<Vec<_>>().join(", "),
        });
    }
    let wanted = |place: &Place<'_>| options.only.is_none_or(|key| place.dimension.key == *key);
    let layer = |place: &Place<'_>| {
        platform.orchestration.layers.iter().position(|groups| groups.contains(&place.group.name))
    };
    let mut places: Vec<Place<'_>> = platform.dimensions().filter(wanted).collect();
    places.sort_by_key(layer);
    let each = platform.dimensions().any(|place| known(&place));
    let shared = trace.columns.first().filter(|_| !each && trace.columns.len() == 1);
    let mut found: Vec<(Place<'_>, &TraceColumn)> = Vec::new();
    for place in places {
        let column = trace.columns.iter().find(|column| names(&place, column)).or(shared);
        let key = &place.dimension.key;
        match column.filter(|_| steering(place).is_some()) {
            _ if !place.dimension.facts.is_served => {
                notes.push(format!(
                    "{key} is left out: {} has no adapter yet",
                    place.resource.kind.type_name()
                ));
            }
            Some(column) => found.push((place, column)),
            None if column.is_none() => notes.push(format!("{key} is left out: {NO_COLUMN}")),
            None => notes.push(format!("{key} is left out: no metric says how much a unit carries")),
        }
    }
    let several = shared.is_some() && 1 < found.len();
    let loaded =
        found.into_iter().map(|(place, column)| loaded(place, &column.load, options, several, &mut notes));
    let loaded: Vec<Loaded> = loaded.collect::<Result<_, _>>()?;
    if loaded.is_empty() { Err(NoReplay::Nothing(notes.join("; "))) } else { Ok((loaded, notes)) }
}

/// Whether a column is that of a dimension: by its key, or by the resource where that has only one.
fn names(place: &Place<'_>, column: &TraceColumn) -> bool {
    let resource = place.resource;
    column.name == place.dimension.key.to_string()
        || (resource.dimensions.len() == 1 && (column.name == resource.id.0 || column.name == resource.name))
}

fn loaded(
    place: Place<'_>,
    load: &Series,
    options: &Options<'_>,
    several: bool,
    notes: &mut Vec<String>,
) -> Result<Loaded, NoReplay> {
    let key = place.dimension.key.clone();
    let (Some(metric), bounds) = (steering(place), place.dimension.bounds) else {
        return Err(NoReplay::Nothing(format!("{key} has no metric that says how much a unit carries")));
    };
    let target = metric.measure.target_per_unit().unwrap_or(1.0);
    let limit = metric.measure.carried_per_unit().unwrap_or(target);
    let mut sorted: Vec<f64> = load.known().collect();
    sorted.sort_by(f64::total_cmp);
    let peak = quantile(&sorted, PEAK);
    if peak <= 0.0 {
        return Err(NoReplay::NoLoad(key));
    }
    let asked = options.peak_units.or_else(|| several.then(|| (bounds.max().real() * SHARE).max(1.0)));
    let scale = asked.map_or(1.0, |units| units * target / peak);
    match asked {
        Some(units) => notes.push(format!(
            "{key}: the trace times {} is its load: the peak (99.5 % of minutes are below) takes {units:.0} units at the target",
            short(scale)
        )),
        None => notes.extend(misfit(&key, peak / target, bounds, &metric.measure)),
    }
    let load = Series::new(load.start(), 60, (0..load.len()).map(|minute| Some(load.get(minute)? * scale)));
    let values: Vec<f64> = load.values().to_vec();
    let model = CapacityModel {
        start: split(values.len()),
        target,
        limit,
        delay: minutes(place.resource.provisioning),
        bounds,
        unit_cost: place.dimension.unit_cost_hourly,
        chances: options.chances,
        load: values,
    };
    let tier = Tier {
        key,
        group: place.group.name.0.clone(),
        metric: metric.name.clone(),
        scale,
        target_per_unit: target,
        limit_per_unit: limit,
        provisioning_minutes: model.delay,
        bounds,
        unit_cost_hourly: model.unit_cost,
        load: model.scored().to_vec(),
    };
    Ok(Loaded { tier, model, load })
}

/// A load that is far above or below what the bounds of the capacity can serve was probably measured in another unit.
fn misfit(key: &DimensionKey, units: f64, bounds: Bounds, measure: &Measure) -> Option<String> {
    let unit = if measure.is_per_capacity() { "percent times units" } else { "the metric's unit" };
    let fits = 0.5 <= units && units <= 2.0 * bounds.max().real();
    (!fits).then(|| {
        format!(
            "{key}: the peak of this trace takes {} units of {} at most; values must be in {unit}, or let --peak-units 20 scale them",
            short(units),
            bounds.max()
        )
    })
}

pub(super) fn minutes(span: Duration) -> usize {
    usize::try_from(span.as_secs().div_ceil(60)).unwrap_or(usize::MAX)
}

/// Every tier has random delays and failures of its own, made from the one seed.
pub(super) fn seeded(chances: Chances, index: usize) -> Chances {
    const APART: u64 = 0x9e37_79b9;
    let turn = u64::try_from(index).unwrap_or(0).wrapping_mul(APART);
    Chances { seed: chances.seed.wrapping_add(turn), ..chances }
}
