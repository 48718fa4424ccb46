//! What a webhook says.
//! <https://docs.github.com/webhooks/webhook-events-and-payloads#workflow_job>

use serde_json::{Value, json};

use crate::api::deliveries::Hook;
use crate::api::jobs::head_sha;
use crate::clock::{stamp, stamp_or_null};
use crate::state::directory::{OwnerType, Repository, account_json};
use crate::state::jobs::{Job, JobStatus, started_or_created};
use crate::state::world::World;

/// The payload of an event, and what its delivery is filed under.
pub(crate) struct Event {
    pub(crate) payload: Value,
    pub(crate) installation: Option<u64>,
    pub(crate) repository: u64,
    /// The id of what the webhook was set on.
    pub(crate) target: u64,
}

/// A `workflow_job` event; nothing if the App's webhook is meant and the App is not installed, or an
/// organization's and there is none.
pub(crate) fn job_event(world: &World, job: &Job, action: &str, hook: Hook) -> Option<Event> {
    let repository = world.directory.repository(&job.repository)?;
    let owner = world.directory.account(&repository.owner)?;
    let installation = match hook {
        Hook::App => Some(
            world
                .directory
                .installation_of(&owner.login)
                .filter(|installation| !installation.suspended)?
                .id,
        ),
        Hook::Repository | Hook::Organization => None,
    };
    let target = match (hook, owner.kind) {
        (Hook::App, _) => world.app.id,
        (Hook::Repository, _) => repository.id,
        (Hook::Organization, OwnerType::Organization) => owner.id,
        (Hook::Organization, OwnerType::User) => return None,
    };
    let mut payload = json!({
        "action": action,
        "workflow_job": workflow_job(world, job),
        "repository": repository_json(world, repository),
        "sender": account_json(&world.base, "octocat", 1, OwnerType::User),
    });
    if owner.kind == OwnerType::Organization {
        payload["organization"] = organization(&world.base, &owner.login, owner.id);
    }
    if let Some(id) = installation {
        payload["installation"] = json!({ "id": id, "node_id": format!("I_{id}") });
    }
    Some(Event {
        payload,
        installation,
        repository: repository.id,
        target,
    })
}

fn workflow_job(world: &World, job: &Job) -> Value {
    let repository = format!("{}/repos/{}", world.base, job.repository);
    let (id, run) = (job.id, job.run_id);
    json!({
        "id": id,
        "run_id": run,
        "workflow_name": job.workflow,
        "head_branch": "main",
        "run_url": format!("{repository}/actions/runs/{run}"),
        "run_attempt": job.run_attempt,
        "node_id": format!("CR_{id}"),
        "head_sha": head_sha(run),
        "url": format!("{repository}/actions/jobs/{id}"),
        "html_url": format!("{}/{}/actions/runs/{run}/job/{id}", world.base, job.repository),
        "status": job.status.as_str(),
        "conclusion": job.conclusion,
        "created_at": stamp(job.created_at),
        "started_at": started_or_created(job),
        "completed_at": stamp_or_null(job.completed_at),
        "name": job.name,
        "steps": steps(job),
        "check_run_url": format!("{repository}/check-runs/{id}"),
        "labels": job.labels,
        "runner_id": job.runner_id,
        "runner_name": job.runner,
        "runner_group_id": job.runner_group_id,
        "runner_group_name": job.runner_group,
    })
}

/// The one step of a job that has begun.
pub(crate) fn steps(job: &Job) -> Vec<Value> {
    match job.status {
        JobStatus::Queued | JobStatus::Waiting => Vec::new(),
        JobStatus::Completed if job.started_at.is_none() => Vec::new(),
        JobStatus::InProgress | JobStatus::Completed => vec![json!({
            "name": "Run",
            "status": job.status.as_str(),
            "conclusion": job.conclusion,
            "number": 1,
            "started_at": stamp_or_null(job.started_at),
            "completed_at": stamp_or_null(job.completed_at),
        })],
    }
}

fn organization(base: &str, login: &str, id: u64) -> Value {
    let organization = format!("{base}/orgs/{login}");
    json!({
        "login": login,
        "id": id,
        "node_id": format!("O_{id}"),
        "url": organization,
        "repos_url": format!("{organization}/repos"),
        "events_url": format!("{organization}/events"),
        "hooks_url": format!("{organization}/hooks"),
        "issues_url": format!("{organization}/issues"),
        "members_url": format!("{organization}/members{{/member}}"),
        "public_members_url": format!("{organization}/public_members{{/member}}"),
        "avatar_url": format!("{base}/avatars/{id}"),
        "description": "",
    })
}

/// The addresses below a repository, as every payload lists them.
const ADDRESSES: [(&str, &str); 37] = [
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    (
        "notifications_url",
        "/notifications{?since,all,participating}",
    ),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
    ("url", ""),
];

/// What a fresh repository has none of.
const COUNTS: [&str; 8] = [
    "forks",
    "forks_count",
    "open_issues",
    "open_issues_count",
    "size",
    "stargazers_count",
    "watchers",
    "watchers_count",
];
const ABSENT: [&str; 5] = [
    "description",
    "homepage",
    "language",
    "license",
    "mirror_url",
];
const OFF: [&str; 7] = [
    "archived",
    "disabled",
    "fork",
    "has_discussions",
    "has_pages",
    "is_template",
    "web_commit_signoff_required",
];
const ON: [&str; 5] = [
    "allow_forking",
    "has_downloads",
    "has_issues",
    "has_projects",
    "has_wiki",
];

/// A repository as it is shown when it is asked for alone.
pub(crate) fn full_repository_json(world: &World, repository: &Repository) -> Value {
    let mut shown = repository_json(world, repository);
    shown["network_count"] = Value::from(0);
    shown["subscribers_count"] = Value::from(0);
    shown
}

/// A repository as payloads and lists show it.
pub(crate) fn repository_json(world: &World, repository: &Repository) -> Value {
    let full_name = repository.full_name();
    let owner = world.directory.account(&repository.owner);
    let (owner_id, kind) = owner.map_or((0, OwnerType::User), |owner| (owner.id, owner.kind));
    let page = format!("{}/{full_name}", world.base);
    let mut shown = json!({
        "id": repository.id,
        "node_id": format!("R_{}", repository.id),
        "name": repository.name,
        "full_name": full_name,
        "private": repository.private,
        "owner": account_json(&world.base, &repository.owner, owner_id, kind),
        "html_url": page,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "pushed_at": "2026-01-01T00:00:00Z",
        "git_url": format!("git://github.invalid/{full_name}.git"),
        "ssh_url": format!("git@github.invalid:{full_name}.git"),
        "clone_url": format!("{page}.git"),
        "svn_url": page,
        "topics": [],
        "visibility": if repository.private { "private" } else { "public" },
        "default_branch": "main",
        "custom_properties": {},
    });
    for (name, rest) in ADDRESSES {
        shown[name] = Value::from(format!("{}/repos/{full_name}{rest}", world.base));
    }
    for (names, value) in [
        (COUNTS.as_slice(), Value::from(0)),
        (&ABSENT, Value::Null),
        (&OFF, Value::from(false)),
        (&ON, Value::from(true)),
    ] {
        for name in names {
            shown[name] = value.clone();
        }
    }
    shown
}
