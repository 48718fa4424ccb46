//! The README's table of environment variables, against what the programs read.

use std::collections::{BTreeMap, BTreeSet};

use runtime::settings::{Default, Variable};
use tooling::Checkout;

use crate::read;

/// Every program of ours and what it reads.
fn programs() -> Vec<(&'static str, Vec<Variable>)> {
    let flat = |groups: &[&[Variable]]| groups.concat();
    vec![
        ("verify", flat(verify::settings::VARIABLES)),
        ("match", flat(matching::settings::VARIABLES)),
        ("launch", flat(launch::settings::VARIABLES)),
        ("token", flat(token::settings::VARIABLES)),
        ("cleanup", flat(cleanup::settings::VARIABLES)),
        ("sweep", flat(sweep::settings::VARIABLES)),
        ("stock", flat(stock::settings::VARIABLES)),
        ("agent", agent::VARIABLES.to_vec()),
    ]
}

/// The rows that the README must have, in the order of their names.
fn rows() -> Vec<String> {
    // A variable that two programs read differently has a row for each.
    let mut variables: BTreeMap<(&str, &str), (Variable, Vec<&str>)> = BTreeMap::new();
    for (program, read) in programs() {
        for variable in read {
            let key = (variable.name, variable.meaning);
            let entry = variables.entry(key).or_insert((variable, Vec::new()));
            assert_eq!(
                entry.0.default, variable.default,
                "{} has two defaults",
                variable.name
            );
            if !entry.1.contains(&program) {
                entry.1.push(program);
            }
        }
    }
    let all = programs().len();
    variables
        .into_values()
        .map(|(variable, read_by)| {
            let default = match variable.default {
                Default::Required => "required".to_owned(),
                Default::Absent => String::new(),
                Default::Value(value) => format!("`{value}`"),
            };
            let read_by = if read_by.len() == all {
                "all".to_owned()
            } else {
                read_by.join(", ")
            };
            let meaning = variable.meaning.replace('|', "\\|");
            format!(
                "| `{}` | {read_by} | {default} | {meaning} |",
                variable.name
            )
        })
        .collect()
}

#[test]
fn every_function_is_among_the_programs() {
    let mut folders = Checkout::here().functions().unwrap();
    folders.push("agent".to_owned());
    let programs: BTreeSet<_> = programs().into_iter().map(|(name, _)| name).collect();
    assert_eq!(programs, folders.iter().map(String::as_str).collect());
}

#[test]
fn the_readme_lists_exactly_the_variables_that_the_programs_read() {
    let readme = read("README.md");
    let (_, section) = readme
        .split_once("\n## Environment variables\n")
        .expect("the README has a section of that name");
    let section = section.split("\n## ").next().unwrap_or_default();
    let listed: Vec<&str> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let wanted = rows();
    assert!(
        listed == wanted,
        "the table of environment variables is out of date; it should be:\n{}",
        wanted.join("\n")
    );
}

#[test]
fn a_runner_is_retired_before_its_agent_ends_it_and_that_before_github_forgets_it() {
    let seconds = |program: &str, name: &str| -> u64 {
        let programs = programs();
        let (_, variables) = programs
            .iter()
            .find(|(known, _)| *known == program)
            .unwrap();
        let variable = variables.iter().find(|known| known.name == name).unwrap();
        let Default::Value(value) = variable.default else {
            panic!("{name} has no default");
        };
        value.parse().unwrap()
    };
    let (sweep, launch, agent) = (
        seconds("sweep", "SWEEP_IDLE_SECONDS"),
        seconds("launch", "IDLE_LIMIT_SECONDS"),
        seconds("agent", "AGENT_IDLE_LIMIT_SECONDS"),
    );
    assert!(sweep >= 120, "somebody may be counting on it");
    assert!(sweep < launch);
    assert_eq!(launch, agent);
    // GitHub drops idle just-in-time runners after 2 to 6 minutes (actions/runner#4726).
    assert!(launch <= 360);
}
