//! Lines of the log of `verify`. Pure.

use protocol::{ExecutionName, JobId, Repository};
use serde::Deserialize;
use time::OffsetDateTime;

use super::evidence::{Answer, RefusedKind, WebhookSeen};

/// One line about a webhook of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub job: JobId,
    pub repository: Option<Repository>,
    pub execution: Option<ExecutionName>,
    pub webhook: WebhookSeen,
}

#[derive(Deserialize)]
struct Wire {
    message: String,
    #[serde(default)]
    status: Option<u16>,
    answer: Option<String>,
    error: Option<String>,
    span: Span,
}

#[derive(Deserialize)]
struct Span {
    delivery: Option<String>,
    job_id: Option<JobId>,
    repository: Option<String>,
    execution: Option<String>,
}

/// The response's body, as `verify` logs it.
#[derive(Deserialize)]
struct Body {
    result: String,
    reason: Option<String>,
}

impl Line {
    /// Reads a line; `None` if it does not say what was done with a job's webhook.
    pub fn read(text: &str, at: OffsetDateTime) -> Option<Self> {
        let wire: Wire = serde_json::from_str(text.trim()).ok()?;
        let answer = match wire.message.as_str() {
            "webhook taken" => answer(wire.answer.as_deref()),
            "webhook not taken" => Answer::Error(wire.error.unwrap_or_default()),
            _ => return None,
        };
        Some(Self {
            job: wire.span.job_id?,
            repository: wire.span.repository.and_then(|name| name.parse().ok()),
            execution: wire.span.execution.and_then(|name| name.parse().ok()),
            webhook: WebhookSeen {
                at,
                delivery: wire.span.delivery,
                status: wire.status.unwrap_or_default(),
                answer,
            },
        })
    }
}

fn answer(body: Option<&str>) -> Answer {
    let Some(text) = body else {
        return Answer::Other("taken; this version's log does not say how".to_owned());
    };
    let Ok(Body { result, reason }) = serde_json::from_str(text) else {
        return Answer::Other(text.to_owned());
    };
    match (result.as_str(), reason) {
        ("started", _) => Answer::Started,
        ("running", _) => Answer::Running,
        ("kept", _) => Answer::Kept,
        ("paused", _) => Answer::Paused,
        ("handed on", _) => Answer::HandedOn,
        ("ignored", Some(reason)) if reason.contains("executions") => Answer::Enough,
        ("ignored", Some(reason)) => Answer::Ignored(reason),
        _ => Answer::Other(text.to_owned()),
    }
}

/// What kind of refusal a reason tells of. The reasons are the sentences of
/// [`Refusal`](admission::Refusal), which name the setting.
pub fn kind_of(reason: &str) -> Option<RefusedKind> {
    let has = |word: &str| reason.contains(word);
    Some(if has("ALLOWED_OWNERS") {
        RefusedKind::Owner
    } else if has("ALLOWED_REPOSITORIES") {
        RefusedKind::Repository
    } else if has("ALLOW_PUBLIC_REPOSITORIES") || has("ALLOW_INTERNAL_REPOSITORIES") {
        RefusedKind::Visibility
    } else if has("ALLOW_FORKS") {
        RefusedKind::Fork
    } else if has("REQUIRED_LABELS") || has("does not ask for [") {
        RefusedKind::Labels
    } else {
        return None;
    })
}

#[cfg(test)]
mod tests {
    use admission::{Refusal, Required};
    use protocol::LabelSet;
    use serde_json::json;

    use super::*;

    const AT: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn line(fields: &serde_json::Value) -> Option<Line> {
        let mut line = json!({
            "level": "INFO", "message": "webhook taken", "status": 200,
            "span": { "name": "webhook", "delivery": "guid", "event": "workflow_job", "job_id": 7,
                      "run_id": 9, "repository": "octo/hello", "execution": "hello-7" },
        });
        for (key, value) in fields.as_object().unwrap() {
            line[key] = value.clone();
        }
        Line::read(&line.to_string(), AT)
    }

    #[test]
    fn what_verify_answered_is_read_from_its_log() {
        for (body, answer) in [
            (
                json!({ "result": "started", "execution": "hello-7" }),
                Answer::Started,
            ),
            (json!({ "result": "kept" }), Answer::Kept),
            (json!({ "result": "paused" }), Answer::Paused),
            (
                json!({ "result": "handed on", "kind": "cancelled" }),
                Answer::HandedOn,
            ),
            (
                json!({ "result": "ignored", "reason": "octo is not among ALLOWED_OWNERS" }),
                Answer::Ignored("octo is not among ALLOWED_OWNERS".to_owned()),
            ),
        ] {
            let read = line(&json!({ "answer": body.to_string() })).unwrap();
            assert_eq!(read.webhook.answer, answer);
            assert_eq!(read.job, JobId(7));
            assert_eq!(read.webhook.delivery.as_deref(), Some("guid"));
        }
        let failed =
            line(&json!({ "message": "webhook not taken", "status": 500, "error": "broken" }));
        assert_eq!(
            failed.unwrap().webhook.answer,
            Answer::Error("broken".to_owned())
        );
        assert!(matches!(
            line(&json!({})).unwrap().webhook.answer,
            Answer::Other(_)
        ));
    }

    #[test]
    fn other_lines_say_nothing_about_a_webhook() {
        assert_eq!(
            line(&json!({ "message": "a queued job is not served" })),
            None
        );
        assert_eq!(line(&json!({ "span": {} })), None);
        assert_eq!(Line::read("REPORT RequestId: 1", AT), None);
    }

    #[test]
    fn each_refusal_is_known_by_its_sentence() {
        let repository: Repository = "octo/hello".parse().unwrap();
        let labels = |required: &str| Refusal::Labels {
            asked: LabelSet::parse("linux"),
            group: None,
            required: required.parse::<Required>().unwrap(),
        };
        for (refusal, kind) in [
            (labels("self-hosted"), RefusedKind::Labels),
            (labels("self-hosted | dependabot"), RefusedKind::Labels),
            (Refusal::Owner("octo".to_owned()), RefusedKind::Owner),
            (
                Refusal::Repository(repository.clone()),
                RefusedKind::Repository,
            ),
            (Refusal::Public(repository.clone()), RefusedKind::Visibility),
            (
                Refusal::Internal(repository.clone()),
                RefusedKind::Visibility,
            ),
            (
                Refusal::Fork {
                    repository,
                    fork: None,
                },
                RefusedKind::Fork,
            ),
        ] {
            assert_eq!(kind_of(&refusal.to_string()), Some(kind), "{refusal}");
        }
        assert_eq!(kind_of("no action depends on push"), None);
    }
}
