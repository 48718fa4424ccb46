//! Every decision is made by the function that the model check explores.

use std::fs;
use std::path::Path;

use tooling::Checkout;

use crate::read;

/// The decision functions of `crates/decisions`: the public functions that its root exports.
fn decisions() -> Vec<String> {
    let root = read("crates/decisions/src/lib.rs");
    let mut found = Vec::new();
    for export in root.split("pub use ").skip(1) {
        let (export, _) = export.split_once(';').unwrap();
        let (_, names) = export.split_once("::").unwrap();
        let names = names.trim_matches(['{', '}']).split(',').map(str::trim);
        // Types begin with a capital.
        found.extend(
            names
                .filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
                .map(str::to_owned),
        );
    }
    found
}

/// The Rust sources under a directory, without their unit tests and comments.
fn sources(directory: &Path, found: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "tests") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let lines = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            for line in lines {
                found.push_str(line);
                found.push('\n');
            }
        }
    }
}

/// Whether code calls `decisions`' function of that name, or hands it on to be called. Functions and
/// methods of the same name that others define do not count.
fn calls(code: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let before = &code[..at];
        let after = &code[at + name.len()..];
        let called = after.starts_with('(') || after.starts_with(')');
        let whole = !before.ends_with(is_word);
        let qualified = before.ends_with("decisions::");
        let others = before.ends_with("fn ") || before.ends_with('.');
        called && whole && !others && (qualified || !before.ends_with("::"))
    })
}

fn code_of(directories: &[&str]) -> String {
    let mut code = String::new();
    for directory in directories {
        sources(&Checkout::here().path(directory), &mut code);
    }
    code
}

/// The code of the crates, the handlers and the agent, without that of the rules themselves.
fn production() -> String {
    let mut code = code_of(&["handlers", "images/ubuntu/agent/src"]);
    for entry in fs::read_dir(Checkout::here().path("crates")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_none_or(|name| name != "decisions") {
            sources(&path.join("src"), &mut code);
        }
    }
    code
}

#[test]
fn production_and_the_model_call_every_decision() {
    let decisions = decisions();
    assert!(decisions.len() > 10, "{decisions:?}");
    for (side, code) in [
        ("no handler", production()),
        ("no step of the model", code_of(&["tests/model/src"])),
    ] {
        let uncalled: Vec<_> = decisions
            .iter()
            .filter(|name| !calls(&code, name))
            .collect();
        assert!(uncalled.is_empty(), "{side} calls {uncalled:?}");
    }
}

#[test]
fn only_calls_of_the_rules_themselves_count() {
    for (code, counts) in [
        ("if may_stop(answer) {", true),
        (".is_some_and(cleans_after_task)", true),
        ("decisions::retire(seen, idle)", true),
        ("pub async fn retire(fleet: &Fleet)", false),
        ("fleet::retire(deps)", false),
        ("self.judge(world)", false),
        ("would_attend(world)", false),
        ("use decisions::{retire, may_stop};", false),
    ] {
        let name = ["may_stop", "cleans_after_task", "retire", "judge", "attend"]
            .into_iter()
            .find(|name| code.contains(name))
            .unwrap();
        assert_eq!(calls(code, name), counts, "{code}");
    }
}
