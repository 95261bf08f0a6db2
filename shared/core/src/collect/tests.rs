use super::*;
use crate::config::parse;
use crate::observe::Load;
use crate::units::Units;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn shop() -> Platform {
    let text = "configuration_name: shop
scaling_groups:
  web: {resources: [{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 9}]}
  data: {resources: [{type: DYNAMODB_TABLE, name: users, read_capacity: {min: 1, max: 9}}, {type: API_GATEWAY_STAGE, name: db, stage: prod, min_capacity: 1, max_capacity: 3}]}
";
    parse(text).unwrap().platform
}

fn ready(units: u32) -> Observed<Capacity> {
    Observed::Known(Capacity { set: Units(units), ready: Units(units), ..Capacity::default() })
}

#[test]
fn only_what_can_be_scaled_is_asked_for() {
    let platform = shop();
    let columns: Vec<String> = metric_requests(&platform).iter().map(|asked| asked.column().0).collect();
    assert_eq!(columns, ["users/read|consumed", "web/desired|cpu"]);
}

#[test]
fn periods_are_closed_and_settled() {
    let cycle = Duration::from_secs(300);
    assert_eq!(recent(at(10_030), cycle), (at(9_960 - 1_200), at(9_960)));
    assert_eq!(recent(at(10_079), cycle).1, at(9_960));
    assert_eq!(recent(at(10_080), cycle).1, at(10_020));
    let (from, to, step_s) = past(at(10_000_000), cycle, Duration::from_secs(86_400))[0];
    assert_eq!(
        (from.as_second() % 300, to.as_second() % 300, to.as_second() - from.as_second(), step_s),
        (0, 0, 86_400, 60)
    );
    assert!(recent(at(10_000_000), cycle).0 <= to, "no hole between the past and the present");
}

#[test]
fn a_cycle_looks_back_as_far_as_a_backlog_may_drain() {
    let looks = |drain: &str| {
        let text = format!(
            "configuration_name: shop
scaling_groups:
  work:
    resources:
      - {{type: ECS_SERVICE, name: work, min_capacity: 1, max_capacity: 9,
         metrics: [{{name: jobs, kind: queue_depth, target_per_unit: 9, drain_time: {drain}, namespace: AWS/SQS}}]}}
"
        );
        let platform = parse(&text).unwrap().platform;
        let (now, reach) = (at(10_830), reach(&platform));
        let (from, _) = recent(now, reach);
        let hours = live_places(&platform, now, reach).1;
        (from.as_second(), hours.iter().map(|hour| hour.as_second() / 3_600).collect::<Vec<_>>())
    };
    assert_eq!(looks("1m"), (10_740 - 1_200, vec![2, 3]));
    assert_eq!(looks("40m"), (10_740 - 2_400, vec![2, 3]));
    assert_eq!(looks("5h"), (10_740 - 3_600, vec![1, 2, 3]));
}

#[test]
fn the_past_is_read_as_finely_as_it_is_kept() {
    let days = |days: u64| {
        let windows = past(at(100_000_000), Duration::from_secs(300), Duration::from_secs(days * 86_400));
        assert!(windows.windows(2).all(|pair| pair[0].0 == pair[1].1), "one begins where the next ends");
        let told = windows
            .iter()
            .map(|(from, to, step_s)| (step_s / 60, (to.as_second() - from.as_second()) / 86_400));
        told.collect::<Vec<_>>()
    };
    assert_eq!(days(7), [(1, 7)]);
    assert_eq!(days(28), [(1, 14), (5, 14)]);
    assert_eq!(days(90), [(1, 14), (5, 48), (60, 28)]);
}

#[test]
fn what_no_cycle_read_is_read_later() {
    let cycle = Duration::from_secs(300);
    let missed = |now, looked_at| {
        missed(at(now), cycle, at(looked_at)).map(|(from, to, _)| (from.as_second(), to.as_second()))
    };
    assert_eq!(missed(100_300, 100_000), None, "cycles overlap");
    assert_eq!(missed(103_600, 100_000), Some((99_900, 102_600)));
    assert_eq!(missed(100_000, 103_600), None, "time went back");
}

