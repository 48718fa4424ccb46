//! Somebody who runs `setup`: a terminal, a browser, and Parameter Store in memory.
#![allow(unreachable_pub)]

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use aws_in_memory::Aws;
use cli::Error;
use cli::setup::{Options, Place, Report, Terminal};
use github::Patience;
use github_standin::{Config, OwnerType, RunnerGroup, Server};
use serde_json::json;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::sync::Notify;

/// Where webhooks are to go.
pub const URL: &str = "http://127.0.0.1:9/hook";

/// What the person at the browser does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GitHubUser {
    /// Confirms, and installs the App.
    Installs,
    /// Confirms in the browser of another machine, and pastes the address at which it ends.
    Pastes,
    /// Confirms, but GitHub's code has expired before it is exchanged.
    TooLate,
}

pub struct World {
    pub aws: Aws,
    pub server: Server,
    pub place: Place,
    person: Person,
    files: TempDir,
}

struct Person {
    said: Mutex<Vec<String>>,
    waited: Mutex<Duration>,
    /// Whether waiting never ends, and whether somebody waits.
    stuck: Mutex<bool>,
    waiting: Notify,
    user: Mutex<Option<GitHubUser>>,
    address: Mutex<Option<String>>,
    server: String,
    pasted: Notify,
}

impl World {
    /// A deployment for `octo` without secrets, and GitHub with the App installed there.
    pub async fn new() -> Self {
        let server = Server::start(Config::default()).await.unwrap();
        let organization = OwnerType::Organization;
        server
            .add_repository("octo/hello", organization, true)
            .unwrap();
        let aws = Aws::new();
        let world = Self {
            place: Place {
                prefix: "fargate-runners".to_owned(),
                ssm: aws.fleet().ssm,
                kms_key: None,
                github: server.url().parse().unwrap(),
                webhook_url: Some(URL.to_owned()),
                patience: Patience::NONE,
            },
            person: Person {
                said: Mutex::default(),
                waited: Mutex::default(),
                stuck: Mutex::default(),
                waiting: Notify::new(),
                user: Mutex::default(),
                address: Mutex::default(),
                server: server.url().to_owned(),
                pasted: Notify::new(),
            },
            aws,
            server,
            files: TempDir::new().unwrap(),
        };
        world.policy("repository", "octo", "");
        world
    }

    pub async fn run(&self, options: &Options) -> Result<Report, Error> {
        let user = *self.person.user.lock().unwrap();
        let Some(user) = user else {
            return cli::setup::run(options, &self.place, &self.person).await;
        };
        let options = Options {
            install_wait: Duration::from_hours(1),
            ..options.clone()
        };
        let running = cli::setup::run(&options, &self.place, &self.person);
        let (result, ()) = tokio::join!(running, self.browse(user));
        result
    }

    /// Why it is refused.
    pub async fn refused(&self, options: &Options) -> String {
        self.run(options).await.unwrap_err().to_string()
    }

    /// Runs until somebody waits, and is then ended as by Ctrl-C.
    pub async fn run_until_wait(&self, options: &Options) {
        tokio::select! {
            result = cli::setup::run(options, &self.place, &self.person) => {
                panic!("it did not wait: {result:?}")
            }
            () = self.person.waiting.notified() => {}
        }
    }

    pub fn interrupt_wait(&self, stuck: bool) {
        *self.person.stuck.lock().unwrap() = stuck;
    }

    pub fn user(&self, user: GitHubUser) {
        *self.person.user.lock().unwrap() = Some(user);
    }

    pub fn said(&self) -> String {
        self.person.said.lock().unwrap().join("\n")
    }

    pub fn waited(&self) -> Duration {
        *self.person.waited.lock().unwrap()
    }

    pub fn calls(&self) -> String {
        self.aws.calls().join("\n")
    }

    /// What was said and called so far is not looked at.
    pub fn forget(&self) {
        self.person.said.lock().unwrap().clear();
        *self.person.waited.lock().unwrap() = Duration::ZERO;
        self.aws.state().calls.clear();
    }

    pub fn value(&self, name: &str) -> String {
        let name = format!("/fargate-runners/github/{name}");
        self.aws.state().parameters[&name].1.clone()
    }

    pub fn key(&self, name: &str) -> String {
        let name = format!("/fargate-runners/github/{name}");
        self.aws.state().written[&name].key.clone().unwrap()
    }

    pub fn remove(&self, name: &str) {
        let name = format!("/fargate-runners/github/{name}");
        self.aws.state().parameters.remove(&name).unwrap();
    }

    /// Whether no secret is there.
    pub fn is_empty(&self) -> bool {
        let state = self.aws.state();
        !state
            .parameters
            .keys()
            .any(|name| name.contains("/github/"))
    }

    pub fn deny(&self, call: &str, name: &str) {
        let denied = (call.to_owned(), name.to_owned());
        self.aws.state().denied.insert(denied);
    }

    pub fn allow(&self) {
        self.aws.state().denied.clear();
        self.aws.state().denied_after.take();
    }

