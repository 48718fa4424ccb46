//! What arbitrary bytes must not break. See the README for how to run each for long.
//!
//! Each target takes bytes, hands them to what reads text from outside, and panics where a promise of
//! that reader is broken. `tests/replay.rs` gives every target its corpus and some thousand inputs made
//! from it in the ordinary tests; `driver` gives each of them to `libFuzzer`.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a broken promise is a panic: that is what a fuzzer looks for"
)]

mod label;
mod name;
mod outcome;
mod registration;
mod verify;

pub use self::label::labels;
pub use self::name::names;
pub use self::outcome::outcome;
pub use self::registration::registration;
pub use self::verify::verify;

/// A target: arbitrary bytes go in, and it returns unless a promise is broken.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("verify", verify),
    ("labels", labels),
    ("names", names),
    ("registration", registration),
    ("outcome", outcome),
];

/// Bytes as text: the first line, and what follows it.
fn lines(data: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(data).ok()?;
    Some(text.split_once('\n').unwrap_or((text, "")))
}