#[test]
fn units_between_two_records_are_the_larger_ones() {
    let units = UnitsOverTime::new([(at(300), 8.0), (at(0), 4.0), (at(600), 6.0)]);
    assert_eq!(
        [-1, 0, 150, 300, 450, 599, 600, 900].map(|time| units.at(at(time)).unwrap()),
        [4.0, 8.0, 8.0, 8.0, 8.0, 8.0, 6.0, 6.0]
    );
    assert_eq!(UnitsOverTime::default().at(at(0)), None);
}

#[test]
fn metrics_become_load_and_history() {
    let platform = shop();
    let asked = metric_requests(&platform);
    let now = at(7_320);
    let points = vec![vec![(at(7_080), 3.0), (at(7_140), 5.0)], vec![(at(7_140), 50.0), (at(7_200), 60.0)]];
    let observed = BTreeMap::from([
        ("web/desired".parse().unwrap(), ready(4)),
        ("users/read".parse().unwrap(), Observed::Unknown("gone".into())),
    ]);
    let read = read(&platform, &asked, &points, &observed, &BTreeMap::new(), now);
    let told: Vec<(String, &Observed<Load>)> =
        read.observations.iter().map(|seen| (seen.key.to_string(), &seen.readings[0].load)).collect();
    assert_eq!(
        told[0],
        (
            "users/read".into(),
            &Observed::Known(Load { mean: 4.0, peak: 5.0, at: at(7_200), saturated: false, over_s: 0 })
        )
    );
    assert_eq!(
        told[1],
        (
            "web/desired".into(),
            &Observed::Known(Load { mean: 220.0, peak: 240.0, at: at(7_260), saturated: false, over_s: 0 })
        )
    );
    // Two hours touched by web's points, one by the table's.
    let chunks: Vec<usize> = read.chunks.values().map(|chunk| chunk.0.len()).collect();
    assert_eq!(chunks.iter().sum::<usize>(), 4);
}

#[test]
fn what_was_load_already_stays_what_it_was() {
    let platform = shop();
    let asked = metric_requests(&platform);
    let points = |value: f64| vec![vec![], vec![(at(7_200), value)]];
    let observed = |units| BTreeMap::from([("web/desired".parse().unwrap(), ready(units))]);
    let first = read(&platform, &asked, &points(50.0), &observed(4), &BTreeMap::new(), at(7_320));
    let second = read(&platform, &asked, &points(50.0), &observed(8), &first.chunks, at(7_620));
    let web = &second.chunks[&(shard(&"web".into()), at(7_200))];
    assert_eq!(web.0[&Column("web/desired|cpu".into())].get(0), Some(200.0));
    assert_eq!(web.0[&Column("web/desired|#units".into())].known().collect::<Vec<_>>(), [4.0, 8.0]);
}

#[test]
fn the_past_is_kept_by_shard_and_day() {
    let platform = shop();
    let asked = metric_requests(&platform);
    let points = vec![(at(86_100), 1.0), (at(86_400), 2.0), (at(86_700), 3.0)];
    let chunks = past_chunks(
        (at(600), at(90_000), 300),
        [(&asked[1], PastLoads { loads: points, ..PastLoads::default() })],
    );
    let days = &chunks[&shard(&"web".into())];
    let sizes: Vec<usize> = days.values().map(|chunk| chunk.0.values().map(Series::len).sum()).collect();
    assert_eq!((days.keys().copied().collect::<Vec<_>>(), sizes), (vec![at(600), at(86_400)], vec![1, 2]));
}

/// A metric of its own for the servers, and what a first and a second cycle read of it.
fn servers(metric: &str) -> Platform {
    let text = format!(
        "configuration_name: shop
scaling_groups:
  web: {{resources: [{{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 99, metrics: [{metric}]}}]}}
"
    );
    parse(&text).unwrap().platform
}

const REQUESTS: &str = "{name: requests, kind: load, namespace: AWS/ApplicationELB, metric_name: RequestCount, \
    target_per_unit: 100, limit_per_unit: 120}";
const CPU: &str =
    "{name: cpu, kind: utilization, namespace: AWS/EC2, metric_name: CPUUtilization, target_value: 50}";

fn minutes(from: i64, values: &[f64]) -> Vec<(Timestamp, f64)> {
    (0..).map(|minute| at(from + minute * 60)).zip(values.iter().copied()).collect()
}

