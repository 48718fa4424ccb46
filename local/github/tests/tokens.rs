//! What a narrowed installation token opens, endpoint by endpoint.
#![allow(clippy::unwrap_used)]

mod support;

use std::fmt;

use github_standin::{Access, Server};
use serde_json::{Value, json};
use support::{Reply, app_token, call, job, new_job, runner, server};

/// A call, and what a token for it has to carry, at the least.
struct Endpoint {
    method: &'static str,
    path: String,
    body: Option<Value>,
    /// A permission and its level.
    needs: (&'static str, &'static str),
}

/// The permissions: <https://docs.github.com/rest/authentication/permissions-required-for-github-apps>.
fn endpoints(server: &Server) -> Vec<Endpoint> {
    let queued = job(server, "octo/hello", &["x"]);
    let (id, run) = (queued.id, queued.run_id);
    let sha = format!("{run:040x}");
    let check = json!({ "name": "x", "head_sha": sha });
    let actions = ("actions", "read");
    let mut all = vec![
        (
            "GET",
            "/repos/octo/hello".to_owned(),
            None,
            ("metadata", "read"),
        ),
        (
            "GET",
            format!("/repos/octo/hello/actions/jobs/{id}"),
            None,
            actions,
        ),
        (
            "GET",
            "/repos/octo/hello/actions/runs".to_owned(),
            None,
            actions,
        ),
        (
            "GET",
            format!("/repos/octo/hello/actions/runs/{run}"),
            None,
            actions,
        ),
        (
            "GET",
            format!("/repos/octo/hello/actions/runs/{run}/jobs"),
            None,
            actions,
        ),
        (
            "GET",
            format!("/repos/octo/hello/commits/{sha}/check-runs"),
            None,
            ("checks", "read"),
        ),
        (
            "POST",
            "/repos/octo/hello/check-runs".to_owned(),
            Some(check),
            ("checks", "write"),
        ),
        (
            "GET",
            "/orgs/octo/actions/runner-groups".to_owned(),
            None,
            ("organization_self_hosted_runners", "read"),
        ),
    ];
    for (place, permission) in [
        ("/repos/octo/hello", "administration"),
        ("/orgs/octo", "organization_self_hosted_runners"),
    ] {
        let (number, _) = server
            .register_runner(&place[place.find("octo").unwrap()..], "known", &["x"])
            .unwrap();
        let runners = format!("{place}/actions/runners");
        let new = Some(runner("new", &["x"]));
        all.extend([
            ("GET", runners.clone(), None, (permission, "read")),
            (
                "GET",
                format!("{runners}/{number}"),
                None,
                (permission, "read"),
            ),
            (
                "POST",
                format!("{runners}/generate-jitconfig"),
                new,
                (permission, "write"),
            ),
            (
                "POST",
                format!("{runners}/registration-token"),
                None,
                (permission, "write"),
            ),
            (
                "DELETE",
                format!("{runners}/{number}"),
                None,
                (permission, "write"),
            ),
        ]);
    }
    let endpoint = |(method, path, body, needs)| Endpoint {
        method,
        path,
        body,
        needs,
    };
    all.into_iter().map(endpoint).collect()
}

impl Endpoint {
    async fn call(&self, server: &Server, token: &str) -> Reply {
        call(server, token, self.method, &self.path, self.body.as_ref()).await
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

async fn narrowed(server: &Server, body: &Value) -> String {
    let id = server.installation("octo").unwrap();
    let path = format!("/app/installations/{id}/access_tokens");
    let reply = call(server, &app_token(), "POST", &path, Some(body)).await;
    assert_eq!(reply.status, 201, "{body}: {reply:?}");
    reply.body["token"].as_str().unwrap().to_owned()
}

async fn with_checks() -> Server {
    let server = server().await;
    server.create_job(new_job("octo/other", &["x"])).unwrap();
    server.set_permission("octo", "checks", Some(Access::Write));
    server
}

#[tokio::test]
async fn every_endpoint_opens_to_its_permission_at_its_place() {
    let server = with_checks().await;
    for endpoint in endpoints(&server) {
        let (permission, level) = endpoint.needs;
        let mut asked = json!({ "permissions": { permission: level } });
        if endpoint.path.starts_with("/repos/") {
            asked["repositories"] = json!(["hello"]);
        }
        let token = narrowed(&server, &asked).await;
        let reply = endpoint.call(&server, &token).await;
        assert!(reply.status < 300, "{endpoint}: {reply:?}");
    }
}

#[tokio::test]
async fn no_endpoint_opens_to_any_other_permission() {
    let server = with_checks().await;
    let every = [
        ("actions", "read"),
        ("administration", "write"),
        ("checks", "write"),
        ("metadata", "read"),
        ("organization_self_hosted_runners", "write"),
    ];
    for endpoint in endpoints(&server) {
        let (needed, level) = endpoint.needs;
        for (name, most) in every.into_iter().filter(|(name, _)| *name != needed) {
            let token = narrowed(&server, &json!({ "permissions": { name: most } })).await;
            let reply = endpoint.call(&server, &token).await;
            assert_eq!(reply.status, 403, "{endpoint} by {name}: {reply:?}");
            assert_eq!(reply.message(), "Resource not accessible by integration");
            assert_eq!(
                reply.header("x-accepted-github-permissions"),
                format!("{needed}={level}")
            );
        }
        if level == "write" {
            let token = narrowed(&server, &json!({ "permissions": { needed: "read" } })).await;
            let reply = endpoint.call(&server, &token).await;
            assert_eq!(reply.status, 403, "{endpoint} by reading: {reply:?}");
        }
    }
}

#[tokio::test]
async fn nothing_of_another_repository_is_found() {
    let server = with_checks().await;
    let token = narrowed(&server, &json!({ "repositories": ["other"] })).await;
    for endpoint in endpoints(&server) {
        if endpoint.path.starts_with("/repos/") {
            let reply = endpoint.call(&server, &token).await;
            assert_eq!(reply.status, 404, "{endpoint}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn a_token_is_refused_for_what_the_installation_does_not_have() {
    let server = server().await;
    server.exclude("octo", &["octo/hello"]);
    let id = server.installation("octo").unwrap();
    let path = format!("/app/installations/{id}/access_tokens");
    for (body, words) in [
        (
            json!({ "permissions": { "checks": "write" } }),
            "permissions requested are not granted",
        ),
        (
            json!({ "repositories": ["hello"] }),
            "repository that does not exist",
        ),
        (
            json!({ "repositories": ["nowhere"] }),
            "repository that does not exist",
        ),
        // A name comes without its owner: https://github.com/tibdex/github-app-token/issues/105
        (
            json!({ "repositories": ["octo/hello"] }),
            "repository that does not exist",
        ),
        (
            json!({ "repository_ids": [1] }),
            "repository that does not exist",
        ),
    ] {
        let reply = call(&server, &app_token(), "POST", &path, Some(&body)).await;
        assert_eq!(reply.status, 422, "{body}");
        assert!(
            reply.message().contains(words),
            "{body}: {}",
            reply.message()
        );
    }
    assert!(server.issued_tokens().is_empty());
}
