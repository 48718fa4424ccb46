//! Makes a GitHub App from a manifest ([flow]): a page on loopback posts it, the browser confirms, and
//! GitHub sends the browser back with a code, which is exchanged for the App and its secrets.
//!
//! Without a browser on this machine, the same page is an address of its own (`data:`), and the code is
//! pasted from the address at which the other machine's browser ends.
//!
//! [flow]: https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::get;
use github::{ApiUrl, NewApp, Nobody};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::app::{EVENT, needed};
use super::policy::Scope;
use super::secrets::random_hex;
use super::terminal::Terminal;
use crate::Error;

/// GitHub's codes are valid for an hour.
const CODE_LIFETIME: Duration = Duration::from_hours(1);
/// The longest name of an App.
const NAME_LIMIT: usize = 34;
/// Where the App's page leads.
const HOME: &str = "https://github.com/fargate-runners/fargate-runners";

/// The App that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Organization that it will belong to; the person who confirms if not given.
    pub organization: Option<String>,
    pub name: String,
    pub scope: Scope,
    /// Whether accounts other than its owner install it.
    pub public: bool,
    /// Whether it may write check runs.
    pub check_runs: bool,
    /// Whether it may run jobs again.
    pub reruns: bool,
    pub webhook_url: String,
    /// Port of the page; 0 for a free one.
    pub port: u16,
}

impl Wish {
    /// The default name: the deployment's, and the owner's, because names are unique at GitHub.
    pub fn name_for(prefix: &str, owner: Option<&str>) -> String {
        let name = match owner {
            Some(owner) => format!("{prefix}-{owner}"),
            None => prefix.to_owned(),
        };
        let name: String = name.chars().take(NAME_LIMIT).collect();
        name.trim_end_matches('-').to_owned()
    }

    /// The manifest ([fields]).
    ///
    /// [fields]: https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest#github-app-manifest-parameters
    pub fn manifest(&self, redirect: &str) -> Value {
        let mut permissions: serde_json::Map<String, Value> = needed(self.scope)
            .into_iter()
            .map(|(name, level)| (name.to_owned(), Value::from(level)))
            .collect();
        if self.check_runs {
            permissions.insert("checks".to_owned(), Value::from("write"));
        }
        if self.reruns {
            permissions.insert("actions".to_owned(), Value::from("write"));
        }
        json!({
            "name": self.name,
            "url": HOME,
            "description": "Registers self-hosted runners on AWS for this account's jobs",
            "hook_attributes": { "url": self.webhook_url, "active": true },
            "redirect_url": redirect,
            "public": self.public,
            "default_permissions": permissions,
            "default_events": [EVENT],
        })
    }

    /// Where the form posts it.
    pub fn action(&self, github: &ApiUrl, state: &str) -> String {
        let web = github.web();
        match &self.organization {
            Some(organization) => {
                format!("{web}/organizations/{organization}/settings/apps/new?state={state}")
            }
            None => format!("{web}/settings/apps/new?state={state}"),
        }
    }
}

/// A code that came back, and where the browser waits for what it brought.
struct Returned {
    code: String,
    answer: Option<oneshot::Sender<String>>,
}

/// What the page's server knows.
struct Page {
    html: String,
    state: String,
    codes: mpsc::Sender<Returned>,
}

/// Has a person make the App, and fetches it. Nothing is stored yet.
pub async fn make(
    wish: &Wish,
    github: &ApiUrl,
    nobody: &Nobody,
    terminal: &impl Terminal,
) -> Result<NewApp, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, wish.port))
        .await
        .map_err(|error| {
            Error::Other(format!(
                "port {} of this machine cannot be used ({error}): give another by --port, or leave it out for a free one",
                wish.port
            ))
        })?;
    let address = listener
        .local_addr()
        .map_err(|error| Error::Other(error.to_string()))?;
    let here = format!("http://{address}");
    let state = random_hex::<16>()?;
    let manifest = wish.manifest(&format!("{here}/made"));
    let html = form(wish, &wish.action(github, &state), &manifest);
    let (codes, mut returned) = mpsc::channel(4);
    let page = Arc::new(Page {
        html: html.clone(),
        state: state.clone(),
        codes,
    });
    let router = Router::new()
        .route("/", get(show))
        .route("/made", get(made))
        .with_state(page);
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let fetched = fetch(nobody, &mut returned, &here, &html, &state, terminal).await;
    // The browser has its answer: it is written before the connection is idle.
    tokio::time::sleep(Duration::from_millis(200)).await;
    serving.abort();
    fetched
}