fn one_cycle(
    platform: &Platform,
    points: &[(Timestamp, f64)],
    units: u32,
    live: &Collected,
    now: i64,
) -> Collected {
    let asked = metric_requests(platform);
    let observed = BTreeMap::from([("web/desired".parse().unwrap(), ready(units))]);
    let mut known = live.chunks.clone();
    let read = read(platform, &asked, &[points.to_vec()], &observed, &known, at(now));
    known.extend(read.chunks);
    Collected { observations: read.observations, chunks: known }
}

fn load_of(read: &Collected) -> Load {
    *read.observations[0].readings[0].load.known().unwrap()
}

fn history(read: &Collected, column: &str) -> Vec<f64> {
    let series = read.chunks.values().filter_map(|chunk| chunk.0.get(&Column(column.into())));
    series.flat_map(|series| series.known().collect::<Vec<_>>()).collect()
}

#[test]
fn a_count_that_grows_between_two_cycles_is_kept_as_it_was_read_last() {
    let platform = servers(REQUESTS);
    let first = one_cycle(&platform, &minutes(7_200, &[480.0, 120.0, 10.0]), 9, &Collected::default(), 7_440);
    assert_eq!(history(&first, "web/desired|requests"), [480.0, 120.0], "the newest minute waits");
    assert_eq!(load_of(&first).at, at(7_320));
    let second = one_cycle(&platform, &minutes(7_200, &[480.0, 480.0, 470.0, 480.0]), 9, &first, 7_500);
    assert_eq!(history(&second, "web/desired|requests"), [480.0, 480.0, 470.0]);
}

#[test]
fn the_newest_count_may_raise_a_load_and_never_lowers_it() {
    let platform = servers(REQUESTS);
    let mean = |newest: f64| {
        let points = minutes(7_200, &[100.0, 100.0, newest]);
        load_of(&one_cycle(&platform, &points, 9, &Collected::default(), 7_440)).mean
    };
    assert_eq!((mean(10.0), mean(100.0), mean(400.0)), (100.0, 100.0, 200.0));
}

#[test]
fn a_utilisation_that_changes_is_turned_into_load_by_the_units_of_then() {
    let platform = servers(CPU);
    let first = one_cycle(&platform, &minutes(7_200, &[50.0, 50.0]), 4, &Collected::default(), 7_380);
    let second = one_cycle(&platform, &minutes(7_200, &[50.0, 60.0]), 8, &first, 7_680);
    assert_eq!(history(&second, "web/desired|cpu"), [200.0, 240.0]);
}

#[test]
fn points_of_five_minutes_are_neither_stale_nor_full_of_gaps_in_any_phase_of_the_schedule() {
    let platform = servers(CPU);
    for phase in (0..300).step_by(10) {
        // Published two minutes after the end of its five minutes.
        let now = 72_000 + phase;
        let published = (0..300).map(|index| 300 * index).filter(|start| start + 420 <= now);
        let (from, to) = recent(at(now), reach(&platform));
        let points: Vec<(Timestamp, f64)> = published
            .map(|start| (at(start), 50.0))
            .filter(|(time, _)| from <= *time && *time < to)
            .collect();
        let read = one_cycle(&platform, &points, 4, &Collected::default(), now);
        assert_eq!(load_of(&read).mean, 200.0, "{phase}");
        let known = history(&read, "web/desired|cpu").len();
        assert!(10 <= known, "{phase}: {known} minutes");
    }
}

fn idle(missing: &str, complete: bool, seen: Option<i64>) -> Vec<(i64, f64)> {
    let platform =
        servers(&REQUESTS.replace("target_per_unit", &format!("missing: {missing}, target_per_unit")));
    let query = metric_requests(&platform)[0].query;
    let seen: LastSeen = seen.map(|second| (query.line(), at(second))).into_iter().collect();
    let mut answer = MetricAnswer { points: Vec::new(), complete };
    let (from, to) = recent(at(2_000_000), reach(&platform));
    add_idle(query, &mut answer, &seen, at(2_000_000), (from, to));
    answer.points.iter().map(|(time, value)| (2_000_000 - time.as_second(), *value)).collect()
}

