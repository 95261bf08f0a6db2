//! Step Functions and Lambda of the local AWS: limits of payloads and histories, and invocations that fail.

use std::time::Duration;

use ::local_aws::unkind::{InvocationFault, Unkind};
use headroom_aws::executions::{Ended, StepFunctions};
use serde_json::{Value as Json, json};

use crate::bench::server;

/// Runs a machine; answers the name of its error, or nothing.
async fn run(name: &str, definition: Json) -> String {
    let aws = server().await.connect().await;
    let create =
        aws.sfn().create_state_machine().name(name).role_arn("arn:aws:iam::123456789012:role/machine");
    let machine = create.definition(definition.to_string()).send().await.unwrap();
    let executions = StepFunctions::new(&aws.sfn());
    let arn = executions.start(machine.state_machine_arn(), None, "{}").await.unwrap();
    match executions.wait(&arn, Duration::from_secs(60)).await.unwrap() {
        Ended::Succeeded(_) => String::new(),
        Ended::Failed { error, .. } => error,
    }
}

fn large(caught: &str) -> Json {
    let pass = json!({"Type": "Pass", "Output": "x".repeat(150_000), "End": true});
    json!({"QueryLanguage": "JSONata", "StartAt": "Map", "States": {
        "Map": {"Type": "Map", "Items": [1, 2], "ItemProcessor": {"StartAt": "Pass", "States": {"Pass": pass}},
            "Catch": [{"ErrorEquals": [caught], "Next": "Caught"}], "End": true},
        "Caught": {"Type": "Succeed"},
    }})
}

#[tokio::test]
async fn more_than_256_kib_is_caught_by_its_name_only() {
    assert_eq!(run("unkind-large", large("States.ALL")).await, "States.DataLimitExceeded");
    assert_eq!(run("unkind-large-caught", large("States.DataLimitExceeded")).await, "");
}

#[tokio::test]
async fn an_execution_ends_at_25_000_events() {
    let endless = json!({"StartAt": "Again", "States": {"Again": {"Type": "Pass", "Next": "Again"}}});
    assert_eq!(run("unkind-endless", endless).await, "States.Runtime");
}

#[tokio::test]
async fn the_next_invocations_of_a_function_fail_as_asked() {
    let name = "ResourceNotReadyException".to_owned();
    let settings = Unkind { invocation_fault: Some(InvocationFault { name, times: 1 }), ..Unkind::default() };
    server().await.unkind("unkind-function", &settings).await.unwrap();
    let task = json!({"StartAt": "Task", "States": {"Task": {"Type": "Task", "End": true,
        "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "unkind-function"}}}});
    assert_eq!(run("unkind-invoke", task.clone()).await, "Lambda.ResourceNotReadyException");
    // There is no such function, which only an invocation that gets through finds out.
    assert_eq!(run("unkind-invoke-again", task).await, "Lambda.ResourceNotFoundException");
}

#[tokio::test]
async fn executions_say_that_they_ended_earlier_as_asked() {
    let earlier = Unkind { ended_ago: Some(600.0), ..Unkind::default() };
    server().await.unkind("unkind-earlier", &earlier).await.unwrap();
    let aws = server().await.connect().await;
    let create = aws.sfn().create_state_machine().name("unkind-earlier");
    let create = create.role_arn("arn:aws:iam::123456789012:role/machine");
    let pass = json!({"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": true}}});
    let machine = create.definition(pass.to_string()).send().await.unwrap();
    let executions = StepFunctions::new(&aws.sfn());
    let arn = executions.start(machine.state_machine_arn(), None, "{}").await.unwrap();
    executions.wait(&arn, Duration::from_secs(60)).await.unwrap();
    let ended = aws.sfn().describe_execution().execution_arn(&arn).send().await.unwrap();
    let ran_s = ended.stop_date.unwrap().secs() - ended.start_date.secs();
    assert!((-601..-540).contains(&ran_s), "{ran_s}");
}
