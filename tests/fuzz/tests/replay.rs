//! The targets in the ordinary tests: each with its corpus, and with inputs made from it.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy takes functions beside the tests for production code"
)]

use std::fmt;
use std::fs;
use std::path::Path;

use fuzz::{TARGETS, Target};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

/// Inputs that are made for each target.
const CASES: u32 = 2_000;

#[test]
fn nothing_in_a_corpus_breaks_a_promise() {
    for (name, target) in TARGETS {
        for input in corpus(name) {
            target(&input);
        }
    }
}

#[test]
fn nothing_near_a_corpus_breaks_a_promise() {
    for (name, target) in TARGETS {
        near(name, *target);
    }
}

fn near(name: &str, target: Target) {
    let corpus = corpus(name);
    let config = Config {
        cases: CASES,
        // What is found belongs into the corpus, by a name that says what it shows.
        failure_persistence: None,
        ..Config::default()
    };
    let piece = select(corpus.clone());
    let edits = vec((any::<Index>(), edit(), piece), 0..8);
    let inputs = (select(corpus), edits).prop_map(|(mut input, edits)| {
        for (at, edit, other) in edits {
            edit.make(&mut input, at, &other);
        }
        Input(input)
    });
    let mut runner = TestRunner::new(config);
    let run = runner.run(&inputs, |input| {
        target(&input.0);
        Ok(())
    });
    if let Err(error) = run {
        panic!("{name}: {error}");
    }
}

/// An input that a failure shows as text, where it is.
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

/// A change to an input.
#[derive(Clone, Debug)]
enum Edit {
    Insert(Vec<u8>),
    Replace(u8),
    Remove(usize),
    /// The rest becomes that of another input.
    Splice,
}

fn edit() -> impl Strategy<Value = Edit> {
    // Letters alone would seldom meet what a reader takes apart.
    let token = select(vec![
        "\n",
        " ",
        ",",
        ":",
        "/",
        "-",
        "_",
        "\"",
        "{}",
        "[]",
        "null",
        "true",
        "0",
        "-1",
        "1e999",
        "18446744073709551616",
        "\u{130}",
        "\u{2028}",
        "\0",
        "\\ud800",
    ]);
    prop_oneof![
        token.prop_map(|token| Edit::Insert(token.as_bytes().to_vec())),
        vec(any::<u8>(), 1..4).prop_map(Edit::Insert),
        any::<u8>().prop_map(Edit::Replace),
        (1_usize..16).prop_map(Edit::Remove),
        Just(Edit::Splice),
    ]
}

impl Edit {
    fn make(&self, input: &mut Vec<u8>, at: Index, other: &[u8]) {
        let at = at.index(input.len() + 1);
        match self {
            Self::Insert(bytes) => {
                input.splice(at..at, bytes.iter().copied());
            }
            Self::Replace(byte) => {
                if let Some(old) = input.get_mut(at) {
                    *old = *byte;
                }
            }
            Self::Remove(count) => {
                let end = (at + count).min(input.len());
                input.drain(at..end);
            }
            Self::Splice => {
                input.truncate(at);
                input.extend(other.get(at..).unwrap_or_default());
            }
        }
    }
}

/// A target's inputs that are kept.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    // The same order on every machine.
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", directory.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}
