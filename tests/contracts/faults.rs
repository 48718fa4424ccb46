//! The names of faults, states and reasons for giving up: in code, in the state machine, in its
//! documentation.

use std::collections::BTreeSet;

use decisions::GiveUp;
use protocol::{Fault, State};
use serde_json::Value;
use tooling::{Checkout, Tasks};

use crate::{read, table};

/// Names that AWS gives, not we.
const FOREIGN: [&str; 6] = [
    "States.",
    "Lambda.",
    "Runtime.",
    "Sandbox.",
    "ECS.",
    "DynamoDb.",
];

/// Every name in `ErrorEquals`, anywhere.
fn names(node: &Value, found: &mut BTreeSet<String>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "ErrorEquals" {
                    let errors = value.as_array().into_iter().flatten();
                    found.extend(errors.filter_map(Value::as_str).map(str::to_owned));
                }
                names(value, found);
            }
        }
        _ => {}
    }
}

fn definition(tasks: Tasks) -> Value {
    Checkout::here().definition(tasks).unwrap()
}

fn in_the_machine(tasks: Tasks) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    names(&definition(tasks), &mut found);
    found.retain(|name| !FOREIGN.iter().any(|prefix| name.starts_with(prefix)));
    found
}

fn in_code() -> BTreeSet<String> {
    Fault::ALL
        .iter()
        .map(|fault| fault.name().to_owned())
        .collect()
}

/// The faults of a deployment: only caps make a job wait for a slot.
fn of_deployment(tasks: Tasks) -> BTreeSet<String> {
    let mut faults = in_code();
    if !tasks.are_capped() {
        faults.remove(Fault::NoFreeSlot.name());
    }
    faults
}

#[test]
fn the_state_machine_meets_exactly_the_faults_that_handlers_throw() {
    for tasks in Tasks::ALL {
        assert_eq!(in_the_machine(tasks), of_deployment(tasks), "{tasks:?}");
    }
}

#[test]
fn the_state_machines_table_lists_exactly_the_faults_there_are() {
    let listed = table(
        &read("statemachine/README.md"),
        "## Errors, and what happens",
    );
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), in_code());
    assert_eq!(listed.len(), in_code().len(), "a fault is listed twice");
}

#[test]
fn the_state_machine_has_exactly_the_states_that_decisions_go_by() {
    for tasks in Tasks::ALL {
        let definition = definition(tasks);
        let in_the_machine: BTreeSet<_> = definition["States"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let in_code: BTreeSet<_> = State::ALL
            .iter()
            .filter(|state| tasks.are_warm() || !State::OF_A_POOL.contains(state))
            .filter(|state| tasks.are_capped() || !State::OF_CAPS.contains(state))
            .map(|state| state.as_str())
            .collect();
        assert_eq!(in_the_machine, in_code, "{tasks:?}");
    }
}

#[test]
fn the_state_machines_table_lists_exactly_the_reasons_for_giving_up() {
    let listed = table(&read("statemachine/README.md"), "## Why a job is given up");
    let in_code: BTreeSet<_> = GiveUp::ALL
        .iter()
        .map(|reason| reason.name().to_owned())
        .collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), in_code);
    assert_eq!(listed.len(), in_code.len(), "a reason is listed twice");
}

#[test]
fn every_state_says_why_it_is_there() {
    for (name, state) in definition(Tasks::WarmAndCapped)["States"]
        .as_object()
        .unwrap()
    {
        let comment = state["Comment"].as_str().unwrap_or_default();
        assert!(comment.len() > 20, "{name} has no comment");
        for rule in ["Retry", "Catch"] {
            for entry in state[rule].as_array().into_iter().flatten() {
                assert!(
                    entry["Comment"].is_string(),
                    "a {rule} of {name} has no comment"
                );
            }
        }
    }
}

#[test]
fn the_state_machines_readme_names_every_state() {
    let readme = read("statemachine/README.md");
    for state in State::ALL {
        assert!(readme.contains(&format!("`{state}`")), "{state}");
    }
}
