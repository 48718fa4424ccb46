//! From a webhook's body to what it means here.
//!
//! The structs name only what is used; GitHub adds fields freely. What merely informs may be
//! missing, because a job must not be lost for the lack of a name.

use admission::About;
use protocol::text::{plain, readable_json};
use protocol::{Job, JobId, LabelSet, OwnerType, Repository, queued_since};
use serde::de::{DeserializeOwned, Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
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
    Queued {
        /// The job.
        job: Job,
        /// What its admission is decided by besides.
        about: About,
    },
    /// A runner took a job.
    Started {
        /// The job.
        job: Job,
        /// What its admission is decided by besides.
        about: About,
        /// The runner's name.
        runner: String,
    },
    /// A job ended that a runner had.
    Ended {
        /// The job.
        job: Job,
        /// What its admission is decided by besides.
        about: About,
        /// The runner's name.
        runner: String,
        /// When the runner took it.
        started_at: Option<OffsetDateTime>,
        /// `success`, `failure` and so on.
        conclusion: Option<String>,
        /// When it ended.
        completed_at: Option<OffsetDateTime>,
    },
    /// A job ended that no runner had taken.
    Cancelled {
        /// The job.
        job: Job,
        /// What its admission is decided by besides.
        about: About,
    },
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
    #[error("the body is not JSON ({0}): set the webhook's content type to `application/json`")]
    NotJson(serde_json::Error),
    /// The body is JSON of another shape.
    #[error("cannot parse the `workflow_job` event: {0}")]
    Shape(serde_json::Error),
    /// The job's repository is missing.
    #[error("the `workflow_job` event has no repository")]
    NoRepository,
    /// The job's repository has no usable name.
    #[error(transparent)]
    Repository(#[from] protocol::RepositoryError),
}

#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    action: Lenient<String>,
    workflow_job: Option<RawJob>,
    repository: Option<RawRepository>,
    organization: Option<IgnoredAny>,
    #[serde(default)]
    installation: Lenient<RawInstallation>,
}

#[derive(Deserialize)]
struct RawJob {
    #[serde(deserialize_with = "whole")]
    id: u64,
    #[serde(deserialize_with = "whole")]
    run_id: u64,
    #[serde(default)]
    run_attempt: Lenient<u32>,
    #[serde(default)]
    name: Lenient<String>,
    #[serde(default)]
    workflow_name: Lenient<String>,
    #[serde(default)]
    labels: Lenient<Vec<Lenient<String>>>,
    #[serde(default)]
    runner_id: Lenient<i64>,
    #[serde(default)]
    runner_name: Lenient<String>,
    #[serde(default)]
    runner_group_name: Lenient<String>,
    #[serde(default)]
    created_at: Lenient<String>,
    #[serde(default)]
    started_at: Lenient<String>,
    #[serde(default)]
    completed_at: Lenient<String>,
    #[serde(default)]
    conclusion: Lenient<String>,
}

#[derive(Deserialize)]
struct RawRepository {
    full_name: String,
    #[serde(default)]
    private: Lenient<bool>,
    #[serde(default)]
    visibility: Lenient<String>,
    #[serde(default)]
    owner: Lenient<RawOwner>,
}

#[derive(Deserialize)]
struct RawOwner {
    #[serde(default)]
    id: Lenient<u64>,
    #[serde(rename = "type", default)]
    kind: Lenient<String>,
}

#[derive(Deserialize)]
struct RawInstallation {
    id: Option<u64>,
}

