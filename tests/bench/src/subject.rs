//! The functions that are measured: what each is told, and what it answers when all is well.

use std::fmt::Write as _;

use ring::hmac;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The webhook's secret.
pub(crate) const SECRET: &str = "a secret of forty characters for webhooks";
/// The first segment of parameters.
pub(crate) const PREFIX: &str = "fargate-runners";
/// The App's id.
pub(crate) const APP_ID: &str = "1234";

const LABELS: [&str; 3] = ["self-hosted", "linux", "team-7"];

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Empty,
    Verify,
    Match,
    Launch,
    Token,
    Cleanup,
    Sweep,
    Stock,
}

impl Subject {
    /// All of them, the floor first.
    pub(crate) const ALL: [Self; 8] = [
        Self::Empty,
        Self::Verify,
        Self::Match,
        Self::Launch,
        Self::Token,
        Self::Cleanup,
        Self::Sweep,
        Self::Stock,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Verify => "verify",
            Self::Match => "match",
            Self::Launch => "launch",
            Self::Token => "token",
            Self::Cleanup => "cleanup",
            Self::Sweep => "sweep",
            Self::Stock => "stock",
        }
    }

    /// The event of the job with that number.
    pub(crate) fn event(self, job: u64) -> Value {
        let runner = || {
            json!({
                "name": format!("fr-hello-{job}"), "labels": LABELS,
                "parameter": format!("/{PREFIX}/runners/fr-hello-{job}/0123456789abcdef0123456789abcdef"),
            })
        };
        let execution = format!("hello-{job}");
        match self {
            Self::Empty => json!({}),
            Self::Verify => webhook(job),
            Self::Match => order(job),
            Self::Launch => json!({
                "order": order(job), "attempt": null, "execution": execution, "match": matched(),
            }),
            Self::Token => json!({
                "order": order(job), "runner": runner(), "attempt": attempt(),
            }),
            Self::Cleanup => json!({
                "order": order(job), "match": matched(), "attempt": attempt(),
                "runner": runner(), "execution": execution, "error": null,
                "registration": { "runnerId": 42, "installationId": 77 },
                "startedAt": "2026-01-01T00:00:00Z", "task": task(),
            }),
            Self::Sweep | Self::Stock => json!({ "source": "aws.events" }),
        }
    }

    /// Whether an answer is that of a job that goes well.
    pub(crate) fn is_well(self, answer: &Value) -> bool {
        match self {
            Self::Empty => true,
            Self::Verify => answer["body"]
                .as_str()
                .is_some_and(|body| body.contains("\"started\"")),
            Self::Match => answer["family"] == "fargate-runners-team-7",
            Self::Launch => answer["runTask"].is_object(),
            Self::Token => answer["runnerId"] == 42,
            Self::Cleanup => answer["outcome"] == "RanJob",
            Self::Sweep => answer["failed"] == json!([]),
            Self::Stock => answer["families"][0]["ready"] == 1,
        }
    }
}

fn now() -> String {
    OffsetDateTime::now_utc()
        .format(&Rfc3339)
        .unwrap_or_default()
}

fn order(job: u64) -> Value {
    json!({
        "job": {
            "id": job, "runId": 99, "runAttempt": 1, "name": "build", "workflow": "CI",
            "repository": "octo/hello", "ownerType": "Organization", "private": true,
            "labels": LABELS, "installationId": 77, "queuedAt": now(),
        },
        "recheck": false,
    })
}

fn matched() -> Value {
    json!({
        "family": "fargate-runners-team-7", "offered": ["self-hosted", "linux", "x64", "team-7"],
        "capacity": [], "cpu": 1024, "memory": 2048, "architecture": "X86_64",
    })
}

/// The first one.
fn attempt() -> Value {
    json!({
        "number": 1, "faults": 0, "refusals": 0, "unpicked": 0, "capacityStep": 0, "subnetStep": 0,
        "recheck": false,
    })
}

/// A task that ended well, as `ecs:runTask.sync` returns it.
fn task() -> Value {
    json!({
        "TaskArn": "arn:aws:ecs:us-east-1:000000000000:task/runners/0123456789abcdef0123456789abcdef",
        "StopCode": "EssentialContainerExited", "StoppedReason": "Essential container in task exited",
        "Containers": [{ "Name": "runner", "ExitCode": 0, "LastStatus": "STOPPED" }],
        "Cpu": "1024", "Memory": "2048", "LastStatus": "STOPPED",
        "CreatedAt": 1_767_225_590_000_u64, "StartedAt": 1_767_225_620_000_u64,
        "PullStartedAt": 1_767_225_600_000_u64, "PullStoppedAt": 1_767_225_615_000_u64,
        "StoppedAt": 1_767_225_900_000_u64,
    })
}

