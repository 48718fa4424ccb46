//! The crate graph in `docs/architecture.md`, held against what the crates really depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use tooling::Checkout;

use crate::read;

/// The crates of `crates/`, each with those of them that it depends on.
fn real() -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeSet<String> = fs::read_dir(Checkout::here().path("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let depends_on = |name: &String| {
        let manifest = read(&format!("crates/{name}/Cargo.toml"));
        let (_, rest) = manifest
            .split_once("\n[dependencies]\n")
            .unwrap_or_default();
        rest.split("\n[")
            .next()
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split(['.', ' ']).next())
            .filter(|dependency| names.contains(*dependency))
            .map(str::to_owned)
            .collect()
    };
    names
        .iter()
        .map(|name| (name.clone(), depends_on(name)))
        .collect()
}

/// The same by the table: what stands in its first and third columns.
fn written() -> BTreeMap<String, BTreeSet<String>> {
    rows("| crate | what it knows |")
        .into_iter()
        .map(|row| (row[0][0].clone(), row[2].iter().cloned().collect()))
        .collect()
}

/// The rows of a table in `docs/architecture.md`, by how its head begins: of each cell, what is code.
pub(crate) fn rows(head: &str) -> Vec<Vec<Vec<String>>> {
    let page = read("docs/architecture.md");
    let (_, table) = page.split_once(head).unwrap();
    let code = |cell: &str| -> Vec<String> {
        let names = cell.split('`').skip(1).step_by(2);
        names.map(str::to_owned).collect()
    };
    table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').skip(1).map(code).collect())
        .collect()
}

#[test]
fn the_table_of_crates_says_what_depends_on_what() {
    let (real, written) = (real(), written());
    assert!(real.len() > 5, "{real:?}");
    assert_eq!(
        written, real,
        "docs/architecture.md (left) is not what the crates' Cargo.toml say (right)"
    );
}

#[test]
fn the_crates_form_no_circle() {
    let mut left = real();
    while !left.is_empty() {
        let free: Vec<String> = left
            .iter()
            .filter(|(_, needs)| needs.iter().all(|need| !left.contains_key(need)))
            .map(|(name, _)| name.clone())
            .collect();
        assert!(!free.is_empty(), "these depend on each other: {left:?}");
        for name in free {
            left.remove(&name);
        }
    }
}