/// A field that merely informs: where it holds something else than it should, it is as good as
/// missing.
#[derive(Deserialize)]
#[serde(from = "Value", bound = "T: DeserializeOwned")]
struct Lenient<T>(Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: DeserializeOwned> From<Value> for Lenient<T> {
    fn from(value: Value) -> Self {
        Self(serde_json::from_value(value).ok())
    }
}

/// A whole number that may be written with a fraction of zero: GitHub's schema calls `run_id` a
/// number, not an integer ([schema]).
///
/// [schema]: https://github.com/github/rest-api-description
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let whole = number.as_u64().or_else(|| {
        let number = number.as_f64().filter(|number| number.fract() == 0.0)?;
        // Its digits without an exponent, so that nothing is rounded on the way.
        format!("{number:.0}").parse().ok()
    });
    whole.ok_or_else(|| D::Error::custom(format!("{number} is not an id")))
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
            read::<IgnoredAny>(body).map_err(WebhookError::NotJson)?;
            return Ok(match event {
                "ping" => Self::Ping,
                _ => Self::Other(plain(event)),
            });
        }
        let payload: Payload = read(body).map_err(|error| {
            if error.is_data() {
                WebhookError::Shape(error)
            } else {
                WebhookError::NotJson(error)
            }
        })?;
        let action = payload.action.0.as_deref().unwrap_or_default();
        let Some(raw) = &payload.workflow_job else {
            return Ok(Self::WithoutJob);
        };
        Ok(match (action, raw.runner()) {
            ("queued", _) => Self::Queued {
                job: payload.job(raw, now)?,
                about: payload.about(raw),
            },
            ("in_progress", Some(runner)) => Self::Started {
                job: payload.job(raw, now)?,
                about: payload.about(raw),
                runner: runner.to_owned(),
            },
            // Nothing depends on it, so a job that cannot be read is no error.
            ("completed", Some(runner)) => match payload.job(raw, now) {
                Ok(job) => Self::Ended {
                    job,
                    about: payload.about(raw),
                    runner: runner.to_owned(),
                    started_at: time(&raw.started_at),
                    conclusion: raw.conclusion.0.as_deref().map(plain),
                    completed_at: time(&raw.completed_at),
                },
                Err(_) => Self::Other(plain(&format!("{event} {action}"))),
            },
            ("completed", None) => Self::Cancelled {
                job: payload.job(raw, now)?,
                about: payload.about(raw),
            },
            _ => Self::Other(plain(&format!("{event} {action}"))),
        })
    }
}

/// Reads JSON; where a parser refuses it for what a string holds, what is readable of it.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body).or_else(|refused| {
        if refused.is_syntax() {
            serde_json::from_str(&readable_json(body))
        } else {
            Err(refused)
        }
    })
}

impl Payload {
    fn about(&self, raw: &RawJob) -> About {
        let repository = self.repository.as_ref();
        let owner = repository.and_then(|repository| repository.owner.0.as_ref());
        let visibility = repository.and_then(|repository| repository.visibility.0.as_deref());
        About {
            group: raw.group(),
            owner_id: owner.and_then(|owner| owner.id.0),
            internal: visibility == Some("internal"),
        }
    }

    fn job(&self, raw: &RawJob, now: OffsetDateTime) -> Result<Job, WebhookError> {
        let repository = self.repository.as_ref().ok_or(WebhookError::NoRepository)?;
        let owner = repository.owner.0.as_ref();
        let kind = owner.and_then(|owner| owner.kind.0.as_deref());
        let created_at = time(&raw.created_at);
        Ok(Job {
            id: JobId(raw.id),
            run_id: raw.run_id,
            run_attempt: raw.run_attempt.0.unwrap_or(1),
            name: raw.name.0.as_deref().map(plain).unwrap_or_default(),
            workflow: raw
                .workflow_name
                .0
                .as_deref()
                .map(plain)
                .unwrap_or_default(),
            repository: repository.full_name.parse::<Repository>()?,
            owner_type: match kind {
                Some("Organization") => OwnerType::Organization,
                Some("User") => OwnerType::User,
                // GitHub names the organization where there is one.
                _ if self.organization.is_some() => OwnerType::Organization,
                _ => OwnerType::User,
            },
            // Default to public, which the policy rejects unless allowed.
            private: repository.private.0.unwrap_or(false)
                && repository.visibility.0.as_deref() != Some("public"),
            labels: raw.labels(),
            installation_id: self.installation.0.as_ref().and_then(|i| i.id),
            queued_at: queued_since(created_at, time(&raw.started_at), now),
            created_at,
        })
    }
}

fn time(text: &Lenient<String>) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text.0.as_deref()?, &Rfc3339).ok()
}

