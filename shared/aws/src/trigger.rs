//! What started a cycle, read from the event that a rule or a schedule hands on in the execution's input.

use aws_lambda_events::cloudwatch_alarms::{CloudWatchAlarmData, CloudWatchAlarmStateValue};
use aws_lambda_events::eventbridge::EventBridgeEvent;
use headroom_core::trigger::Trigger;
use serde::Deserialize as _;
use serde_json::Value as Json;

/// What the schedules of template.yaml say of themselves.
const SCHEDULER: &str = "aws.scheduler";
/// CloudWatch explains itself in up to 1,024 letters, most of them figures. A record needs the first of them.
const REASON_LETTERS_MAX: usize = 300;
/// Names and sources are short; what claims to be one and is not must not fill the record.
const NAME_LETTERS_MAX: usize = 255;

/// An alarm's change of state. Reason data and configuration come in many shapes, of which none is needed.
type AlarmEvent = EventBridgeEvent<CloudWatchAlarmData<Json, Json>>;

/// What started the execution with this input. There is always an answer: an event decides nothing, so one that
/// cannot be read stops nothing.
pub fn trigger(input: &Json) -> Trigger {
    let Some(event) = input.get("event").filter(|event| !event.is_null()) else { return Trigger::Hand };
    let source = event.get("source").and_then(Json::as_str);
    if source == Some(SCHEDULER) {
        return Trigger::Schedule;
    }
    match AlarmEvent::deserialize(event) {
        Ok(event) => alarm(event.detail),
        Err(error) => {
            tracing::warn!(%error, "the event that started this cycle is not an alarm's change of state");
            Trigger::Event { source: source.map(|source| first(source, NAME_LETTERS_MAX)) }
        }
    }
}

fn alarm(data: CloudWatchAlarmData<Json, Json>) -> Trigger {
    let (state, reason) = data.state.map(|state| (state.value, state.reason)).unwrap_or_default();
    Trigger::Alarm {
        name: first(&data.alarm_name, NAME_LETTERS_MAX),
        state: state_name(&state).to_owned(),
        reason: first(&reason, REASON_LETTERS_MAX),
    }
}

/// The state as CloudWatch writes it.
fn state_name(state: &CloudWatchAlarmStateValue) -> &'static str {
    match state {
        CloudWatchAlarmStateValue::Ok => "OK",
        CloudWatchAlarmStateValue::Alarm => "ALARM",
        _ => "INSUFFICIENT_DATA",
    }
}

fn first(text: &str, letters: usize) -> String {
    text.chars().take(letters).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An event as EventBridge's documentation shows it, time zones without a colon and reason data as text included.
    fn event() -> Json {
        json!({
            "version": "0",
            "id": "c4c1c1c9-6542-e61b-6ef0-8c4d36933a92",
            "detail-type": "CloudWatch Alarm State Change",
            "source": "aws.cloudwatch",
            "account": "123456789012",
            "time": "2019-10-02T17:04:40Z",
            "region": "us-east-1",
            "resources": ["arn:aws:cloudwatch:us-east-1:123456789012:alarm:headroom-shop-slow"],
            "detail": {
                "alarmName": "headroom-shop-slow",
                "configuration": {
                    "description": "Goes into alarm when the shop is slow",
                    "metrics": [{
                        "id": "30b6c6b2-a864-43a2-4877-c09a1afc3b87",
                        "metricStat": {
                            "metric": {"dimensions": {"Name": "shop"}, "name": "Latency", "namespace": "Shop"},
                            "period": 86_400,
                            "stat": "p99"
                        },
                        "returnData": true
                    }]
                },
                "previousState": {
                    "reason": "Threshold Crossed: 1 out of the last 1 datapoints",
                    "reasonData": "{\"version\":\"1.0\",\"threshold\":2.0}",
                    "timestamp": "2019-10-02T17:03:28.771+0000",
                    "value": "OK"
                },
                "state": {
                    "reason": "Threshold Crossed: 1 datapoint was greater than the threshold (2.0)",
                    "reasonData": "{\"version\":\"1.0\",\"threshold\":2.0}",
                    "timestamp": "2019-10-02T17:04:40.985+0000",
                    "value": "ALARM"
                }
            }
        })
    }

    fn check(input: Json, expected: &str) {
        assert_eq!(trigger(&input).to_string(), expected, "{input}");
    }

    #[test]
    fn alarms_are_told_by_name_state_and_reason() {
        check(
            json!({"platform": "shop", "event": event()}),
            "by alarm headroom-shop-slow: ALARM, Threshold Crossed: 1 datapoint was greater than the threshold (2.0)",
        );
    }

    #[test]
    fn schedules_and_people_are_told_apart() {
        check(json!({"platform": "shop"}), "by hand");
        check(json!({"platform": "shop", "event": null}), "by hand");
        check(json!({"platform": "shop", "event": {"source": "aws.scheduler"}}), "by its schedule");
    }

    /// Every part of the event missing, of another type, or far too long.
    #[test]
    fn events_that_cannot_be_read_stop_nothing() {
        let unreadable = "by an event that cannot be read";
        for odd in [json!("x"), json!(7), json!([]), json!({}), json!({"source": 7}), json!([[[]]])] {
            check(json!({"platform": "shop", "event": odd}), unreadable);
        }
        check(json!({"event": {"source": "aws.ec2", "detail": {}}}), "by an event of aws.ec2");
        check(json!("shop"), "by hand");
        for pointer in
            ["/detail", "/detail/alarmName", "/detail/state/timestamp", "/detail/state/value", "/time"]
        {
            for odd in [json!(null), json!(7), json!("x".repeat(10_000)), json!({"y": []})] {
                let mut broken = event();
                *broken.pointer_mut(pointer).unwrap() = odd;
                let told = trigger(&json!({"event": broken})).to_string();
                assert!(told.len() < 1_000, "{pointer}: {told}");
            }
        }
    }
}
