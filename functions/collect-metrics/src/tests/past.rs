//! Reading the past in parts, and what is idle.

use std::collections::BTreeMap;
use std::sync::Mutex;

use headroom_aws::error::AwsError;
use headroom_aws::metrics::{MetricAnswer, Window};
use headroom_core::platform::Query;

use super::*;

/// Metrics that remember what they were asked for, but not for the newest minutes.
#[derive(Debug)]
struct Asked {
    metrics: MemoryMetrics,
    past: Mutex<BTreeMap<(String, i64, i64), usize>>,
}

impl Metrics for Asked {
    async fn read(&self, queries: &[Query], window: Window) -> Result<Vec<MetricAnswer>, AwsError> {
        if 3_600 < window.to.as_second() - window.from.as_second() {
            let mut past = self.past.lock().unwrap();
            for query in queries {
                let key = (query.line(), window.from.as_second(), window.to.as_second());
                *past.entry(key).or_default() += 1;
            }
        }
        self.metrics.read(queries, window).await
    }
}

/// A platform of this many tables, two weeks of whose past are read five at a time.
fn tables(count: usize, parts: usize) -> FakesWith<Asked> {
    let table = |index: usize| {
        format!("{{type: DYNAMODB_TABLE, name: t{index:03}, read_capacity: {{min: 1, max: 100}}}}")
    };
    let tables: Vec<String> = (0..count).map(table).collect();
    let text = format!(
        "configuration_name: shop\nscaling_groups:\n  data: {{resources: [{}]}}\npredictive: {{training_period: 14d}}\n",
        tables.join(", ")
    );
    let units: Vec<String> = (0..count).map(|index| format!("t{index:03}/read")).collect();
    let units: Vec<(&str, u32)> = units.iter().map(|key| (key.as_str(), 10)).collect();
    let Fakes { store, metrics, configs, executions, meter, .. } = ports();
    Ports {
        store,
        metrics: Asked { metrics, past: Mutex::default() },
        fleet: MemoryFleet::new(&units),
        source: MemoryConfigs([(shop(), text)].into()),
        configs,
        executions,
        meter,
        time_left: TimeLeft::of_pieces(parts),
    }
}

async fn columns<M>(ports: &FakesWith<M>) -> usize {
    ports.store.learned(&shop()).await.unwrap().value.columns.len()
}

#[tokio::test]
async fn a_past_that_takes_longer_than_an_invocation_is_read_by_several_and_nothing_twice() {
    let mut ports = tables(100, 6);
    for (cycle, expected) in (0_i32..).zip([30, 60, 90, 100]) {
        let now = NOW + i64::from(cycle) * 300;
        collect(&ports, &format!("c{cycle}"), now).await;
        settle(&ports, &format!("c{cycle}"), now).await;
        assert_eq!(columns(&ports).await, expected, "{cycle}");
        ports.time_left = TimeLeft::of_pieces(6);
    }
    collect(&ports, "later", NOW + 1_500).await;
    let past = ports.metrics.past.lock().unwrap();
    assert_eq!(past.values().filter(|times| 1 < **times).count(), 0);
    let metrics: BTreeSet<&String> = past.keys().map(|(metric, ..)| metric).collect();
    assert_eq!((metrics.len(), past.len()), (100, 100), "one window of each");
}

#[tokio::test]
async fn an_invocation_that_is_cut_off_keeps_what_it_read_of_the_past() {
    let ports = tables(20, 100);
    // The third part cannot be kept any more.
    ports.store.state().breaks(Some(headroom_aws::fakes::Break::Before(12)));
    let _cut_off = collect_with(&ports, "a", NOW, json!({})).await;
    ports.store.state().breaks(None);
    let kept = columns(&ports).await;
    assert!((1..20).contains(&kept), "{kept}");
    collect(&ports, "a", NOW).await;
    assert_eq!(columns(&ports).await, 20);
}

#[tokio::test]
async fn a_time_that_no_cycle_read_is_read_by_as_many_cycles_as_it_takes() {
    let mut ports = tables(20, 100);
    collect(&ports, "a", NOW).await;
    settle(&ports, "a", NOW).await;
    ports.metrics.past.lock().unwrap().clear();
    // Ten days without a cycle: seven tables are read together, and there is time for one part.
    let now = NOW + 10 * 86_400;
    for (cycle, parts) in [(0_i32, 1), (1, 1), (2, 1), (3, 1)] {
        ports.time_left = TimeLeft::of_pieces(parts);
        collect(&ports, &format!("c{cycle}"), now + i64::from(cycle) * 300).await;
        settle(&ports, &format!("c{cycle}"), now + i64::from(cycle) * 300).await;
    }
    assert_eq!(ports.store.learned(&shop()).await.unwrap().value.missed, []);
    let past = ports.metrics.past.lock().unwrap();
    assert_eq!((past.len(), past.values().sum::<usize>()), (20, 20), "each once, and all of the same time");
}

#[tokio::test]
async fn an_idle_table_is_zero_where_the_file_says_so_and_unknown_elsewhere() {
    for (missing, expected) in [("zero", Some(0.0)), ("unknown", None)] {
        let mut ports = ports();
        let idle = SHOP.replace("max: 100}", &format!("max: 100, missing: {missing}}}"));
        ports.source.0.insert(shop(), idle);
        // The last reads were two hours ago.
        ports
            .metrics
            .0
            .get_mut("ConsumedReadCapacityUnits")
            .unwrap()
            .retain(|(time, _)| *time < at(NOW - 7_200));
        collect(&ports, "a", NOW).await;
        let load = observed(&ports, "a").await[0].readings[0].load.known().map(|load| load.mean);
        assert_eq!(load, expected, "{missing}");
        // A table that never had any is not idle: its name may be misspelt.
        let mut never = self::ports();
        never.source = ports.source;
        never.metrics.0.remove("ConsumedReadCapacityUnits");
        collect(&never, "a", NOW).await;
        assert_eq!(observed(&never, "a").await[0].readings[0].load.known(), None);
    }
}
