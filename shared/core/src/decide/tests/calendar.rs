//! Events of the calendar: floors that are ordered in time, and factors that raise or lower the load.

use super::*;

#[test]
fn the_calendar_asks_and_multiplies() {
    let floor =
        case(&format!("{FULL}calendar: [{{name: sale, cron: '0 0 * * *', duration: 1d, floor: 14}}]\n"));
    floor.check("10 -> 14 by Scheduled: no_forecast event_floor");
    // In steps of a half, 14 are reached at once and 20 in two cycles: they are begun with a cycle sooner.
    let paced = |minute: u32, floor: u32| {
        let event = format!("{{name: sale, cron: '{minute} 12 * * *', duration: 2h, floor: {floor}}}");
        case(&format!("{FULL}guardrails: {{max_scale_out_percent: 50}}\ncalendar: [{event}]\n"))
    };
    paced(7, 14).check("10 -> 14 by Scheduled: no_forecast event_floor");
    paced(8, 14).check("hold 10: no_forecast measured_load enough");
    paced(12, 20).check("10 -> 15 by Scheduled: no_forecast event_floor pace");
    paced(13, 20).check("hold 10: no_forecast measured_load enough");
    // What is on already is in what is measured; what starts within the lead window is not.
    let sale = |cron: &str| {
        case(&format!("{FULL}calendar: [{{name: sale, cron: '{cron}', duration: 2h, multiply: 1.5}}]\n"))
    };
    sale("0 11 * * *").check("hold 10: no_forecast event_multiplies measured_load enough");
    sale("5 12 * * *").check("10 -> 15 by Reactive: no_forecast event_multiplies measured_load");
}

#[test]
fn a_holiday_lowers_what_is_foreseen_and_takes_away_nothing_that_is_measured() {
    let day = |multiply: &str| {
        let event =
            format!("{{name: day, from: 2026-11-24T00:00:00Z, to: 2026-11-25T00:00:00Z, {multiply}}}");
        let settings = "predictive: {fallback: {reactive: false}}\n";
        case(&format!("{FULL}{settings}calendar: [{event}]\n"))
    };
    let low = |quiet: Case, cpu: f64| Case { forecast: Some((200.0, 0.95)), cpu: Some(cpu), ..quiet };
    low(day("floor: 1"), 50.0).check("10 -> 5 by Predictive: forecast_load pace");
    low(day("multiply: 0.4"), 50.0).check("hold 10: event_multiplies measured_load enough");
    low(day("multiply: 0.4"), 20.0).check("10 -> 5 by Hybrid: event_multiplies forecast_load pace");
}

#[test]
fn the_end_of_a_holiday_is_ordered_for_before_it_comes() {
    let until = |to: &str| {
        let event = format!("{{name: day, from: 2026-11-24T00:00:00Z, to: {to}, multiply: 0.5}}");
        case(&format!("{FULL}calendar: [{event}]\n"))
    };
    until("2026-11-24T12:04:00Z").check("10 -> 20 by Reactive: no_forecast measured_load");
    until("2026-11-24T18:00:00Z").check("hold 10: no_forecast event_multiplies measured_load enough");
}

#[test]
fn a_floor_is_ordered_before_the_tiers_that_have_to_be_there_first() {
    let text = |dependencies: &str| {
        format!(
            "configuration_name: shop
scaling_groups:
  web:
    resources:
      - {{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 2, max_capacity: 20, target_cpu_utilization: 50, provisioning_seconds: 120}}
  data:
    resources:
      - {{type: EC2_AUTO_SCALING_GROUP, name: data, min_capacity: 1, max_capacity: 20, target_cpu_utilization: 50, provisioning_seconds: 1800}}
orchestration: {{rollout_phase: full{dependencies}}}
calendar: [{{name: sale, from: 2026-11-24T12:30:00Z, to: 2026-11-24T18:00:00Z, floor: 12}}]
"
        )
    };
    let check = |dependencies: &str, state: PlatformState, expected: &str| {
        let platform = parse(&text(dependencies)).unwrap().platform;
        Case { platform, state, ..case(FULL) }.check(expected);
    };
    let waits = ", dependencies: [{source: web, target: data}]";
    check("", PlatformState::default(), "hold 10: no_forecast measured_load enough");
    check(waits, PlatformState::default(), "10 -> 12 by Scheduled: no_forecast event_floor");
    // The tier before was seen to take eight minutes only.
    let learned = Provisioned { seconds: 480.0, seen: 9, at: now() };
    let state = PlatformState { provisioning: [("data".into(), learned)].into(), ..PlatformState::default() };
    check(waits, state, "hold 10: no_forecast measured_load enough");
}