#[test]
fn no_points_are_zero_only_where_the_file_says_so_all_was_read_and_there_were_points_lately() {
    let zeros = idle("zero", true, Some(1_900_000));
    assert!(zeros.iter().all(|(age_s, value)| (360..=1_320).contains(age_s) && *value == 0.0), "{zeros:?}");
    assert!(14 <= zeros.len(), "{zeros:?}");
    assert_eq!(idle("unknown", true, Some(1_900_000)), []);
    assert_eq!(idle("zero", false, Some(1_900_000)), [], "the query failed, or a part is missing");
    assert_eq!(idle("zero", true, None), [], "it may be misspelt");
    assert_eq!(idle("zero", true, Some(700_000)), [], "gone for more than two weeks");
}

#[test]
fn a_metric_spelt_in_another_way_was_never_seen() {
    let platform = servers(&REQUESTS.replace("target_per_unit", "missing: zero, target_per_unit"));
    let query = metric_requests(&platform)[0].query;
    let mut seen = LastSeen::default();
    note_seen([(query, &minutes(7_200, &[5.0, 0.0])[..])], &mut seen);
    assert_eq!(seen.get(&query.line()), Some(&at(7_200)));
    let other = Query { metric_name: "RequestCuont".into(), ..query.clone() };
    assert_eq!(seen.get(&other.line()), None);
}

#[test]
fn zeros_stand_between_points_and_give_way_to_points_that_come_late() {
    let platform = servers(&REQUESTS.replace("target_per_unit", "missing: zero, target_per_unit"));
    let query = metric_requests(&platform)[0].query;
    let seen = LastSeen::from([(query.line(), at(7_000))]);
    let mut answer = MetricAnswer { points: vec![(at(7_320), 9.0)], complete: true };
    add_idle(query, &mut answer, &seen, at(7_500), (at(7_200), at(7_440)));
    assert_eq!(answer.points, [(at(7_200), 0.0), (at(7_260), 0.0), (at(7_320), 9.0)]);
    let first = one_cycle(&platform, &answer.points, 9, &Collected::default(), 7_500);
    let late = one_cycle(&platform, &minutes(7_200, &[0.0, 7.0, 9.0, 9.0]), 9, &first, 7_560);
    assert_eq!(history(&late, "web/desired|requests"), [0.0, 7.0, 9.0, 9.0]);
}

#[test]
fn what_the_ready_units_can_carry_is_a_lower_bound_and_is_not_learned_from() {
    let (cpu, requests) = (servers(CPU), servers(REQUESTS));
    // Thirty units at 80 %, then somebody sets three: they are busy to the last.
    let before = one_cycle(&cpu, &minutes(7_200, &[80.0; 5]), 30, &Collected::default(), 7_560);
    assert!(!load_of(&before).saturated);
    let after = one_cycle(&cpu, &minutes(7_500, &[99.0; 5]), 3, &before, 7_860);
    assert!(load_of(&after).saturated);
    let later = one_cycle(&cpu, &minutes(7_800, &[99.5; 5]), 3, &after, 8_160);
    assert!(load_of(&later).saturated);
    let chunks: Vec<Chunk> = later.chunks.values().cloned().collect();
    let learned = crate::history::column_series(&chunks, &Column("web/desired|cpu".into()));
    assert_eq!(
        learned.known().fold(f64::INFINITY, f64::min),
        2_400.0,
        "300 is not what the load was: {learned:?}"
    );
    // Counted work is capped by what the units can carry, too.
    let saturated = |count: f64| {
        load_of(&one_cycle(&requests, &minutes(7_200, &[count; 3]), 3, &Collected::default(), 7_500))
            .saturated
    };
    assert_eq!((saturated(300.0), saturated(350.0)), (false, true));
}

#[test]
fn what_goes_wrong_need_not_have_gone_wrong_before_to_be_zero() {
    let platform = parse(
        "configuration_name: shop\nscaling_groups: {in: {resources: [\
         {type: KINESIS_STREAM, name: clicks, min_capacity: 1, max_capacity: 9}]}}\n",
    )
    .unwrap()
    .platform;
    let asked = metric_requests(&platform);
    let zeros = |metric: usize, complete: bool| {
        let mut answer = MetricAnswer { points: Vec::new(), complete };
        let window = recent(at(2_000_000), reach(&platform));
        add_idle(asked[metric].query, &mut answer, &LastSeen::new(), at(2_000_000), window);
        answer.points.len()
    };
    assert!(zeros(0, true) == 0 && 0 < zeros(2, true) && zeros(2, false) == 0);
}

