//! API Gateway of the local AWS: throttles for all methods are kept and told, late if that is asked for.

use ::local_aws::unkind::Unkind;

use crate::bench::server;
use crate::kinds::api_gateway_stage::{set, stage, stands};

#[tokio::test]
async fn throttles_are_told_late() {
    let aws = server().await.connect().await;
    let api = stage(&aws, "throttle-late", None).await;
    assert_eq!(stands(&aws, &api).await, (100.0, 200));
    // So late that nothing is told of the first throttle either.
    let late = Unkind { lag: Some(600.0), ..Unkind::default() };
    server().await.unkind("throttle-late", &late).await.unwrap();
    set(&aws, &api, (150, 300)).await;
    let told = aws.apigateway().get_stage().rest_api_id(&api).stage_name("prod").send().await.unwrap();
    assert!(told.method_settings().is_none_or(|settings| settings.is_empty()), "{told:?}");
    server().await.kind("throttle-late").await.unwrap();
    assert_eq!(stands(&aws, &api).await, (150.0, 300));
}
