//! From a webhook's body to what it means here.
//!
//! The structs name only what is used; GitHub adds fields freely. What merely informs may be
//! missing, because a job must not be lost for the lack of a name.

use job::{Job, JobId, OwnerType, Repository};
use labels::LabelSet;
use serde::Deserialize;
use serde::de::IgnoredAny;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The header that names the event.
pub const EVENT_HEADER: &str = "x-github-event";
/// The header that identifies the delivery, for whoever looks for it at GitHub.
pub const DELIVERY_HEADER: &str = "x-github-delivery";

/// What a webhook means here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Webhook {
    /// GitHub tries whether anybody listens.
    Ping,
    /// A job wants a runner.
    Queued(Job),
    /// A runner took a job.
    Started {
        /// The job.
        job: Job,
        /// The runner's name.
        runner: String,
    },
    /// A job ended that no runner had taken.
    Cancelled(Job),
    /// A `workflow_job` event without a job. GitHub has sent such.
    WithoutJob,
    /// Nothing that anything depends on: the event, and its action.
    Other(String),
}

/// A body that GitHub signed and that still cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// There is no event header.
    #[error("the request has no {EVENT_HEADER} header")]
    NoEvent,
    /// The body is something else than JSON.
    #[error("the body is not JSON ({0}); set the webhook's content type to `application/json`")]
    NotJson(serde_json::Error),
    /// The body is JSON of another shape.
    #[error("the `workflow_job` event cannot be read: {0}")]
    Shape(serde_json::Error),
    /// The job's repository is missing.
    #[error("the `workflow_job` event names no repository")]
    NoRepository,
    /// The job's repository has no usable name.
    #[error(transparent)]
    Repository(#[from] job::RepositoryError),
}

#[derive(Deserialize)]
struct Payload {
    action: Option<String>,
    workflow_job: Option<RawJob>,
    repository: Option<RawRepository>,
    organization: Option<IgnoredAny>,
    installation: Option<RawInstallation>,
}

#[derive(Deserialize)]
struct RawJob {
    id: u64,
    run_id: u64,
    run_attempt: Option<u32>,
    name: Option<String>,
    workflow_name: Option<String>,
    labels: Option<Vec<String>>,
    runner_id: Option<i64>,
    runner_name: Option<String>,
    created_at: Option<String>,
    started_at: Option<String>,
}

#[derive(Deserialize)]
struct RawRepository {
    full_name: String,
    private: Option<bool>,
    visibility: Option<String>,
    owner: Option<RawOwner>,
}