    /// Only one more write is taken.
    pub fn deny_after_first_write(&self) {
        let resumed = self.value("webhook-secret").contains('\n');
        // A resumed rotation writes only the note.
        self.aws.state().denied_after = Some(u32::from(!resumed));
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Publishes whose jobs are run, as the stack does.
    pub fn policy(&self, scope: &str, owners: &str, repositories: &str) {
        let policy = json!({
            "scope": scope, "runnerGroup": "Default", "allowedOwners": owners,
            "allowedRepositories": repositories,
            "allowPublicRepositories": scope == "organization" && repositories.is_empty(),
            "allowInternalRepositories": false,
        });
        let entry = (OffsetDateTime::now_utc(), policy.to_string());
        let mut state = self.aws.state();
        state
            .parameters
            .insert("/fargate-runners/policy".to_owned(), entry);
    }

    pub fn group(&self, name: &str, repositories: &[&str]) {
        let group = RunnerGroup {
            name: name.to_owned(),
            repositories: Some(repositories.iter().map(ToString::to_string).collect()),
            allows_public: false,
        };
        self.server.add_runner_group("octo", group).unwrap();
    }

    fn github(&self) -> github::GitHub {
        let id = self.server.app_id().to_string();
        let app = github::App::new(&id, github_standin::APP_PRIVATE_KEY).unwrap();
        let url = self.place.github.clone();
        github::GitHub::with_patience(url, app, Patience::NONE).unwrap()
    }

    pub async fn hook_url(&self) -> String {
        self.github().hook().await.unwrap().url.unwrap_or_default()
    }

    /// Changes the webhook at GitHub, as somebody may by hand.
    pub fn hook(&self, url: &str, content_type: &str) {
        self.server.set_hook(url, content_type);
    }

    /// Does in a browser what the person does there.
    async fn browse(&self, user: GitHubUser) {
        let Some(page) = self.person.heard("Open this page and confirm: ").await else {
            return;
        };
        let ends_at = confirm(&page, &self.server).await;
        match user {
            GitHubUser::Pastes => {
                *self.person.address.lock().unwrap() = Some(ends_at);
                self.person.pasted.notify_one();
                self.person.heard("✓ made: ").await.unwrap();
            }
            GitHubUser::TooLate => {
                self.server
                    .change_settings(|settings| settings.clock_offset_seconds = 3_601);
                get(&ends_at).await;
            }
            GitHubUser::Installs => {
                let made = get(&ends_at).await;
                assert!(made.contains("is made"), "{made}");
            }
        }
        if user != GitHubUser::TooLate {
            self.server.install("octo").unwrap();
        }
    }
}

impl Person {
    /// What follows these words, once they were printed.
    async fn heard(&self, words: &str) -> Option<String> {
        for _ in 0..2_000 {
            let said = self.said.lock().unwrap().join("\n");
            if let Some((_, rest)) = said.split_once(words) {
                return rest.lines().next().map(str::to_owned);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }
}

impl Terminal for Person {
    fn say(&self, line: &str) {
        self.said.lock().unwrap().push(line.to_owned());
    }

    async fn ask(&self, _: &str) -> Option<String> {
        let pastes = *self.user.lock().unwrap() == Some(GitHubUser::Pastes);
        if !pastes {
            return None;
        }
        self.pasted.notified().await;
        self.address.lock().unwrap().take()
    }

    fn browse(&self, address: &str) -> bool {
        assert!(!address.contains(&self.server), "the page comes first");
        *self.user.lock().unwrap() != Some(GitHubUser::Pastes)
    }

    async fn wait(&self, time: Duration) {
        *self.waited.lock().unwrap() += time;
        if *self.stuck.lock().unwrap() {
            self.waiting.notify_one();
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

async fn get(url: &str) -> String {
    let answer = client().get(url).send().await.unwrap();
    answer.text().await.unwrap()
}

/// A form, as a browser posts it.
fn post(url: &str, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let encoded = |text: &str| -> String {
        let bytes: Vec<_> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        bytes.concat()
    };
    let pairs: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    client()
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(pairs.join("&"))
}

/// Posts the page's manifest, and confirms at GitHub; the address at which the browser ends.
async fn confirm(page: &str, server: &Server) -> String {
    let html = get(page).await;
    let field = |name: &str| {
        let (_, rest) = html.split_once(name).unwrap();
        let value = rest.split('"').next().unwrap();
        value.replace("&quot;", "\"").replace("&amp;", "&")
    };
    let (action, manifest) = (field("action=\""), field("name=manifest value=\""));
    assert!(action.starts_with(server.url()), "{action}");
    let (_, state) = action.split_once("state=").unwrap();
    let asked = post(&action, &[("manifest", &manifest)]);
    let asked = asked.send().await.unwrap();
    assert_eq!(asked.status(), 200);
    let name = serde_json::from_str::<serde_json::Value>(&manifest).unwrap()["name"].clone();
    let confirmed = post(
        &format!("{}/settings/apps/confirm", server.url()),
        &[
            ("owner", "octo"),
            ("state", state),
            ("manifest", &manifest),
            ("name", name.as_str().unwrap()),
        ],
    );
    let confirmed = confirmed.send().await.unwrap();
    assert_eq!(confirmed.status(), 302);
    confirmed.headers()["location"].to_str().unwrap().to_owned()
}
