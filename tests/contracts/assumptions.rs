//! The ledger of what is assumed about others, against the tree.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use tooling::Checkout;

use crate::read;

const LEDGER: &str = "docs/assumptions.md";
const SWITCHES: &str = "tests/end_to_end/assumptions.rs";
/// Where an assumption may be known from.
const SOURCES: [&str; 5] = ["recorded", "documented", "code", "reported", "unproven"];
/// A longer cell is read by nobody.
const LONGEST_CELL: usize = 220;

/// One row.
#[derive(Debug)]
struct Row {
    id: String,
    cells: Vec<String>,
}

impl Row {
    fn relied_on_by(&self) -> &str {
        self.cells[2].trim_matches('`')
    }

    /// The first word of the source.
    fn kind(&self) -> &str {
        let end = self.cells[3].find([' ', ';']);
        &self.cells[3][..end.unwrap_or(self.cells[3].len())]
    }

    fn switch(&self) -> Option<&str> {
        let (_, rest) = self.cells[3].split_once("; switch `")?;
        rest.strip_suffix('`')
    }

    fn held_by(&self) -> &str {
        self.cells[4].trim_matches('`')
    }
}

fn rows() -> Vec<Row> {
    let is_id = |text: &str| {
        text.split_once('-').is_some_and(|(section, number)| {
            section.len() == 2 && number.len() == 2 && number.bytes().all(|b| b.is_ascii_digit())
        })
    };
    read(LEDGER)
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|line| {
            line.split(" | ")
                .map(str::to_owned)
                .collect::<Vec<String>>()
        })
        .filter(|cells| is_id(&cells[0]))
        .map(|cells| Row {
            id: cells[0].clone(),
            cells,
        })
        .collect()
}

/// Fails with all problems at once.
fn assert_none(problems: &[String]) {
    assert!(
        problems.is_empty(),
        "{LEDGER} is wrong:\n{}",
        problems.join("\n")
    );
}

#[test]
fn every_assumption_has_an_id_of_its_own_and_six_short_cells() {
    let rows = rows();
    assert!(rows.len() >= 80, "only {} rows are read", rows.len());
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for row in &rows {
        if !seen.insert(&row.id) {
            problems.push(format!("{} comes twice", row.id));
        }
        if row.cells.len() != 6 {
            problems.push(format!("{} has {} cells", row.id, row.cells.len()));
        }
        for cell in &row.cells {
            if cell.is_empty() || cell.chars().count() > LONGEST_CELL {
                problems.push(format!("{} has an empty or a long cell: {cell}", row.id));
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn every_assumption_names_a_file_that_relies_on_it_and_a_test_that_exists() {
    let checkout = Checkout::here();
    let mut problems = Vec::new();
    for row in rows() {
        if !checkout.path(row.relied_on_by()).is_file() {
            problems.push(format!("{}: no file {}", row.id, row.relied_on_by()));
        }
        let held = row.held_by();
        if held.strip_prefix("none: ").is_some() {
            continue;
        }
        let Some((file, test)) = held.split_once("::") else {
            problems.push(format!("{}: {held} is no test", row.id));
            continue;
        };
        let source = fs::read_to_string(checkout.path(file)).unwrap_or_default();
        let is_there = [
            format!("fn {test}()"),
            format!("def {test}("),
            format!("\"{test}"),
        ];
        if !is_there.iter().any(|name| source.contains(name)) {
            problems.push(format!("{}: {file} has no test {test}", row.id));
        }
    }
    assert_none(&problems);
}

#[test]
fn every_source_is_of_a_known_kind_with_its_link_and_what_is_unproven_has_a_switch_or_a_reason() {
    let text = read(LEDGER);
    let mut problems = Vec::new();
    for row in rows() {
        let source = &row.cells[3];
        if !SOURCES.contains(&row.kind()) {
            problems.push(format!("{}: {source} is no kind of source", row.id));
        }
        if row.kind() == "unproven" {
            if row.switch().is_none() && !source.contains("; no switch: ") {
                problems.push(format!("{}: neither a switch nor why none", row.id));
            }
            continue;
        }
        let link = source
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'))
            .map(|(link, _)| link);
        if !link.is_some_and(|link| text.contains(&format!("\n[{link}]: https://"))) {
            problems.push(format!("{}: {source} has no link", row.id));
        }
    }
    assert_none(&problems);
}

#[test]
fn every_switch_is_played_by_the_end_to_end_tests_and_every_one_played_is_in_the_ledger() {
    let named: BTreeSet<String> = rows()
        .iter()
        .filter_map(|row| row.switch().map(str::to_owned))
        .collect();
    let played = read(SWITCHES);
    let (_, list) = played
        .split_once("const SWITCHES: &[&str] = &[")
        .expect("the tests list their switches");
    let (list, _) = list.split_once("];").expect("the list ends");
    let played: BTreeSet<String> = list
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    assert_eq!(named, played, "switches of the ledger, and those played");
}

#[test]
fn every_probe_on_a_real_account_is_for_a_row_of_the_ledger() {
    let script = Checkout::here().path("scripts/smoke");
    let printed = Command::new("bash")
        .arg(&script)
        .arg("--dry-run")
        .output()
        .unwrap();
    assert!(printed.status.success(), "{printed:?}");
    let ids: BTreeSet<String> = rows().into_iter().map(|row| row.id).collect();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let probes: Vec<&str> = printed
        .lines()
        .filter_map(|line| Some(line.split_once('\t')?.0))
        .collect();
    assert!(probes.len() > 20, "only {} probes", probes.len());
    for id in probes {
        assert!(ids.contains(id), "{id} is no row");
    }
}