#[derive(Deserialize)]
struct RawOwner {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct RawInstallation {
    id: Option<u64>,
}

impl Webhook {
    /// Reads a verified body. `event` is the event header; `now` stands in for a time that is
    /// missing.
    pub fn read(
        event: Option<&str>,
        body: &[u8],
        now: OffsetDateTime,
    ) -> Result<Self, WebhookError> {
        let event = event.ok_or(WebhookError::NoEvent)?;
        if event != "workflow_job" {
            serde_json::from_slice::<IgnoredAny>(body).map_err(WebhookError::NotJson)?;
            return Ok(match event {
                "ping" => Self::Ping,
                _ => Self::Other(event.to_owned()),
            });
        }
        let payload: Payload = serde_json::from_slice(body).map_err(|error| {
            if error.is_data() {
                WebhookError::Shape(error)
            } else {
                WebhookError::NotJson(error)
            }
        })?;
        let action = payload.action.as_deref().unwrap_or_default();
        let Some(raw) = &payload.workflow_job else {
            return Ok(Self::WithoutJob);
        };
        Ok(match (action, raw.runner()) {
            ("queued", _) => Self::Queued(payload.job(raw, now)?),
            ("in_progress", Some(runner)) => Self::Started {
                job: payload.job(raw, now)?,
                runner: runner.to_owned(),
            },
            ("completed", None) => Self::Cancelled(payload.job(raw, now)?),
            _ => Self::Other(format!("{event} {action}")),
        })
    }
}

impl Payload {
    fn job(&self, raw: &RawJob, now: OffsetDateTime) -> Result<Job, WebhookError> {
        let repository = self.repository.as_ref().ok_or(WebhookError::NoRepository)?;
        let kind = repository
            .owner
            .as_ref()
            .and_then(|owner| owner.kind.as_deref());
        Ok(Job {
            id: JobId(raw.id),
            run_id: raw.run_id,
            run_attempt: raw.run_attempt.unwrap_or(1),
            name: raw.name.clone().unwrap_or_default(),
            workflow: raw.workflow_name.clone().unwrap_or_default(),
            repository: repository.full_name.parse::<Repository>()?,
            owner_type: match kind {
                Some("Organization") => OwnerType::Organization,
                Some("User") => OwnerType::User,
                // GitHub names the organization where there is one.
                _ if self.organization.is_some() => OwnerType::Organization,
                _ => OwnerType::User,
            },
            // In doubt a repository is public: that is refused unless allowed.
            private: repository.private.unwrap_or(false)
                && repository.visibility.as_deref() != Some("public"),
            labels: LabelSet::new(raw.labels.iter().flatten()),
            installation_id: self.installation.as_ref().and_then(|i| i.id),
            queued_at: [&raw.created_at, &raw.started_at]
                .into_iter()
                .flatten()
                .find_map(|text| OffsetDateTime::parse(text, &Rfc3339).ok())
                .unwrap_or(now),
        })
    }
}

impl RawJob {
    /// The runner that has the job. GitHub writes null or zero, and an empty name, for none.
    fn runner(&self) -> Option<&str> {
        let name = self.runner_name.as_deref().filter(|name| !name.is_empty());
        match self.runner_id {
            None | Some(0) => name,
            Some(_) => Some(name.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::Duration;

    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn payload(action: &str, changes: &[(&str, Value)]) -> Value {
        let mut payload = json!({
            "action": action,
            "workflow_job": {
                "id": 4242, "run_id": 99, "run_attempt": 2, "name": "build", "workflow_name": "CI",
                "labels": ["self-hosted", "Linux"], "runner_id": null, "runner_name": null,
                "created_at": "1970-01-01T00:00:07Z", "started_at": "1970-01-01T00:00:09Z"
            },
            "repository": {
                "full_name": "octo/hello", "private": true, "visibility": "private",
                "owner": { "type": "Organization" }
            },
            "installation": { "id": 77 }
        });
        for (pointer, value) in changes {
            *payload.pointer_mut(pointer).unwrap() = value.clone();
        }
        payload
    }

    fn read(payload: &Value) -> Result<Webhook, WebhookError> {
        Webhook::read(Some("workflow_job"), payload.to_string().as_bytes(), NOW)
    }

    fn queued(changes: &[(&str, Value)]) -> Job {
        match read(&payload("queued", changes)).unwrap() {
            Webhook::Queued(job) => job,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_queued_job_is_read_whole() {
        assert_eq!(
            queued(&[]),
            Job {
                id: JobId(4242),
                run_id: 99,
                run_attempt: 2,
                name: "build".to_owned(),
                workflow: "CI".to_owned(),
                repository: "octo/hello".parse().unwrap(),
                owner_type: OwnerType::Organization,
                private: true,
                labels: LabelSet::parse("linux self-hosted"),
                installation_id: Some(77),
                queued_at: NOW + Duration::seconds(7),
            }
        );
    }

    #[test]
    fn what_merely_informs_may_be_missing() {
        let bare = json!({
            "action": "queued",
            "workflow_job": { "id": 1, "run_id": 2 },
            "repository": { "full_name": "o/r" }
        });
        let Webhook::Queued(job) = read(&bare).unwrap() else {
            panic!("not queued")
        };
        assert_eq!((job.run_attempt, job.queued_at), (1, NOW));
        assert_eq!((job.owner_type, job.private), (OwnerType::User, false));
        assert_eq!(job.installation_id, None);
        assert!(job.labels.is_empty());
    }

    #[test]
    fn times_that_cannot_be_read_are_passed_over() {
        let no_creation = ("/workflow_job/created_at", Value::Null);
        let started = queued(std::slice::from_ref(&no_creation)).queued_at;
        assert_eq!(started, NOW + Duration::seconds(9));
        let nonsense = ("/workflow_job/started_at", json!("yesterday"));
        assert_eq!(queued(&[no_creation, nonsense]).queued_at, NOW);
    }

    #[test]
    fn a_repository_is_private_only_where_nothing_says_otherwise() {
        for (private, visibility, expected) in [
            (json!(true), json!("private"), true),
            (json!(true), json!("internal"), true),
            (json!(true), Value::Null, true),
            (json!(false), json!("public"), false),
            (json!(true), json!("public"), false),
            (Value::Null, json!("private"), false),
        ] {
            let job = queued(&[
                ("/repository/private", private.clone()),
                ("/repository/visibility", visibility.clone()),
            ]);
            assert_eq!(job.private, expected, "{private} {visibility}");
        }
    }

    #[test]
    fn names_of_one_and_of_a_hundred_characters_are_read() {
        for name in ["r".to_owned(), "n".repeat(100), ".github".to_owned()] {
            let full = json!(format!("octo/{name}"));
            assert_eq!(
                queued(&[("/repository/full_name", full)]).repository.name(),
                name
            );
        }
    }

    #[test]
    fn a_job_that_ends_without_a_runner_was_cancelled() {
        for (id, name, cancelled) in [
            (Value::Null, Value::Null, true),
            (json!(0), json!(""), true),
            (json!(5), json!("fr-hello-4242"), false),
            (json!(5), Value::Null, false),
            (json!(0), json!("fr-hello-4242"), false),
        ] {
            let read = read(&payload(
                "completed",
                &[
                    ("/workflow_job/runner_id", id.clone()),
                    ("/workflow_job/runner_name", name.clone()),
                ],
            ));
            assert_eq!(
                matches!(read, Ok(Webhook::Cancelled(_))),
                cancelled,
                "{id} {name}"
            );
        }
    }

    #[test]
    fn a_started_job_names_its_runner() {
        let runner = [
            ("/workflow_job/runner_id", json!(5)),
            ("/workflow_job/runner_name", json!("fr-hello-1")),
        ];
        let read = read(&payload("in_progress", &runner)).unwrap();
        assert!(matches!(read, Webhook::Started { runner, .. } if runner == "fr-hello-1"));
    }

    #[test]
    fn other_events_and_actions_are_named() {
        let waiting = read(&payload("waiting", &[])).unwrap();
        assert_eq!(waiting, Webhook::Other("workflow_job waiting".to_owned()));
        let push = Webhook::read(Some("push"), b"{}", NOW).unwrap();
        assert_eq!(push, Webhook::Other("push".to_owned()));
        let ping = Webhook::read(Some("ping"), br#"{"zen":"x"}"#, NOW).unwrap();
        assert_eq!(ping, Webhook::Ping);
    }

    #[test]
    fn a_workflow_job_without_a_job_is_no_error() {
        for body in [
            json!({"action": "queued"}),
            json!({"workflow_job": null}),
            json!({}),
        ] {
            assert_eq!(read(&body).unwrap(), Webhook::WithoutJob, "{body}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_apart() {
        let told = |event, body: &[u8]| Webhook::read(event, body, NOW).unwrap_err().to_string();
        assert!(told(None, b"{}").contains("x-github-event"));
        assert!(told(Some("push"), b"payload=%7B%7D").contains("application/json"));
        assert!(told(Some("workflow_job"), b"{").contains("not JSON"));
        assert!(told(Some("workflow_job"), br#"{"workflow_job":{}}"#).contains("`id`"));
        let homeless = br#"{"action":"queued","workflow_job":{"id":1,"run_id":2}}"#;
        assert!(told(Some("workflow_job"), homeless).contains("no repository"));
        let odd = payload("queued", &[("/repository/full_name", json!("octo/a b"))]);
        assert!(told(Some("workflow_job"), odd.to_string().as_bytes()).contains("octo/a b"));
    }
}
