//! The traces of the examples, and what they are made from.

use expect_test::expect_file;

use super::*;
use crate::simulate::trace;

/// Rows of the traces: five minutes each, over eight days that begin on a Thursday.
const ROWS: usize = 8 * 288;

/// The day and the hour of a row.
fn clock(index: usize) -> (usize, f64) {
    (index / 288, real(index % 288) / 12.0)
}

/// A number from -0.5 to 0.5 that only depends on the row and the column.
fn noise(index: usize, column: usize) -> f64 {
    let mixed = u32::try_from(index * 3 + column).unwrap().wrapping_mul(2_654_435_761);
    f64::from(mixed ^ (mixed >> 15)) / f64::from(u32::MAX) - 0.5
}

fn hump(hour: f64, at: f64, width: f64) -> f64 {
    (-((hour - at) / width).powi(2)).exp()
}

fn time(index: usize) -> Timestamp {
    Timestamp::from_second(1_772_668_800 + i64::try_from(index).unwrap() * 300).unwrap()
}

/// A week and a day of a bookshop: evenings, a quiet weekend, and a novel that everybody wants on the last Thursday.
fn bookshop() -> String {
    let row = |index: usize| {
        let (day, hour) = clock(index);
        let weekend = if matches!(day % 7, 5 | 6) { 0.7 } else { 1.0 };
        let novel = if day == 7 && 10.0 <= hour { 1.0 + 0.9 * (-(hour - 10.0) / 1.5).exp() } else { 1.0 };
        let shape = 1_500.0 + 7_000.0 * hump(hour, 12.5, 3.5) + 11_000.0 * hump(hour, 20.0, 2.2);
        let requests = shape * weekend * novel * (1.0 + 0.08 * noise(index, 0));
        // Evenings are for browsing: more searches for every request.
        let searches = 0.7 + 0.5 * hump(hour, 20.5, 3.0);
        let calls = requests * 1.2 * (1.0 + 0.05 * noise(index, 1));
        let percent = 55.0 + requests * searches * 0.045 * (1.0 + 0.08 * noise(index, 2));
        format!("{},{requests:.0},{calls:.0},{percent:.0}\n", time(index))
    };
    format!("timestamp,web,api,search\n{}", (0..ROWS).map(row).collect::<String>())
}

/// What a dimension of the e-commerce platform has to do for each request a second: so much always, so much for each request,
/// and so much of that changes from row to row.
struct Part {
    column: &'static str,
    idle: f64,
    for_request: f64,
    noise: f64,
}

impl Part {
    const fn new(column: &'static str, idle: f64, for_request: f64, noise: f64) -> Part {
        Part { column, idle, for_request, noise }
    }
}

/// The three tiers of `examples/e-commerce.yaml`. Columns of CPU have percent times units.
const THREE_TIERS: [Part; 5] = [
    Part::new("user-table/read", 40.0, 1.0, 0.06),
    Part::new("user-table/write", 8.0, 0.22, 0.08),
    Part::new("analytics-cluster/minimum", 60.0, 0.5, 0.10),
    Part::new("api-service/desired", 60.0, 0.7, 0.06),
    Part::new("web-servers-asg/desired", 40.0, 0.45, 0.06),
];

/// What `examples/marketplace` has besides. Functions have executions at the same time, the endpoint invocations a minute, and
/// the stream bytes a second.
const FOUR_TIERS_MORE: [Part; 6] = [
    Part::new("orders/replicas", 20.0, 0.18, 0.08),
    Part::new("sessions/replicas", 20.0, 0.10, 0.06),
    Part::new("clicks/shards", 200_000.0, 6_000.0, 0.06),
    Part::new("ranking/desired", 100.0, 5.0, 0.06),
    Part::new("checkout/provisioned", 0.5, 0.02, 0.12),
    Part::new("storefront/throttle", 0.0, 1.0, 0.04),
];

