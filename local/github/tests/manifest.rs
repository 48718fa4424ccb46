//! An App made from a manifest, and its webhook.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{app_token, call, get, jwt, server};

fn manifest() -> Value {
    json!({
        "name": "Octo runners",
        "url": "https://example.com/runners",
        "hook_attributes": { "url": "http://127.0.0.1:9/hook" },
        "redirect_url": "http://127.0.0.1:1/made",
        "default_permissions": { "actions": "read", "administration": "write" },
        "default_events": ["workflow_job"],
    })
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// Posts the manifest as the form does, and confirms; where the browser is sent.
async fn confirmed(base: &str, manifest: &Value) -> String {
    let url = format!("{base}/organizations/octo/settings/apps/new?state=s1");
    let body = format!("manifest={}", encoded(&manifest.to_string()));
    let shown = post(&url, body).await;
    assert_eq!(shown.status(), 200);
    assert!(
        shown
            .text()
            .await
            .unwrap()
            .contains("Create GitHub App for octo")
    );
    let body = format!(
        "owner=octo&state=s1&name=Octo%20runners&manifest={}",
        encoded(&manifest.to_string())
    );
    let sent = post(&format!("{base}/settings/apps/confirm"), body).await;
    assert_eq!(sent.status(), 302);
    sent.headers()["location"].to_str().unwrap().to_owned()
}

async fn post(url: &str, body: String) -> reqwest::Response {
    client()
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .unwrap()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| format!("%{byte:02X}"))
        .collect::<Vec<_>>()
        .concat()
}

fn code(location: &str) -> &str {
    let (_, rest) = location.split_once("code=").unwrap();
    rest.split('&').next().unwrap()
}

#[tokio::test]
async fn a_confirmed_manifest_becomes_an_app_once() {
    let server = server().await;
    let location = confirmed(server.url(), &manifest()).await;
    assert!(
        location.starts_with("http://127.0.0.1:1/made?code="),
        "{location}"
    );
    assert!(location.ends_with("&state=s1"), "{location}");
    let path = format!("/app-manifests/{}/conversions", code(&location));
    let made = call(&server, "", "POST", &path, None).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.body["slug"], "octo-runners");
    assert_eq!(made.body["owner"]["login"], "octo");
    assert_eq!(made.body["events"], json!(["workflow_job"]));
    assert_eq!(made.body["permissions"]["administration"], "write");
    assert_eq!(made.body["webhook_secret"], json!(server.webhook_secret()));
    assert!(
        made.body["pem"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN RSA")
    );
    // The code worked once, and the former App is gone with its installations.
    assert_eq!(call(&server, "", "POST", &path, None).await.status, 404);
    assert_eq!(get(&server, &app_token(), "/app").await.status, 404);
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let token = jwt(&json!({ "iss": made.body["id"], "iat": now - 60, "exp": now + 300 }));
    assert_eq!(
        get(&server, &token, "/app/installations").await.body,
        json!([])
    );
    // Its owner installs it, and nobody else can: it is private.
    let page = format!("{}/apps/octo-runners/installations/new", server.url());
    let choices = client()
        .get(&page)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        choices.contains("Install on octo") && !choices.contains("mona"),
        "{choices}"
    );
    post(&page, "account=octo".to_owned()).await;
    let installed = get(&server, &token, "/app/installations").await.body;
    assert_eq!(installed[0]["permissions"]["administration"], "write");
    assert_eq!(get(&server, "", "/apps/octo-runners").await.status, 404);
}

#[tokio::test]
async fn a_code_expires_after_an_hour() {
    let server = server().await;
    let location = confirmed(server.url(), &manifest()).await;
    server.change_settings(|settings| settings.clock_offset_seconds = 3_601);
    let path = format!("/app-manifests/{}/conversions", code(&location));
    assert_eq!(call(&server, "", "POST", &path, None).await.status, 404);
    assert_eq!(
        get(&server, &app_token(), "/app").await.status,
        401,
        "its clock is ahead"
    );
    server.change_settings(|settings| settings.clock_offset_seconds = 0);
    assert_eq!(get(&server, &app_token(), "/app").await.status, 200);
}

#[tokio::test]
async fn a_manifest_that_github_refuses_makes_no_app() {
    let server = server().await;
    let url = format!("{}/settings/apps/new", server.url());
    for (bad, word) in [
        ("nonsense", "expected"),
        (r#"{"url":"https://example.com"}"#, "redirect_url"),
        (
            r#"{"url":"u","redirect_url":"r","default_events":["workflow_job"]}"#,
            "workflow_job",
        ),
    ] {
        let refused = post(&url, format!("manifest={}", encoded(bad))).await;
        assert_eq!(refused.status(), 422);
        let text = refused.text().await.unwrap();
        assert!(text.contains(word), "{text}");
    }
}

#[tokio::test]
async fn the_webhook_is_set_by_the_app_and_its_secret_is_not_shown() {
    let server = server().await;
    let change = json!({ "url": "http://127.0.0.1:9/x", "secret": "new", "content_type": "json", "insecure_ssl": "0" });
    let changed = call(
        &server,
        &app_token(),
        "PATCH",
        "/app/hook/config",
        Some(&change),
    )
    .await;
    assert_eq!(changed.status, 200);
    let shown = get(&server, &app_token(), "/app/hook/config").await.body;
    assert_eq!(shown["url"], "http://127.0.0.1:9/x");
    assert_eq!(shown["secret"], "********");
    assert_eq!(server.webhook_secret(), "new");
    assert_eq!(get(&server, "", "/app/hook/config").await.status, 401);
}
