//! What a history of the state machine carries is read, and written again as it was, by the types that
//! the steps share.

use std::collections::BTreeMap;

use decisions::{Ended, ExecutionOutput, GivenUp, NextAttempt, Planned, StepError};
use protocol::{Fault, Matched, Order, Registered, State};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::read;

/// Histories of executions that the local engine ran with the handlers, as `GetExecutionHistory` answers,
/// without the events and fields that are not read here.
const HISTORIES: &str = "tests/fixtures/histories.json";

fn reads_back<T: Serialize + DeserializeOwned>(json: &Value) {
    let value: T = serde_json::from_value(json.clone()).unwrap_or_else(|error| {
        let shape = std::any::type_name::<T>();
        panic!("{shape}: {error}: {json}")
    });
    assert_eq!(serde_json::to_value(&value).unwrap(), *json);
}

fn parsed(text: &Value) -> Value {
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

/// Reads what an event carries, and tells which shape that was.
fn shape(state: Option<State>, event: &Value) -> Option<&'static str> {
    match event["type"].as_str().unwrap() {
        "ExecutionStarted" => {
            reads_back::<Order>(&parsed(&event["executionStartedEventDetails"]["input"]));
            Some("order")
        }
        "ExecutionSucceeded" => {
            let output = &event["executionSucceededEventDetails"]["output"];
            reads_back::<ExecutionOutput>(&parsed(output));
            Some("output")
        }
        "TaskSucceeded" => {
            let answer = parsed(&event["taskSucceededEventDetails"]["output"]);
            let payload = &answer["Payload"];
            match state? {
                State::Match => reads_back::<Matched>(payload),
                State::Launch => reads_back::<Planned>(payload),
                State::Token => reads_back::<Registered>(payload),
                State::Cleanup => reads_back::<ExecutionOutput>(payload),
                State::Runner | State::WarmRunner => {
                    let task = serde_json::from_value(answer).unwrap();
                    assert!(Ended::from_task(&task).task.is_some());
                }
                _ => return None,
            }
            Some(state?.as_str())
        }
        "TaskFailed" => {
            let details = &event["taskFailedEventDetails"];
            let error = json!({ "Error": details["error"], "Cause": details["cause"] });
            let error: StepError = serde_json::from_value(error).unwrap();
            let message = || parsed(&parsed(&details["cause"])["errorMessage"]);
            match Fault::from_name(&error.error) {
                Some(Fault::StillQueued) => reads_back::<NextAttempt>(&message()),
                Some(Fault::GaveUp) => reads_back::<GivenUp>(&message()),
                _ => assert!(!Ended::from_error(&error).detail.is_empty()),
            }
            Fault::from_name(&error.error).map(Fault::name)
        }
        _ => None,
    }
}

#[test]
fn what_a_history_carries_reads_back_from_its_own_json() {
    let histories: BTreeMap<String, Vec<Value>> = serde_json::from_str(&read(HISTORIES)).unwrap();
    let mut seen: Vec<&str> = Vec::new();
    for (name, events) in &histories {
        let mut state = None;
        for event in events {
            if let Some(entered) = event["stateEnteredEventDetails"]["name"].as_str() {
                let entered = entered.parse::<State>();
                state = Some(entered.unwrap_or_else(|error| panic!("{name}: {error}")));
            }
            seen.extend(shape(state, event));
        }
    }
    seen.sort_unstable();
    seen.dedup();
    let expected = [
        "Cleanup",
        "GaveUp",
        "Launch",
        "Match",
        "Runner",
        "StillQueued",
        "Token",
        "order",
        "output",
    ];
    for shape in expected {
        assert!(
            seen.contains(&shape),
            "no history carries {shape}: {seen:?}"
        );
    }
}
