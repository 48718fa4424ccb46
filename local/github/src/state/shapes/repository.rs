//! Repositories as answers and webhooks show them.

use serde_json::{Value, json};

use crate::state::accounts::{OwnerType, Repository};
use crate::state::shapes::account::account_json;
use crate::state::world::World;

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
