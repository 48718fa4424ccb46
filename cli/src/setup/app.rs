//! Whether the App may do what the functions do, is installed, and is heard. Pure.

use std::collections::BTreeMap;

use github::{AppProfile, Hook, Installed};

use super::policy::Scope;
use crate::finding::Finding;

/// What the App must have, at a scope ([list]).
///
/// [list]: https://docs.github.com/rest/authentication/permissions-required-for-github-apps
pub fn needed(scope: Scope) -> [(&'static str, &'static str); 2] {
    match scope {
        Scope::Repository => [("actions", "read"), ("administration", "write")],
        Scope::Organization => [
            ("actions", "read"),
            ("organization_self_hosted_runners", "write"),
        ],
    }
}

/// What an App may have besides, and what for.
const OPTIONAL: [(&str, &str, &str); 2] = [
    (
        "checks",
        "write",
        "with checkRuns, a commit shows why a job of it was given up",
    ),
    (
        "actions",
        "write",
        "with rerunAfterInterruption, a job that Spot took away is run again",
    ),
];

/// The event that the functions read.
pub const EVENT: &str = "workflow_job";

/// GitHub's settings, and the word for a permission in them.
fn label(permission: &str) -> &'static str {
    match permission {
        "actions" => "Repository permissions → Actions",
        "administration" => "Repository permissions → Administration",
        "checks" => "Repository permissions → Checks",
        _ => "Organization permissions → Self-hosted runners",
    }
}

/// Whether the App has what it needs, and hears of jobs.
pub fn check_profile(app: &AppProfile, scope: Scope) -> Vec<Finding> {
    let settings = format!("{} → App settings → Permissions & events", app.html_url);
    let mut findings: Vec<_> = needed(scope)
        .into_iter()
        .map(|(name, level)| {
            let has = app.permissions.get(name).map(String::as_str);
            if enough(has, level) {
                return Finding::good(format!("permission {name}: {}", has.unwrap_or_default()));
            }
            let words = if level == "read" {
                "Read-only"
            } else {
                "Read and write"
            };
            Finding::bad(
                format!(
                    "permission {name} is {}, {level} is needed",
                    has.unwrap_or("missing")
                ),
                format!("{settings}: set \"{}\" to {words}", label(name)),
            )
        })
        .collect();
    findings.extend(OPTIONAL.map(|(name, level, purpose)| {
        let has = app.permissions.get(name).map(String::as_str);
        if enough(has, level) {
            Finding::good(format!("permission {name}: write (optional: {purpose})"))
        } else {
            Finding::note(format!(
                "permission {name} is {}, {level} is optional: {purpose}; set \"{}\" to Read and write",
                has.unwrap_or("missing"),
                label(name)
            ))
        }
    }));
    findings.push(if app.events.iter().any(|event| event == EVENT) {
        Finding::good(format!("event {EVENT} is subscribed to"))
    } else {
        Finding::bad(
            format!("event {EVENT} is not subscribed to"),
            format!("{settings}: tick \"Workflow job\" under \"Subscribe to events\""),
        )
    });
    findings
}

/// Whether the App is installed, with the permissions that it needs there. The App's own permissions
/// say nothing about an installation's: its owner accepts a change, or does not.
pub fn check_installations(page: &str, installations: &[Installed], scope: Scope) -> Vec<Finding> {
    if installations.is_empty() {
        return vec![Finding::bad(
            "the App is installed nowhere",
            format!("install it: {page}/installations/new"),
        )];
    }
    installations
        .iter()
        .map(|installation| {
            let place = place(installation);
            if installation.suspended_at.is_some() {
                return Finding::bad(
                    format!("{place} is suspended"),
                    "lift the suspension in the owner's settings → GitHub Apps",
                );
            }
            let lacking = lacking(&installation.permissions, scope);
            if lacking.is_empty() {
                Finding::good(place)
            } else {
                Finding::bad(
                    format!("{place} has not been given {}", lacking.join(", ")),
                    "its owner accepts the new permissions in their settings → GitHub Apps → Review request",
                )
            }
        })
        .collect()
}

pub fn place(installation: &Installed) -> String {
    let account = installation.account.as_ref();
    let account = account.map_or("unknown", |account| &account.name);
    format!("installation {} ({account})", installation.id)
}

fn lacking(has: &BTreeMap<String, String>, scope: Scope) -> Vec<&'static str> {
    let needed = needed(scope).into_iter();
    let lacking = needed.filter(|(name, level)| !enough(has.get(*name).map(String::as_str), level));
    lacking.map(|(name, _)| name).collect()
}

/// Whether webhooks arrive at our address, in a form that is read.
pub fn check_hook(hook: &Hook, webhook_url: &str) -> Vec<Finding> {
    let fix = "fargate-runners setup --configure-webhook";
    let url = hook.url.as_deref().unwrap_or_default();
    let content_type = hook.content_type.as_deref().unwrap_or("not set");
    vec![
        if !url.is_empty() && url.trim_end_matches('/') == webhook_url.trim_end_matches('/') {
            Finding::good(format!("webhook URL: {url}"))
        } else {
            let is = if url.is_empty() { "not set" } else { url };
            Finding::bad(format!("webhook URL is {is}, not {webhook_url}"), fix)
        },
        if content_type == "json" {
            Finding::good("webhook content type: json")
        } else {
            Finding::bad(
                format!("webhook content type is {content_type}, not json"),
                fix,
            )
        },
        if hook.verifies_tls() {
            Finding::good("webhook TLS is verified")
        } else {
            Finding::bad("GitHub does not verify the webhook's TLS", fix)
        },
    ]
}

fn enough(has: Option<&str>, needed: &str) -> bool {
    let level = |level: &str| {
        ["read", "write", "admin"]
            .iter()
            .position(|one| *one == level)
    };
    has.is_some_and(|has| level(has) >= level(needed))
}
