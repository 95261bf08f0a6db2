//! A replay of what an account measured, from CloudWatch to the figures.

use std::time::Duration;

use headroom_aws::metrics::CloudWatch;
use headroom_aws::past;
use headroom_core::config::parse;
use headroom_core::series::Series;
use headroom_core::simulate::measured::{measured, steering_metrics};
use headroom_core::simulate::{Options, replay};
use jiff::{SignedDuration, Timestamp};
use local_aws::shop::Shop;

use crate::bench::server;

#[tokio::test]
async fn the_history_of_an_account_is_replayed() {
    const HOURS: i64 = 8;
    let shop = Shop::new("replayed");
    let aws = server().await.connect().await;
    let now = Timestamp::now();
    let from = now - SignedDuration::from_hours(HOURS);
    let wave = (0..=HOURS * 12).map(|step| {
        let step = f64::from(i32::try_from(step).unwrap());
        Some(0.5 + 0.2 * (step / 12.0).sin())
    });
    // Capacity followed the load: only with the capacity of then does its utilisation say what the load was.
    shop.seed(&aws, &Series::new(from, 300, wave), from, now, None).await.unwrap();
    let platform = parse(&shop.platform("http://127.0.0.1:1").unwrap()).unwrap().platform;
    let asked = steering_metrics(&platform, None);
    let metrics = CloudWatch::new(&aws.cloudwatch(), &aws.meter);
    let span = Duration::from_secs(12 * 3_600);
    let read = past::history(&metrics, &platform, &asked, now, span).await.unwrap();
    let keys = asked.iter().map(|asked| asked.place.dimension.key.clone());
    let measured = measured(keys.zip(read).collect()).unwrap();
    let options = Options { peers: false, ..Options::default() };
    let replayed = replay(&platform, &measured.trace, &options, &mut |_, _| ()).unwrap();
    let mut tiers: Vec<&str> = replayed.tiers.iter().map(|tier| tier.key.dimension.as_str()).collect();
    tiers.sort_unstable();
    assert_eq!(tiers, ["desired", "desired", "read", "write"]);
    let web = replayed.tiers.iter().find(|tier| tier.key.resource.0 == "replayed-web").unwrap();
    // At a load of 0.3 to 0.7, between 5.4 and 12.6 servers run at 60 percent.
    assert_eq!(web.scale, 1.0);
    assert!(web.load.iter().all(|load| (300.0..=850.0).contains(load)), "{:?}", web.load);
}
