//! Steps between the functions: what happens when somebody acts between deciding and executing, or a function runs twice.

use decide::Ports as DecidePorts;
use execute::{Ports as ExecutePorts, Response};
use forecast::Ports as ForecastPorts;
use headroom_aws::config_source::ParameterStore;
use headroom_aws::configs::Configs;
use headroom_aws::executions::StepFunctions;
use headroom_aws::fleet::AwsFleet;
use headroom_aws::metrics::CloudWatch;
use headroom_aws::notices::Sns;
use headroom_aws::table::DynamoTable;
use headroom_core::cycle::{
    CollectRequest, CollectResponse, DecideRequest, DecideResponse, ExecuteRequest, ExecuteResponse,
    Execution, ForecastRequest, StepBatch,
};
use headroom_core::journal::StepState;
use jiff::Timestamp;
use serde_json::json;

use crate::bench::{Bench, HALF};

/// The functions called one by one, as the state machine calls them.
struct Hands<'a> {
    bench: &'a Bench,
    execution: Execution,
}

impl<'a> Hands<'a> {
    fn new(bench: &'a Bench, name: &str) -> Hands<'a> {
        let execution =
            Execution { name: name.into(), arn: bench.execution(name), started_at: Timestamp::now() };
        Hands { bench, execution }
    }

    async fn collect(&self) -> CollectResponse {
        let aws = &self.bench.aws;
        let ports = collect_metrics::Ports {
            store: self.bench.store(),
            metrics: CloudWatch::new(&aws.cloudwatch(), &aws.meter),
            fleet: AwsFleet::new(aws),
            source: ParameterStore::new(aws),
            configs: Configs::default(),
            executions: StepFunctions::new(&aws.sfn()),
            time_left: aws.time_left.clone(),
            meter: aws.meter.clone(),
        };
        let input = json!({"platform": self.bench.shop.name});
        let request = CollectRequest { input, execution: self.execution.clone(), at: Timestamp::now() };
        collect_metrics::handle(&ports, request).await.unwrap()
    }

    async fn decide(&self, collected: &CollectResponse) -> DecideResponse {
        let (store, meter) = (self.bench.store(), self.bench.aws.meter.clone());
        let ports = ForecastPorts { store: store.clone(), configs: Configs::default(), meter: meter.clone() };
        let config = collected.config.clone().unwrap();
        for batch in &collected.batches {
            let request = ForecastRequest {
                cycle: collected.cycle.clone(),
                config: config.clone(),
                batch: batch.clone(),
            };
            forecast::handle(&ports, request).await.unwrap();
        }
        let request = DecideRequest {
            cycle: collected.cycle.clone(),
            config,
            batches: collected.batches.clone(),
            failed_batches: Vec::new(),
            capacity: collected.capacity.clone(),
            at: Timestamp::now(),
        };
        decide::handle(&DecidePorts { store, configs: Configs::default(), meter }, request).await.unwrap()
    }

    fn execute_ports(&self) -> ExecutePorts<DynamoTable, AwsFleet, Sns> {
        let aws = &self.bench.aws;
        ExecutePorts {
            store: self.bench.store(),
            fleet: AwsFleet::new(aws),
            notices: Sns::new(&aws.sns()),
            configs: Configs::default(),
            topic: None,
            meter: aws.meter.clone(),
        }
    }

    async fn execute(
        &self,
        collected: &CollectResponse,
        decided: &DecideResponse,
        wave: usize,
    ) -> ExecuteResponse {
        let steps = StepBatch {
            cycle: collected.cycle.clone(),
            plan_id: decided.plan.id.clone(),
            wave,
            batch: 0,
            started_at: None,
            at: Timestamp::now(),
        };
        match execute::handle(&self.execute_ports(), ExecuteRequest::Apply(steps)).await.unwrap() {
            Response::Steps(executed) => executed,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_step_refuses_when_somebody_changed_the_group_meanwhile() {
    let bench = Bench::at("hands", 2.0 * HALF).await;
    let hands = Hands::new(&bench, "by-hand");
    let collected = hands.collect().await;
    let decided = hands.decide(&collected).await;
    assert_eq!(decided.plan.waves.len(), 3);
    // The table is changed by hand between deciding and executing.
    bench.set_table_by_hand(700, 186).await;
    let first = hands.execute(&collected, &decided, 0).await;
    assert_eq!((first.made, first.refused, first.failed), (0, 1, 0), "{first:?}");
    assert!(first.reasons[0].contains("is 700, but the plan was made for 643"), "{first:?}");
    // The service depends on the table, and the servers on the service: neither makes sense now.
    let before = bench.capacity().await;
    let second = hands.execute(&collected, &decided, 1).await;
    let third = hands.execute(&collected, &decided, 2).await;
    assert_eq!((second.skipped, third.skipped), (1, 1), "{second:?} {third:?}");
    assert_eq!(bench.capacity().await, before, "nothing else is harmed");
    assert_eq!((before.read, before.web), (700, 9));
}

#[tokio::test]
async fn a_repeated_execute_changes_nothing_twice() {
    let bench = Bench::at("twice", 2.0 * HALF).await;
    let hands = Hands::new(&bench, "twice");
    let collected = hands.collect().await;
    let decided = hands.decide(&collected).await;
    let first = hands.execute(&collected, &decided, 0).await;
    assert_eq!((first.made, first.failed), (1, 0));
    let after = bench.capacity().await;
    bench.aws.meter.take();
    let again = hands.execute(&collected, &decided, 0).await;
    assert_eq!((again.made, again.failed), (1, 0));
    assert_eq!(again.usage.0.get("DynamoDB:UpdateTable"), None, "{:?}", again.usage);
    assert_eq!(bench.capacity().await, after);
    assert_eq!(
        bench.store().journal(&bench.name(), &decided.plan.id).await.unwrap()[0].value.state,
        StepState::Done
    );
}

#[tokio::test]
async fn a_dead_cycle_is_rolled_back_by_the_next_one() {
    let bench = Bench::at("dead", 2.0 * HALF).await;
    let before = bench.capacity().await;
    // A cycle dies after its first wave. Its execution is not known to Step Functions, so it does not run any more.
    let hands = Hands::new(&bench, "dies");
    let collected = hands.collect().await;
    let decided = hands.decide(&collected).await;
    hands.execute(&collected, &decided, 0).await;
    assert_ne!(bench.capacity().await.read, before.read);
    let next = bench.cycle().await;
    assert_eq!(next.outcome(), "recovered", "{next:?}");
    assert_eq!(bench.capacity().await, before);
    assert_eq!(bench.cycle().await.outcome(), "scaled", "and the one after it decides again");
}

#[tokio::test]
async fn what_cannot_be_rolled_back_stops_until_a_person_has_looked() {
    let bench = Bench::at("stuck", 2.0 * HALF).await;
    let hands = Hands::new(&bench, "stuck");
    let collected = hands.collect().await;
    let decided = hands.decide(&collected).await;
    hands.execute(&collected, &decided, 0).await;
    // Somebody moves the table before it can be rolled back: neither what it was nor what was set.
    bench.set_table_by_hand(700, 186).await;
    let cycle = bench.cycle().await;
    assert_eq!(cycle.error, "NeedsHuman", "{cycle:?}");
    assert!(cycle.cause.contains("is 700"), "{}", cycle.cause);
    let waiting = bench.cycle().await;
    assert_eq!(waiting.outcome(), "skipped");
    assert!(waiting.output["summary"].as_str().unwrap().contains("a person must look"), "{waiting:?}");
    assert_eq!(bench.cycle_with(json!({"task": "resume"})).await.outcome(), "resumed");
    assert_eq!(bench.cycle().await.outcome(), "scaled");
}

#[tokio::test]
async fn of_two_cycles_at_once_one_acts() {
    let bench = Bench::at("both", 2.0 * HALF).await;
    let (one, two) = (bench.start(json!({})).await, bench.start(json!({})).await);
    let (one, two) = (bench.end_of(&one).await, bench.end_of(&two).await);
    let mut outcomes = [one.outcome(), two.outcome()];
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["scaled", "skipped"], "{one:?} {two:?}");
}