/// The most labels read of one job. GitHub registers a runner with a hundred at most, and a tag
/// `GH:labels` holds 256 characters: what asks for more is served by nothing, and still is when one
/// label fewer is read.
const LABELS: usize = 128;
/// The most characters read of one label: more than a tag's value holds.
const LABEL_LIMIT: usize = 300;

impl RawJob {
    /// The runner that has the job. GitHub writes null or zero, and an empty name, for none.
    fn runner(&self) -> Option<&str> {
        let name = self
            .runner_name
            .0
            .as_deref()
            .filter(|name| !name.is_empty());
        match self.runner_id.0 {
            None | Some(0) => name,
            Some(_) => Some(name.unwrap_or_default()),
        }
    }

    /// The runner group, where GitHub names one.
    fn group(&self) -> Option<String> {
        let group = plain(self.runner_group_name.0.as_deref()?);
        (!group.is_empty()).then_some(group)
    }

    /// What the job asks for. A label too long to be offered stays too long, so that its beginning
    /// matches nothing.
    fn labels(&self) -> LabelSet {
        let labels = self.labels.0.iter().flatten();
        let texts = labels.filter_map(|label| label.0.as_deref());
        LabelSet::new(texts.take(LABELS).map(|text| {
            let end = text.char_indices().nth(LABEL_LIMIT).map(|(at, _)| at);
            &text[..end.unwrap_or(text.len())]
        }))
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
                "created_at": "1969-12-31T23:59:51Z", "started_at": "1970-01-01T00:00:00Z"
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
            Webhook::Queued { job, .. } => job,
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
                queued_at: NOW,
                created_at: Some(NOW - Duration::seconds(9)),
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
        let Webhook::Queued { job, .. } = read(&bare).unwrap() else {
            panic!("not queued")
        };
        assert_eq!((job.run_attempt, job.queued_at), (1, NOW));
        assert_eq!((job.owner_type, job.private), (OwnerType::User, false));
        assert_eq!(job.installation_id, None);
        assert!(job.labels.is_empty());
    }

    #[test]
    fn times_that_cannot_be_read_are_passed_over() {
        let creation = |value| ("/workflow_job/created_at", value);
        let start = |value| ("/workflow_job/started_at", value);
        for odd in [
            Value::Null,
            json!("yesterday"),
            json!(1_767_225_600),
            json!([]),
        ] {
            let job = queued(&[creation(odd.clone())]);
            assert_eq!((job.queued_at, job.created_at), (NOW, None), "{odd}");
            let job = queued(&[start(odd.clone())]);
            assert_eq!(job.queued_at, NOW - Duration::seconds(9), "{odd}");
            assert_eq!(queued(&[creation(odd.clone()), start(odd)]).queued_at, NOW);
        }
    }

    #[test]
    fn a_job_that_an_approval_held_back_begins_its_stay_with_the_event() {
        let yesterday = json!("1969-12-31T00:00:00Z");
        let job = queued(&[
            ("/workflow_job/created_at", yesterday.clone()),
            ("/workflow_job/started_at", yesterday),
        ]);
        assert_eq!(job.queued_at, NOW);
        assert_eq!(job.created_at, Some(NOW - Duration::days(1)));
    }

    #[test]
    fn an_event_half_an_hour_late_tells_of_the_whole_stay() {
        let then = json!("1969-12-31T23:30:00Z");
        let job = queued(&[
            ("/workflow_job/created_at", then.clone()),
            ("/workflow_job/started_at", then),
        ]);
        assert_eq!(job.queued_at, NOW - Duration::minutes(30));
    }