async fn fetch(
    nobody: &Nobody,
    returned: &mut mpsc::Receiver<Returned>,
    here: &str,
    html: &str,
    state: &str,
    terminal: &impl Terminal,
) -> Result<NewApp, Error> {
    terminal.say(&format!("Open this page and confirm: {here}/"));
    if !terminal.browse(&format!("{here}/")) {
        terminal.say("  On another machine, open this address instead, confirm, and paste here the address at which the browser ends (it cannot be reached there, and holds the code):");
        terminal.say(&format!("  {}", data_address(html)));
    }
    let pasted = async {
        loop {
            match terminal
                .ask("Code or address (if the page does not come back here): ")
                .await
            {
                Some(text) => match code_in(&text, state) {
                    Ok(code) => return code,
                    Err(problem) => terminal.say(&format!("✗ {problem}")),
                },
                // Nobody is there to paste.
                None => return std::future::pending().await,
            }
        }
    };
    let back = tokio::time::timeout(CODE_LIFETIME, async {
        tokio::select! {
            returned = returned.recv() => returned,
            code = pasted => Some(Returned { code, answer: None }),
        }
    });
    let Returned { code, answer } = back.await.ok().flatten().ok_or_else(|| {
        Error::Other(
            "no code came back within an hour, so nothing was made or stored: run fargate-runners setup again"
                .to_owned(),
        )
    })?;
    let result = nobody.convert(&code).await;
    let (result, told) = match result {
        Ok(Some(app)) => {
            let told = format!(
                "<h1>{} is made</h1><p>Its key and webhook secret are on their way into Parameter Store. The terminal tells the rest.</p><p><a id=install href=\"{}/installations/new\">Install the App</a> where jobs are to be run.</p>",
                escaped(&app.slug),
                escaped(&app.html_url)
            );
            (Ok(app), told)
        }
        Ok(None) => {
            let told = "<h1>GitHub does not know this code</h1><p>It works once, and for an hour. Run <code>fargate-runners setup</code> again.</p>";
            let error = "GitHub does not know the manifest's code: it works once, and for an hour. Nothing was stored; run fargate-runners setup again";
            (Err(Error::Other(error.to_owned())), told.to_owned())
        }
        Err(error) => {
            let told = format!(
                "<h1>GitHub did not answer</h1><p>{}</p>",
                escaped(&error.to_string())
            );
            let error = format!(
                "the App's secrets could not be fetched ({error}). Nothing was stored; run fargate-runners setup again"
            );
            (Err(Error::Other(error)), told)
        }
    };
    if let Some(answer) = answer {
        // A browser that went away needs none.
        let _ = answer.send(told);
    }
    result
}

async fn show(State(page): State<Arc<Page>>) -> Html<String> {
    Html(page.html.clone())
}

#[derive(Deserialize)]
struct Made {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
}

async fn made(
    State(page): State<Arc<Page>>,
    Query(made): Query<Made>,
) -> (StatusCode, Html<String>) {
    if made.state != page.state || made.code.is_empty() {
        let body = "<h1>This is not the answer to this page</h1><p>Open the address again that <code>fargate-runners setup</code> printed.</p>";
        return (StatusCode::BAD_REQUEST, Html(document(body)));
    }
    let (answer, told) = oneshot::channel();
    let returned = Returned {
        code: made.code,
        answer: Some(answer),
    };
    let sent = page.codes.send(returned).await.is_ok();
    match told.await {
        Ok(body) if sent => (StatusCode::OK, Html(document(&body))),
        _ => (
            StatusCode::CONFLICT,
            Html(document("<h1>The App is made already</h1>")),
        ),
    }
}

/// The page whose form posts the manifest.
fn form(wish: &Wish, action: &str, manifest: &Value) -> String {
    let owner = wish.organization.as_deref().unwrap_or("your account");
    let permissions = manifest["default_permissions"].as_object();
    let permissions = permissions.into_iter().flatten();
    let rows: Vec<_> = permissions
        .map(|(name, level)| {
            format!(
                "<tr><th>{}<td>{}",
                escaped(&name.replace('_', " ")),
                escaped(level.as_str().unwrap_or_default())
            )
        })
        .collect();
    document(&format!(
        "<h1>Make the GitHub App of your runners</h1>\
         <p>GitHub asks you to confirm. Then this page comes back, and the App's key and webhook \
         secret go to Parameter Store. They are stored nowhere else.</p>\
         <table><tr><th>owner<td>{owner}<tr><th>name<td>{name}<tr><th>event<td>{EVENT}{rows}\
         <tr><th>webhook<td>{webhook}</table>\
         <form method=post action=\"{action}\">\
         <input type=hidden name=manifest value=\"{manifest}\">\
         <button id=make>Continue to GitHub</button></form>",
        owner = escaped(owner),
        name = escaped(&wish.name),
        rows = rows.concat(),
        webhook = escaped(&wish.webhook_url),
        action = escaped(action),
        manifest = escaped(&manifest.to_string()),
    ))
}