/// A `workflow_job` webhook of a queued job, of the size that GitHub sends, as a function URL passes
/// it on.
fn webhook(job: u64) -> Value {
    let body = payload(job).to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, body.as_bytes());
    let hex = signature
        .as_ref()
        .iter()
        .fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "",
        "headers": {
            "accept": "*/*", "content-type": "application/json", "content-length": body.len().to_string(),
            "host": "0123456789.lambda-url.us-east-1.on.aws", "user-agent": "GitHub-Hookshot/0123456",
            "x-forwarded-for": "140.82.115.1", "x-forwarded-port": "443", "x-forwarded-proto": "https",
            "x-amzn-trace-id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
            "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "x-github-event": "workflow_job",
            "x-github-hook-id": "1", "x-github-hook-installation-target-id": APP_ID,
            "x-github-hook-installation-target-type": "integration",
            "x-hub-signature-256": format!("sha256={hex}"),
        },
        "requestContext": {
            "accountId": "anonymous", "apiId": "0123456789", "stage": "$default",
            "domainName": "0123456789.lambda-url.us-east-1.on.aws", "requestId": "0",
            "http": { "method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "140.82.115.1" },
            "timeEpoch": 1_767_225_600_000_u64,
        },
        "body": body, "isBase64Encoded": false,
    })
}

/// Most of a payload is links; a repository has some forty of them.
fn payload(job: u64) -> Value {
    let links = |of: &str, names: &[&str]| {
        names
            .iter()
            .map(|name| {
                let link = format!("https://api.github.com/{of}/{name}");
                (format!("{name}_url"), Value::from(link))
            })
            .collect::<serde_json::Map<_, _>>()
    };
    let account = |login: &str, kind: &str| {
        let mut account = links(
            &format!("users/{login}"),
            &[
                "followers",
                "following",
                "gists",
                "starred",
                "subscriptions",
                "organizations",
                "repos",
                "events",
                "received_events",
                "avatar",
                "html",
            ],
        );
        account.insert("login".into(), login.into());
        account.insert("id".into(), 1.into());
        account.insert("type".into(), kind.into());
        account
    };
    let mut repository = links(
        "repos/octo/hello",
        &[
            "archive",
            "assignees",
            "blobs",
            "branches",
            "clone",
            "collaborators",
            "comments",
            "commits",
            "compare",
            "contents",
            "contributors",
            "deployments",
            "downloads",
            "events",
            "forks",
            "git",
            "git_commits",
            "git_refs",
            "git_tags",
            "hooks",
            "html",
            "issue_comment",
            "issue_events",
            "issues",
            "keys",
            "labels",
            "languages",
            "merges",
            "milestones",
            "mirror",
            "notifications",
            "pulls",
            "releases",
            "ssh",
            "stargazers",
            "statuses",
            "subscribers",
            "subscription",
            "svn",
            "tags",
            "teams",
            "trees",
        ],
    );
    repository.insert("full_name".into(), "octo/hello".into());
    repository.insert("private".into(), true.into());
    repository.insert("visibility".into(), "private".into());
    repository.insert("owner".into(), account("octo", "Organization").into());
    // What else GitHub tells of a repository, which nobody here reads.
    let rest = json!({
        "id": 42, "node_id": "R_kgDOABCDEF", "name": "hello", "description": "Says hello to those who come by",
        "fork": false, "created_at": now(), "updated_at": now(), "pushed_at": now(), "homepage": null, "size": 1_024,
        "stargazers_count": 3, "watchers_count": 3, "forks_count": 1, "open_issues_count": 7, "language": "Rust",
        "has_issues": true, "has_projects": true, "has_downloads": true, "has_wiki": false, "has_pages": false,
        "has_discussions": false, "archived": false, "disabled": false, "allow_forking": false, "is_template": false,
        "web_commit_signoff_required": false, "topics": ["greeting", "example"], "default_branch": "main",
        "license": { "key": "apache-2.0", "name": "Apache License 2.0", "spdx_id": "Apache-2.0" },
        "custom_properties": {},
    });
    repository.extend(rest.as_object().cloned().unwrap_or_default());
    json!({
        "action": "queued",
        "workflow_job": {
            "id": job, "run_id": 99, "run_attempt": 1, "name": "build", "workflow_name": "CI",
            "head_branch": "main", "head_sha": "0123456789012345678901234567890123456789",
            "status": "queued", "conclusion": null, "labels": LABELS, "runner_id": null,
            "runner_name": null, "runner_group_id": null, "runner_group_name": null,
            "created_at": now(), "started_at": now(), "completed_at": null, "steps": [],
            "node_id": "CR_kwDOABCDEF8AAAAB", "url": format!("https://api.github.com/repos/octo/hello/actions/jobs/{job}"),
            "html_url": format!("https://github.com/octo/hello/actions/runs/99/job/{job}"),
            "check_run_url": format!("https://api.github.com/repos/octo/hello/check-runs/{job}"),
        },
        "repository": repository,
        "organization": links("orgs/octo", &["repos", "events", "hooks", "issues", "members", "public_members", "avatar"]),
        "sender": account("ada", "User"),
        "installation": { "id": 77, "node_id": "MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9uNzc=" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_has_the_size_of_a_real_one() {
        let size = payload(1).to_string().len();
        assert!((6_000..12_000).contains(&size), "{size} bytes");
    }
}
