//! Forecasting with fakes: what is stored, and what falls back.

use std::collections::BTreeMap;

use headroom_aws::configs::Configs;
use headroom_aws::meter::Meter;
use headroom_aws::store::Store;
use headroom_aws::table::{Body, MemoryTable, Table as _};
use headroom_core::cycle::{Batch, Cycle, ForecastRequest, ForecastResponse, Task};
use headroom_core::forecast::Models;
use headroom_core::history::{Chunk, Column, shard};
use headroom_core::name::{ConfigVersion, PlatformName};
use headroom_forecast::NoForecast;
use jiff::Timestamp;

use crate::{Ports, handle};

const SHOP: &str = "configuration_name: shop
scaling_groups:
  web: {resources: [{type: EC2_AUTO_SCALING_GROUP, name: web, min_capacity: 1, max_capacity: 20}]}
  data: {resources: [{type: DYNAMODB_TABLE, name: users, read_capacity: {min: 1, max: 100}}]}
";
const NOW: i64 = 864_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A platform whose web tier has a history, and its table none.
struct Shop {
    ports: Ports<MemoryTable>,
    config: ConfigVersion,
}

impl Shop {
    async fn new(days: i64) -> Shop {
        let platform: PlatformName = "shop".into();
        let store = Store::new(MemoryTable::default(), MemoryTable::default(), MemoryTable::default());
        let config = store.put_config(&platform, SHOP).await.unwrap();
        let mut chunk = Chunk::default();
        let wave = |second: i64| 100.0 + f64::from(i32::try_from(second / 3_600 % 24).unwrap());
        let points = (NOW - days * 86_400..NOW + 7_200).step_by(300).map(|second| (at(second), wave(second)));
        chunk.add(web(), 300, points);
        let past = BTreeMap::from([(at(NOW - days * 86_400), chunk)]);
        store.put_past(&platform, shard(&"web".into()), &past, at(NOW)).await.unwrap();
        let ports = Ports { store, configs: Configs::default(), meter: Meter::default() };
        Shop { ports, config }
    }

    /// A cycle so many seconds after the first.
    async fn cycle(&self, after_s: i64, task: Task) -> (ForecastResponse, Cycle) {
        let cycle = Cycle {
            platform: "shop".into(),
            id: format!("cycle-{after_s}").as_str().into(),
            execution: "arn".into(),
            now: at(NOW + after_s),
            started_at: at(NOW + after_s),
            dry_run: false,
            task,
        };
        let batch = Batch::cover(&headroom_core::config::parse(SHOP).unwrap().platform).remove(0);
        let request = ForecastRequest { cycle: cycle.clone(), config: self.config.clone(), batch };
        (handle(&self.ports, request).await.unwrap(), cycle)
    }

    async fn models(&self) -> Models {
        let models = self.ports.store.models(&"shop".into(), shard(&"web".into())).await.unwrap();
        models.get(&web()).cloned().unwrap_or_default()
    }
}

fn web() -> Column {
    Column("web/desired|cpu".into())
}

#[tokio::test]
async fn what_has_a_history_is_forecast_and_the_rest_says_why_not() {
    let shop = Shop::new(2).await;
    let (forecasted, cycle) = shop.cycle(0, Task::Scale).await;
    assert_eq!((forecasted.made, forecasted.missing), (1, 1));
    let stored = shop.ports.store.forecasts(&cycle.platform, cycle.now, &cycle.id).await.unwrap();
    let told: Vec<String> = stored.iter().map(|one| one.key.to_string()).collect();
    assert_eq!(told, ["web/desired", "users/read"]);
    assert_eq!(stored[1].forecasts[0].outcome, Err(NoForecast::TooShort { known: 0, needed: 6 }));
    let made = stored[0].forecasts[0].outcome.as_ref().unwrap();
    assert_eq!((made.start, made.mean.len(), made.model.as_str()), (cycle.now, 24, "ensemble"));
    assert!((95.0..130.0).contains(&made.mean[0]), "{made:?}");
    assert!(stored[0].forecasts[0].lead.is_some(), "and what the lead window may bring");
}

#[tokio::test]
async fn models_are_trained_once_kept_and_gone_on_with() {
    let shop = Shop::new(3).await;
    shop.cycle(0, Task::Scale).await;
    let trained = shop.models().await;
    let (load, lead) = (trained.load.clone().unwrap(), trained.lead.clone().unwrap());
    assert_eq!(load.trained_at(), at(NOW));
    shop.cycle(300, Task::Scale).await;
    assert_eq!(shop.models().await, trained, "five minutes later nothing is worth a write");
    let (_, cycle) = shop.cycle(7_200, Task::Train).await;
    let again = shop.models().await;
    assert_eq!(again.load.unwrap().trained_at(), at(NOW + 7_200), "training trains what is not due");
    assert_ne!(again.lead.unwrap(), lead);
    let stored = shop.ports.store.forecasts(&cycle.platform, cycle.now, &cycle.id).await.unwrap();
    assert!(stored.is_empty(), "and stores no forecast");
}

#[tokio::test]
async fn a_model_of_another_version_is_trained_anew() {
    let shop = Shop::new(3).await;
    shop.cycle(0, Task::Scale).await;
    let table = shop.ports.store.state();
    let partition = format!("shop#models#{:02}", shard(&"web".into()));
    for mut item in table.range(&partition, " ", "~").await.unwrap() {
        let Body::Bytes(bytes) = &mut item.body else { panic!("{item:?}") };
        bytes[4] = 99;
        table.put_many(vec![item]).await.unwrap();
    }
    assert_eq!(shop.models().await, Models::default(), "it is refused, not misread");
    shop.cycle(300, Task::Scale).await;
    assert_eq!(shop.models().await.load.unwrap().trained_at(), at(NOW + 300));
}
