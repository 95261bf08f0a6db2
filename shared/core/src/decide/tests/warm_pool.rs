//! How many units stand by in a warm pool.

use super::*;

/// The web group with a warm pool of up to ten, which has so many.
fn warmed(pool: u32) -> Case {
    within("{min: 1, max: 10}", pool)
}

fn within(range: &str, pool: u32) -> Case {
    let text = format!(
        "configuration_name: shop
scaling_groups:
  web:
    resources:
      - {{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 2, max_capacity: 20, target_cpu_utilization: 50, warm_pool: {range}}}
{FULL}"
    );
    Case { platform: parse(&text).unwrap().platform, pool: Some(pool), ..case(FULL) }
}

fn check(case: &Case, expected: &str) {
    Case::told(&case.decide_on("web/warm_pool"), expected);
}

#[test]
fn as_many_stand_by_as_the_load_may_need_sooner_than_a_unit_could_be_ready() {
    // Ten units serve 500. The nearest window is that of the lead forecast; a unit that is not warmed serves later, and until
    // then the load rises to 700.
    let rising = Case { forecast: Some((700.0, 0.95)), lead: Some((400.0, 0.95)), ..warmed(1) };
    check(&rising, "1 -> 3 by Predictive: stands_by predictive_limit");
    let pool = |pool: u32| Case { pool: Some(pool), ..rising.clone() };
    let needed = |pool: &Case| pool.decide_on("web/warm_pool").needed.unwrap().0;
    assert_eq!(needed(&pool(4)), 5, "nine will serve, as far as the group's own need says");
    check(&pool(5), "hold 5: stands_by enough");
    check(&pool(9), "9 -> 5 by Predictive: stands_by");
    // Of a load that may rise far, no more than the group may have.
    let far = Case { forecast: Some((9_000.0, 0.95)), lead: Some((400.0, 0.95)), ..warmed(9) };
    check(&far, "9 -> 10 by Predictive: stands_by bounds");
    assert_eq!(needed(&far), 20 - 9);
}

#[test]
fn a_dear_pool_covers_less_of_what_may_come() {
    let chance = |hourly: f64| {
        let mut case = Case { forecast: Some((10.0, 0.95)), lead: Some((500.0, 0.95)), ..warmed(4) };
        let resources = case.platform.groups.iter_mut().flat_map(|group| &mut group.resources);
        let dimensions = resources.flat_map(|resource| &mut resource.dimensions);
        let pools = dimensions.filter(|dimension| dimension.stands_by());
        pools.for_each(|dimension| dimension.unit_cost_hourly = hourly);
        match &case.decide_on("web/warm_pool").reasons[..] {
            [Reason::StandsBy { chance, .. }, ..] => *chance,
            other => panic!("{other:?}"),
        }
    };
    let serving = chance(0.1);
    assert!((chance(0.01) / serving - 0.1).abs() < 1e-9, "a tenth of the price, a tenth of the chance");
    assert_eq!((chance(0.2), chance(0.0)), (serving, serving / 100.0), "within bounds");
}

#[test]
fn without_a_forecast_to_trust_a_pool_stays_as_it_is() {
    let quiet = warmed(4);
    check(&quiet, "hold 4: no_forecast bounds unknown_never_scales_in");
    check(&Case { pool: Some(0), ..quiet.clone() }, "0 -> 1 by Predictive: no_forecast bounds");
    let doubtful = Case { forecast: Some((700.0, 0.95)), lead: Some((700.0, 0.5)), ..quiet };
    check(&doubtful, "hold 4: not_trusted bounds unknown_never_scales_in");
    let unseen = Case { pool: None, ..warmed(4) };
    check(&unseen, "hold: capacity_unknown");
}

#[test]
fn where_no_unit_may_stand_by_none_does_whatever_is_known() {
    check(&within("{min: 0, max: 0}", 4), "4 -> 2 by Manual: manual pace");
}

#[test]
fn a_pool_is_kept_while_nothing_is_sure() {
    let calm = Case { forecast: Some((500.0, 0.95)), lead: Some((480.0, 0.95)), ..warmed(6) };
    check(&calm, "6 -> 3 by Predictive: stands_by bounds pace");
    // The load is not read, or may be higher than what is measured.
    check(&Case { cpu: None, ..calm.clone() }, "hold 6: stands_by bounds unknown_never_scales_in");
    let cut = Case { cpu: Some(100.0), saturated: true, ..calm.clone() };
    check(&cut, "hold 6: stands_by bounds unknown_never_scales_in");
    // A group that wants twice what it has may be held by pace or budget: what it has counts.
    let surge = Case { forecast: Some((1_000.0, 0.95)), lead: Some((990.0, 0.95)), ..calm };
    check(&surge, "6 -> 10 by Predictive: stands_by");
}
