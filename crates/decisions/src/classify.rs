//! Classifies the reason why ECS did not run a task.
//!
//! ECS reports a reason as text: its own, EC2's, containerd's or a registry's, mixed with the names
//! of an account's resources. It is classified in two steps:
//!
//! 1. [`names::cut`] removes *names*: image references, ARNs, addresses, account numbers, digests,
//!    ids. An account number can contain `403` and an image can be called `build-agent`: neither says
//!    anything about the failure.
//! 2. [`phrases::TABLE`] is searched for whole words in the rest. Each phrase has a meaning and a
//!    source.
//!
//! If a text says several things, a transient meaning wins: a registry that times out may also
//! report a rejection.

mod names;
mod phrases;

use serde_json::Value;

use crate::outcomes::Outcome;
use phrases::Says;

/// RunTask errors that are permanent whatever their text says ([errors]).
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

/// Why an accepted task never ran, or was stopped.
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

/// An image that could not be pulled. An unreachable registry is transient and wins over the rest
/// of the text. "Not found" may mean "not pushed yet" and is retried a few times. Only a rejection,
/// or an image for another platform, is permanent.
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

/// RunTask's error, as the state machine sees it. An unknown error is transient; only a known one
/// is permanent.
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
            // AWS reports `ECS.AmazonECSException`; if it ever models the error, it will have this
            // name.
            Outcome::Throttled
        } else {
            Outcome::TaskNeverStarted
        }
    })
}

/// A text without names, between spaces, so that phrases match whole words.
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

    /// The outcome of the first meaning that the text has.
    fn first(&self, order: &[(Says, Outcome)]) -> Option<Outcome> {
        order
            .iter()
            .find(|(says, _)| self.says(*says))
            .map(|(_, outcome)| *outcome)
    }
}

/// The reason in a JSON cause: RunTask's `Failures`, or a service's error. The rest of it (tags,
/// environment, names) belongs to the task.
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