/// Requests a second of an e-commerce platform: lunch and evenings, more of both at the weekend, and a sale on the last evening.
fn requests(index: usize) -> f64 {
    let (day, hour) = clock(index);
    let weekend = if matches!(day % 7, 2 | 3) { 1.15 } else { 1.0 };
    let sale = if day == 7 && (18.0..20.0).contains(&hour) { 1.8 } else { 1.0 };
    let shape = 180.0 + 700.0 * hump(hour, 12.5, 3.0) + 1_300.0 * hump(hour, 20.0, 2.6);
    shape * weekend * sale
}

/// A week and a day of an e-commerce platform.
fn e_commerce(parts: &[&Part]) -> String {
    let columns: Vec<&str> = parts.iter().map(|part| part.column).collect();
    let row = |index: usize| {
        let values = parts.iter().enumerate().map(|(column, part)| {
            let random = 1.0 + part.noise * noise(index, column * 5);
            let value = (part.idle + part.for_request * requests(index)) * random;
            format!(",{:.1$}", value, usize::from(value < 100.0))
        });
        format!("{}{}\n", time(index), values.collect::<String>())
    };
    format!("timestamp,{}\n{}", columns.join(","), (0..ROWS).map(row).collect::<String>())
}

#[test]
fn the_example_traces_are_what_they_are_made_from() {
    expect_file!["../../../../../examples/bookshop/load.csv"].assert_eq(&bookshop());
    let three: Vec<&Part> = THREE_TIERS.iter().collect();
    expect_file!["../../../../../examples/e-commerce.csv"].assert_eq(&e_commerce(&three));
    let seven: Vec<&Part> = THREE_TIERS.iter().chain(&FOUR_TIERS_MORE).collect();
    expect_file!["../../../../../examples/marketplace/load.csv"].assert_eq(&e_commerce(&seven));
}

fn example(platform: &str, trace: &str) -> (Platform, Trace) {
    (parse(platform).unwrap().platform, trace::parse(trace).unwrap())
}

fn three_tiers() -> (Platform, Trace) {
    example(
        include_str!("../../../../../examples/e-commerce.yaml"),
        include_str!("../../../../../examples/e-commerce.csv"),
    )
}

fn seven_tiers() -> (Platform, Trace) {
    example(
        include_str!("../../../../../examples/marketplace/platform.yaml"),
        include_str!("../../../../../examples/marketplace/load.csv"),
    )
}

/// The same trace without what was before its last days.
fn newest(trace: &Trace, days: usize) -> Trace {
    let columns = trace.columns.iter().map(|column| {
        let load = column.load.tail(days * DAY);
        TraceColumn { name: column.name.clone(), load }
    });
    Trace { columns: columns.collect(), notes: trace.notes.clone() }
}

#[test]
fn every_dimension_of_the_e_commerce_examples_is_served_and_has_its_load() {
    for (platform, trace) in [three_tiers(), seven_tiers()] {
        let (tiers, notes) = tiers::tiers(&platform, &trace, &Options::default()).unwrap();
        assert_eq!(notes, Vec::<String>::new());
        assert_eq!(trace.notes, Vec::<String>::new());
        let replayed: Vec<String> = tiers.iter().map(|tier| tier.tier.key.to_string()).collect();
        for place in platform.dimensions() {
            let key = place.dimension.key.to_string();
            assert!(place.dimension.facts.is_served && replayed.contains(&key), "{key}");
        }
    }
    assert_eq!(seven_tiers().0.groups.len(), 7);
}

#[test]
fn all_tiers_of_the_e_commerce_examples_move_both_ways_and_in_order() {
    for (platform, trace) in [three_tiers(), seven_tiers()] {
        let trace = newest(&trace, 2);
        let replayed = replay(&platform, &trace, &Options::default(), &mut |_, _| ()).unwrap();
        let headroom = replayed.runs.iter().find(|run| run.name == "headroom").unwrap();
        for tier in &replayed.tiers {
            for way in [ChangeKind::Out, ChangeKind::In] {
                let moved =
                    headroom.decisions.iter().any(|told| told.dimension == tier.key && told.kind == way);
                assert!(moved, "{} {way:?}", tier.key);
            }
        }
        assert_eq!(headroom.together.map(|together| together.order_violations), Some(0));
    }
}