fn document(body: &str) -> String {
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\"><title>Fargate Runners</title><link rel=icon href=\"data:,\">\
         <style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 system-ui,sans-serif;\
         max-width:40rem;margin:3rem auto;padding:0 1rem}}th{{text-align:left;font-weight:600;\
         padding-right:1.5rem;vertical-align:top}}td{{overflow-wrap:anywhere}}\
         button{{font:inherit;padding:.5rem 1rem;margin-top:1.5rem}}</style>{body}</html>"
    )
}

/// The page as an address: it needs no server, so that any machine's browser can open it.
pub fn data_address(html: &str) -> String {
    let mut address = "data:text/html;charset=utf-8,".to_owned();
    for byte in html.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/:=;,".contains(&byte) {
            address.push(char::from(byte));
        } else {
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}

/// The code in what a person pasted: the code itself, or the address at which the browser ended.
fn code_in(text: &str, state: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let parameter = |name: &str| {
        let (_, query) = text.split_once('?')?;
        let mut pairs = query.split('&');
        pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    };
    if text.contains("://") {
        let Some(code) = parameter("code") else {
            return Err(
                "the address holds no code: copy it from the browser's address bar after you confirmed",
            );
        };
        if parameter("state") != Some(state) {
            return Err("the address belongs to an earlier run: confirm on the page of this one");
        }
        return Ok(code.to_owned());
    }
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Ok(text.to_owned());
    }
    Err("this is no code: paste the address at which the browser ended")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(organization: Option<&str>, scope: Scope) -> Wish {
        Wish {
            organization: organization.map(str::to_owned),
            name: "runners".to_owned(),
            scope,
            public: false,
            check_runs: false,
            reruns: false,
            webhook_url: "https://hook.example/".to_owned(),
            port: 0,
        }
    }

    #[test]
    fn the_manifest_asks_for_what_a_scope_needs_and_no_more() {
        let manifest = wish(None, Scope::Repository).manifest("http://127.0.0.1:1/made");
        assert_eq!(
            manifest["default_permissions"],
            json!({ "actions": "read", "administration": "write" })
        );
        assert_eq!(manifest["default_events"], json!(["workflow_job"]));
        let mut wish = wish(Some("octo"), Scope::Organization);
        wish.check_runs = true;
        assert_eq!(
            wish.manifest("x")["default_permissions"],
            json!({ "actions": "read", "organization_self_hosted_runners": "write", "checks": "write" })
        );
        wish.check_runs = false;
        wish.reruns = true;
        assert_eq!(
            wish.manifest("x")["default_permissions"],
            json!({ "actions": "write", "organization_self_hosted_runners": "write" })
        );
    }

    #[test]
    fn every_kind_of_github_gets_the_form() {
        for (api, organization, action) in [
            (
                "https://api.github.com",
                None,
                "https://github.com/settings/apps/new?state=s",
            ),
            (
                "https://api.github.com",
                Some("octo"),
                "https://github.com/organizations/octo/settings/apps/new?state=s",
            ),
            (
                "https://git.example.com/api/v3",
                Some("octo"),
                "https://git.example.com/organizations/octo/settings/apps/new?state=s",
            ),
            (
                "https://api.octo.ghe.com",
                None,
                "https://octo.ghe.com/settings/apps/new?state=s",
            ),
        ] {
            let api: ApiUrl = api.parse().unwrap();
            assert_eq!(
                wish(organization, Scope::Repository).action(&api, "s"),
                action
            );
        }
    }

    #[test]
    fn a_name_fits_github() {
        assert_eq!(
            Wish::name_for("fargate-runners", Some("octo")),
            "fargate-runners-octo"
        );
        let long = Wish::name_for("fargate-runners", Some("an-organization-of-that-name"));
        assert!(long.len() <= NAME_LIMIT && !long.ends_with('-'), "{long}");
    }

    #[test]
    fn a_code_is_read_from_what_is_pasted() {
        assert_eq!(code_in(" a1b2 \n", "s"), Ok("a1b2".to_owned()));
        let address = "http://127.0.0.1:8080/made?code=a1b2&state=s";
        assert_eq!(code_in(address, "s"), Ok("a1b2".to_owned()));
        for (text, word) in [
            (
                "http://127.0.0.1:8080/made?code=a1b2&state=other",
                "earlier run",
            ),
            ("https://github.com/settings/apps", "holds no code"),
            ("two words", "no code"),
            ("", "no code"),
        ] {
            let problem = code_in(text, "s").unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
    }

    #[test]
    fn the_page_as_an_address_is_the_page() {
        let address = data_address("<p class=\"x\">é & ü</p>");
        assert!(address.is_ascii() && !address.contains(['"', ' ', '<', '&', '#']));
    }
}
