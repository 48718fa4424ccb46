//! Why ECS did not run a task, read from the sentence that it gives.
//!
//! ECS reports a reason as text: its own sentence, EC2's, containerd's or a registry's, with the
//! names of an account's resources in the middle. So a text is read in two steps:
//!
//! 1. [`names::cut`] removes what a person or AWS has *named*: image references, ARNs, addresses,
//!    account numbers, digests, ids. An account number holds `403` and an image is called
//!    `build-agent`: neither says anything about the failure.
//! 2. [`phrases::TABLE`] is searched for whole words in what is left. Each phrase has a meaning and a
//!    source.
//!
//! Where a text says several things, the one that passes wins: a registry that times out may also
//! say that it refused.

mod names;
mod phrases;

use serde_json::Value;

use crate::outcomes::Outcome;
use phrases::Says;

/// Names of RunTask's errors that need a person whatever their text says ([errors]).
///
/// [errors]: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html#API_RunTask_Errors
const NEEDS_A_PERSON: &[&str] = &[
    "ECS.AccessDeniedException",
    "ECS.BlockedException",
    "ECS.ClusterNotFoundException",
    "ECS.PlatformTaskDefinitionIncompatibilityException",
    "ECS.PlatformUnknownException",
    "ECS.UnsupportedFeatureException",
];

/// Why a task that was accepted never ran, or was stopped.
pub(crate) fn stopped(reason: &str) -> Outcome {
    let text = Text::of(reason);
    if text.says(Says::Pull) {
        return pull(&text);
    }
    text.first(&[
        (Says::Throttled, Outcome::Throttled),
        (Says::NoRoom, Outcome::NoCapacity),
        (Says::TakenBack, Outcome::SpotInterruption),
        (Says::OutOfMemory, Outcome::OutOfMemory),
        (Says::NoNetwork, Outcome::TaskRefused),
        (Says::Transport, Outcome::TaskNeverStarted),
        (Says::Denied, Outcome::TaskRefused),
        (Says::NotStarted, Outcome::TaskNeverStarted),
    ])
    .unwrap_or(Outcome::Unknown)
}

/// An image that could not be pulled. A registry that is not reached passes, and wins over what else
/// the text says. "Not found" may mean "not pushed yet" and is tried again a few times; only a
/// refusal, or an image for another platform, needs a person at once.
fn pull(text: &Text) -> Outcome {
    text.first(&[
        (Says::Throttled, Outcome::ImagePullFailed),
        (Says::Transport, Outcome::ImagePullFailed),
        (Says::PullRefused, Outcome::ImageRefused),
        (Says::Denied, Outcome::ImageRefused),
        (Says::PullMissing, Outcome::ImageMissing),
    ])
    .unwrap_or(Outcome::ImagePullFailed)
}

/// How RunTask itself was answered: the error as a state machine sees it. What is unknown passes:
/// only what is known to need a person is for good.
pub(crate) fn refused(error: &str, cause: &str) -> Outcome {
    let text = Text::of(cause);
    text.first(&[
        (Says::Throttled, Outcome::Throttled),
        (Says::NoRoom, Outcome::NoCapacity),
        (Says::NoNetwork, Outcome::TaskRefused),
        (Says::Transport, Outcome::TaskNeverStarted),
        (Says::Denied, Outcome::TaskRefused),
        (Says::Malformed, Outcome::TaskRefused),
    ])
    .unwrap_or_else(|| {
        if NEEDS_A_PERSON.contains(&error) {
            Outcome::TaskRefused
        } else if error == "ECS.ThrottlingException" {
            // AWS says `ECS.AmazonECSException`; should it ever model the error, this is its name.
            Outcome::Throttled
        } else {
            Outcome::TaskNeverStarted
        }
    })
}

/// A text without names, between spaces, so that a phrase is found as whole words.
struct Text(String);

impl Text {
    fn of(reason: &str) -> Self {
        let told = told(reason);
        Self(format!(
            " {} ",
            names::cut(told.as_deref().unwrap_or(reason))
        ))
    }

    fn says(&self, what: Says) -> bool {
        phrases::TABLE
            .iter()
            .any(|phrase| phrase.says == what && self.0.contains(&format!(" {} ", phrase.words)))
    }

    /// What the first meaning that the text has stands for.
    fn first(&self, order: &[(Says, Outcome)]) -> Option<Outcome> {
        order
            .iter()
            .find(|(says, _)| self.says(*says))
            .map(|(_, outcome)| *outcome)
    }
}

/// What a cause in JSON tells: RunTask's `Failures`, a service's error. All else in it (tags,
/// environment, names) belongs to the task and not to the reason.
fn told(cause: &str) -> Option<String> {
    let json: Value = serde_json::from_str(cause).ok()?;
    if !(json.is_object() || json.is_array()) {
        return None;
    }
    let mut found = Vec::new();
    collect(&json, &mut found);
    Some(found.join("\n"))
}

fn collect(node: &Value, found: &mut Vec<String>) {
    const TELLING: [&str; 5] = [
        "reason",
        "detail",
        "message",
        "errormessage",
        "stoppedreason",
    ];
    match node {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if TELLING.contains(&name.to_lowercase().as_str()) => {
                        found.push(text.clone());
                    }
                    _ => collect(value, found),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