#[test]
fn percent_are_of_the_whole_where_that_is_not_what_is_ready() {
    let text = "configuration_name: shop\nscaling_groups: {data: {resources: [\
                {type: AURORA_SERVERLESS, name: db, min_capacity: 1, max_capacity: 16}]}}\n";
    let platform = parse(text).unwrap().platform;
    let asked = metric_requests(&platform);
    let capacity = Capacity { set: Units(4), ready: Units(6), whole: Some(Units(64)), ..Capacity::default() };
    let observed = BTreeMap::from([("db/minimum".parse().unwrap(), Observed::Known(capacity))]);
    let now = at(7_230);
    let points = [vec![(at(7_080), 25.0), (at(7_140), 25.0)]];
    let read = read(&platform, &asked, &points, &observed, &BTreeMap::new(), now);
    let load = read.observations[0].readings[0].load.known().unwrap();
    assert_eq!(load.mean, 25.0 * 64.0);
}

#[test]
fn what_is_left_of_storage_becomes_what_is_used_of_it() {
    let text = "configuration_name: shop\nscaling_groups: {data: {resources: [\
                {type: RDS_STORAGE, name: db, min_capacity: 50, max_capacity: 500}]}}\n";
    let platform = parse(text).unwrap().platform;
    let asked = metric_requests(&platform);
    let (metric, query) = (asked[0].metric, asked[0].query);
    let left_gib = 18.0 * 1_073_741_824.0 * query.rate.factor(60);
    let units = UnitsOverTime::new([(at(0), 100.0)]);
    assert_eq!(loads(metric, &[(at(60), left_gib)], &units), [(at(60), 82.0 * 100.0)]);
    assert!(points::saturated(&asked[0], &[(at(60), left_gib)], &units).is_empty());
}

#[test]
fn shards_are_full_at_what_they_take_a_second() {
    let text = "configuration_name: shop\nscaling_groups: {in: {resources: [\
                {type: KINESIS_STREAM, name: clicks, min_capacity: 1, max_capacity: 9}]}}\n";
    let platform = parse(text).unwrap().platform;
    let asked = metric_requests(&platform);
    let units = UnitsOverTime::new([(at(0), 2.0)]);
    let full =
        |metric: usize, value: f64| !points::saturated(&asked[metric], &[(at(60), value)], &units).is_empty();
    assert_eq!((full(0, 1.8 * 1_048_576.0), full(0, 1.95 * 1_048_576.0)), (false, true));
    assert_eq!((full(1, 1_800.0), full(1, 1_950.0)), (false, true));
}

#[test]
fn saturated_minutes_of_a_past_read_at_first_sight_are_not_learned_from() {
    let platform = servers(CPU);
    let asked = metric_requests(&platform);
    let learned = |step_s: u32| {
        let points: Vec<(Timestamp, f64)> = (0..20)
            .map(|step| (at(step * i64::from(step_s)), if (5..15).contains(&step) { 99.0 } else { 80.0 }))
            .collect();
        let fewer = |at: &Timestamp| points.iter().any(|(time, value)| time == at && *value == 99.0);
        let units =
            UnitsOverTime::new(points.iter().map(|(at, _)| (*at, if fewer(at) { 3.0 } else { 30.0 })));
        let past = past_loads(&asked[0], &points, &units, step_s);
        let read = past_chunks((at(0), at(86_400), step_s), [(&asked[0], past)]);
        let chunks: Vec<Chunk> = read.into_values().flat_map(BTreeMap::into_values).collect();
        let series = crate::history::column_series(&chunks, &Column("web/desired|cpu".into()));
        series.known().fold(f64::INFINITY, f64::min)
    };
    assert_eq!(learned(60), 2_400.0);
    // What is told by five minutes is a mean, whose minutes are gone.
    assert_eq!(learned(300), 297.0);
}

#[test]
fn a_throttled_table_tells_a_lower_bound() {
    let platform = shop();
    let asked = metric_requests(&platform);
    let observed = BTreeMap::from([("users/read".parse().unwrap(), ready(5))]);
    let saturated = |consumed: f64| {
        let points = vec![minutes(7_200, &[consumed; 3]), Vec::new()];
        let read = read(&platform, &asked, &points, &observed, &BTreeMap::new(), at(7_500));
        read.observations[0].readings[0].load.known().unwrap().saturated
    };
    assert_eq!((saturated(4.0), saturated(4.9)), (false, true));
}
