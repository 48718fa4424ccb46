//! How functions and agent end where they cannot start. Whoever finds that in a log has to know what
//! to do; Rust's own words for an error do not tell.

#![allow(clippy::unwrap_used, clippy::panic)] // A test that cannot read what it needs has failed.

use std::process::Command;

use tooling::Checkout;

/// What a program without any environment says last on standard error.
fn last_words(checkout: &Checkout, name: &str) -> String {
    let program = checkout.program(name);
    let output = Command::new(&program)
        .env_clear()
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{}: {error}; build it: cargo build --workspace --bins",
                program.display()
            )
        });
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{name} started: {stderr}");
    stderr.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_program_without_settings_ends_with_a_sentence_that_says_what_to_set() {
    let checkout = Checkout::here();
    let names = checkout.functions().unwrap();
    assert!(names.len() > 5, "handlers/ has only {names:?}");
    for name in names {
        let said = last_words(&checkout, &name);
        let variable = said
            .strip_prefix("error: environment variable ")
            .and_then(|rest| rest.split_once(" is not set; set it to: "));
        let Some((variable, meaning)) = variable else {
            panic!("{name} ends with {said:?}");
        };
        let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
        assert!(variable.chars().all(is_name), "{name}: {said}");
        assert!(meaning.contains(' '), "{name}: {said}");
    }
}

/// A task has one of two variables, so the sentence names both.
#[test]
fn an_agent_without_settings_says_which_of_its_two_ways_to_choose() {
    let said = last_words(&Checkout::here(), "agent");
    let sentence = "error: neither AGENT_PARAMETER nor AGENT_BELL is set; set ";
    assert!(said.starts_with(sentence), "{said}");
}
