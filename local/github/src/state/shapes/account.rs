//! Accounts as answers and webhooks show them.

use serde_json::{Value, json};

use crate::state::accounts::OwnerType;

/// An account as every answer and webhook shows it.
pub(crate) fn account_json(base: &str, login: &str, id: u64, kind: OwnerType) -> Value {
    let user = format!("{base}/users/{login}");
    json!({
        "login": login,
        "id": id,
        "node_id": format!("U_{id}"),
        "avatar_url": format!("{base}/avatars/{id}"),
        "gravatar_id": "",
        "url": user,
        "html_url": format!("{base}/{login}"),
        "followers_url": format!("{user}/followers"),
        "following_url": format!("{user}/following{{/other_user}}"),
        "gists_url": format!("{user}/gists{{/gist_id}}"),
        "starred_url": format!("{user}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{user}/subscriptions"),
        "organizations_url": format!("{user}/orgs"),
        "repos_url": format!("{user}/repos"),
        "events_url": format!("{user}/events{{/privacy}}"),
        "received_events_url": format!("{user}/received_events"),
        "type": kind.as_str(),
        "user_view_type": "public",
        "site_admin": false,
    })
}

/// An organization as webhooks show it.
pub(crate) fn organization_json(base: &str, login: &str, id: u64) -> Value {
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
