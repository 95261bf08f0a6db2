//! What stricter objectives buy on a load: the same replay at several objectives, and which of them is worth its price.

use headroom_forecast::statistics::real;
use serde::Serialize;

use super::{Figures, Loaded, NoReplay, headroom_policy, run};
use crate::platform::Platform;
use crate::units::Ratio;

/// The objectives that are compared where somebody asks what a stricter one buys, loosest first.
pub const OBJECTIVES: [f64; 5] = [0.95, 0.99, 0.995, 0.999, 0.9995];

/// What one objective gave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// The share of minutes in which the units should carry the load.
    pub objective: Ratio,
    /// Figures over all tiers.
    pub figures: Figures,
    /// Minutes of the replay with too few units of any tier.
    pub short_minutes: f64,
}

/// What the objectives gave, loosest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Curve(pub Vec<CurvePoint>);

impl Curve {
    /// What each short minute less costs at a point, compared with the cheapest looser objective: extra money by fewer short
    /// minutes. `None` for the loosest one, and where there are not fewer of them.
    pub fn price(&self, index: usize) -> Option<f64> {
        let looser = self.0.get(..index)?;
        let point = self.0.get(index)?;
        let cheapest = looser.iter().min_by(|a, b| a.figures.money.total_cmp(&b.figures.money))?;
        let fewer = cheapest.short_minutes - point.short_minutes;
        (0.0 < fewer).then(|| ((point.figures.money - cheapest.figures.money) / fewer).max(0.0))
    }

    /// The objective with the least cost when a short minute costs so much, in the budget's currency: the money of the units
    /// and of the minutes.
    pub fn cheapest(&self, short_minute_cost: f64) -> Option<Ratio> {
        let cost = |point: &CurvePoint| point.figures.money + point.short_minutes * short_minute_cost;
        let cheapest = self.0.iter().min_by(|a, b| cost(a).total_cmp(&cost(b)))?;
        Some(cheapest.objective)
    }
}

/// Replays Headroom's policy at each objective. `heard` is told every minute.
pub(super) fn curve(
    platform: &Platform,
    objectives: &[f64],
    loaded: &[Loaded],
    edges: &[(usize, usize)],
    heard: &mut dyn FnMut(),
) -> Result<Curve, NoReplay> {
    let at = |objective: &f64| {
        let mut platform = platform.clone();
        platform.predictive.objective = Ratio::clamped(*objective);
        let fleet = headroom_policy::fleet(&platform, loaded)?;
        let own = headroom_policy::own(&platform, fleet, loaded, false, heard);
        let figures = run("headroom", loaded, own.outcomes, edges, Vec::new()).figures;
        let minutes = loaded.first().map_or(0, |tier| tier.model.scored().len());
        let short_minutes = figures.tau_u / 100.0 * real(minutes);
        Ok(CurvePoint { objective: platform.predictive.objective, figures, short_minutes })
    };
    objectives.iter().map(at).collect::<Result<_, _>>().map(Curve)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, f64, f64)]) -> Curve {
        let point = |(objective, money, short_minutes): &(f64, f64, f64)| CurvePoint {
            objective: Ratio::clamped(*objective),
            figures: Figures { money: *money, ..Figures::default() },
            short_minutes: *short_minutes,
        };
        Curve(points.iter().map(point).collect())
    }

    #[test]
    fn each_short_minute_less_has_its_price() {
        let curve =
            curve(&[(0.95, 100.0, 50.0), (0.99, 110.0, 30.0), (0.999, 150.0, 30.0), (0.9995, 160.0, 10.0)]);
        assert_eq!([0, 1, 2, 3].map(|index| curve.price(index)), [None, Some(0.5), Some(2.5), Some(1.5)]);
        let worse = self::curve(&[(0.95, 100.0, 5.0), (0.99, 110.0, 5.0)]);
        assert_eq!(worse.price(1), None, "nothing was bought");
    }

    #[test]
    fn the_price_of_a_short_minute_chooses_the_objective() {
        let curve = curve(&[(0.95, 100.0, 50.0), (0.99, 110.0, 30.0), (0.999, 150.0, 2.0)]);
        let cheapest = |price| curve.cheapest(price).unwrap().get();
        assert_eq!([0.0, 0.6, 5.0].map(cheapest), [0.95, 0.99, 0.999]);
        assert_eq!(Curve::default().cheapest(1.0), None);
    }
}
