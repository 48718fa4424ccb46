//! Interfaces between the parts, compared with each other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod architecture;
mod assumptions;
mod circles;
mod decisions;
mod dependencies;
mod faults;
mod github_api;
mod links;
mod metrics;
mod pins;
mod prose;
mod run_task;
mod settings;
mod shapes;
mod workflows;

use std::fs;

use tooling::Checkout;

/// A file of the repository.
fn read(path: &str) -> String {
    let path = Checkout::here().path(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The first cells of a Markdown table's rows under a heading, where they are code.
fn table(text: &str, heading: &str) -> Vec<String> {
    let section = text
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("there is no heading {heading:?}"))
        .1;
    let end = section.find("\n## ").unwrap_or(section.len());
    section[..end]
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(name, _)| name.to_owned())
        .collect()
}
