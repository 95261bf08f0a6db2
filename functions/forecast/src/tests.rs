//! Forecasting with fakes: what is stored, and what falls back.

use std::collections::BTreeMap;

use headroom_aws::configs::Configs;
use headroom_aws::meter::Meter;
use headroom_aws::store::Store;
use headroom_aws::table::MemoryTable;
use headroom_core::cycle::{Batch, Cycle, ForecastRequest, Forecasted, Task};
use headroom_core::forecast::NoForecast;
use headroom_core::history::{Chunk, Column, shard};
use headroom_core::name::PlatformName;
use jiff::Timestamp;

use crate::{Ports, handle};

const SHOP: &str = "configuration_name: shop
scaling_groups:
  web: {resources: [{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 20}]}
  data: {resources: [{type: DYNAMODB_TABLE, name: users, read_capacity: {min: 1, max: 100}}, {type: AURORA_REPLICAS, name: db, min_capacity: 1, max_capacity: 3}]}
";
const NOW: i64 = 864_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A platform with two days of history of its web tier and none of its table.
async fn forecast(task: Task) -> (Forecasted, Store<MemoryTable>, Cycle) {
    let platform: PlatformName = "shop".into();
    let store = Store::new(MemoryTable::default(), MemoryTable::default(), MemoryTable::default());
    let config = store.put_config(&platform, SHOP).await.unwrap();
    let mut chunk = Chunk::default();
    let points = (NOW - 2 * 86_400..NOW).step_by(300).map(|second| (at(second), 100.0));
    chunk.add(Column("web/desired|cpu".into()), 300, points);
    let days = BTreeMap::from([(at(NOW - 2 * 86_400), chunk)]);
    store.put_past(&platform, shard(&"web".into()), &days, at(NOW)).await.unwrap();
    let cycle = Cycle {
        platform,
        id: "cycle".into(),
        execution: "arn".into(),
        now: at(NOW),
        started_at: at(NOW),
        dry_run: false,
        task,
    };
    let ports = Ports { store: store.clone(), configs: Configs::default(), meter: Meter::default() };
    let batch = Batch::cover(&headroom_core::config::parse(SHOP).unwrap().platform).remove(0);
    let request = ForecastRequest { cycle: cycle.clone(), config, batch };
    (handle(&ports, request).await.unwrap(), store, cycle)
}

#[tokio::test]
async fn what_has_a_history_is_forecast_and_the_rest_says_why_not() {
    let (forecasted, store, cycle) = forecast(Task::Scale).await;
    assert_eq!((forecasted.made, forecasted.missing), (1, 1));
    let stored = store.forecasts(&cycle.platform, cycle.now, &cycle.id).await.unwrap();
    let told: Vec<String> = stored.iter().map(|one| one.key.to_string()).collect();
    assert_eq!(told, ["web/desired", "users/read"], "what has no adapter is not forecast");
    assert_eq!(stored[1].forecasts[0].outcome, Err(NoForecast::TooShort { known: 0, needed: 6 }));
    let made = stored[0].forecasts[0].outcome.as_ref().unwrap();
    assert_eq!((made.start, made.mean.len(), made.mean[0].round()), (cycle.now, 24, 100.0));
}

#[tokio::test]
async fn training_stores_no_forecast() {
    let (_, store, cycle) = forecast(Task::Train).await;
    assert!(store.forecasts(&cycle.platform, cycle.now, &cycle.id).await.unwrap().is_empty());
}