    #[test]
    fn no_field_that_merely_informs_keeps_a_job_from_being_read() {
        let values = [
            Value::Null,
            json!(true),
            json!(-1),
            json!(1.5),
            json!(""),
            json!("\u{202e}a\nb\u{0}\u{2028}🦀"),
            json!("x".repeat(1_000_000)),
            json!([null, 1, "x", {}]),
            json!({ "a": null }),
        ];
        for field in [
            "/workflow_job/run_attempt",
            "/workflow_job/name",
            "/workflow_job/workflow_name",
            "/workflow_job/labels",
            "/workflow_job/runner_id",
            "/workflow_job/runner_name",
            "/workflow_job/created_at",
            "/workflow_job/started_at",
            "/repository/private",
            "/repository/visibility",
            "/repository/owner",
            "/repository/owner/type",
            "/installation",
            "/installation/id",
        ] {
            for value in &values {
                let job = queued(&[(field, value.clone())]);
                let input = serde_json::to_string(&job).unwrap();
                assert!(input.len() < 100_000, "{field}");
                assert!(!job.name.contains(char::is_control), "{field}");
            }
        }
    }

    #[test]
    fn labels_are_read_whatever_stands_between_them() {
        let labels = json!([null, "self-hosted", 7, "", "Linux", {"name": "x"}, ["y"], "a\nb"]);
        let job = queued(&[("/workflow_job/labels", labels)]);
        assert_eq!(job.labels, LabelSet::new(["self-hosted", "linux", "a\nb"]));
        let beginning = "x".repeat(256);
        let job = queued(&[("/workflow_job/labels", json!(["x".repeat(1_000_000)]))]);
        assert!(!LabelSet::new([beginning]).carries(&job.labels));
    }

    #[test]
    fn a_name_with_half_a_surrogate_pair_is_read() {
        let body = payload("queued", &[("/workflow_job/name", json!("NAME"))]).to_string();
        for (name, read_as) in [
            (r"a\ud800", "a\u{fffd}"),
            (r"\udc00\ud83e\udd80", "\u{fffd}🦀"),
            ("a\nb", "a b"),
        ] {
            let body = body.replace("NAME", name);
            let Ok(Webhook::Queued { job, .. }) =
                Webhook::read(Some("workflow_job"), body.as_bytes(), NOW)
            else {
                panic!("{name} was refused")
            };
            assert_eq!(job.name, read_as);
        }
        let mut bytes = body.into_bytes();
        let at = bytes.windows(4).position(|four| four == b"NAME").unwrap();
        bytes[at] = 0xff;
        assert!(Webhook::read(Some("workflow_job"), &bytes, NOW).is_ok());
    }

    #[test]
    fn ids_may_be_written_as_any_whole_number() {
        let job = queued(&[
            ("/workflow_job/id", json!(4242.0)),
            ("/workflow_job/run_id", json!(99.0)),
        ]);
        assert_eq!((job.id, job.run_id), (JobId(4242), 99));
        for odd in [json!(-1), json!(1.5), json!("1"), Value::Null] {
            assert!(read(&payload("queued", &[("/workflow_job/id", odd)])).is_err());
        }
    }

    #[test]
    fn a_runner_group_is_told_where_github_names_it() {
        let mut named = payload("queued", &[("/workflow_job/labels", json!([]))]);
        named["workflow_job"]["runner_group_name"] = json!("Build Machines");
        let Webhook::Queued { job, about } = read(&named).unwrap() else {
            panic!("not queued")
        };
        assert_eq!(about.group.as_deref(), Some("Build Machines"));
        assert!(job.labels.is_empty());
        for odd in [Value::Null, json!(""), json!(1)] {
            named["workflow_job"]["runner_group_name"] = odd;
            assert!(matches!(
                read(&named).unwrap(),
                Webhook::Queued {
                    about: About { group: None, .. },
                    ..
                }
            ));
        }
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
    fn an_internal_repository_and_the_owners_id_are_told() {
        let mut named = payload("queued", &[("/repository/visibility", json!("internal"))]);
        named["repository"]["owner"]["id"] = json!(583_231);
        let Webhook::Queued { about, .. } = read(&named).unwrap() else {
            panic!("not queued")
        };
        assert_eq!((about.internal, about.owner_id), (true, Some(583_231)));
        named["repository"]["visibility"] = json!("private");
        named["repository"]["owner"]["id"] = json!("583231");
        let Webhook::Queued { about, .. } = read(&named).unwrap() else {
            panic!("not queued")
        };
        assert_eq!((about.internal, about.owner_id), (false, None));
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
                matches!(read, Ok(Webhook::Cancelled { .. })),
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
