//! `fargate-runners setup` with a real browser: the page posts the manifest, GitHub's stand-in asks, and
//! the browser comes back with the code.
//!
//! `SCREENSHOTS=DIR` keeps what the browser showed.

#![allow(clippy::unwrap_used)] // A test that cannot do what it needs has failed.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use aws_in_memory::Aws;
use cli::setup::{Options, Place, Terminal};
use github::Patience;
use github_standin::{Config, OwnerType, Server};
use system_tests::{Browser, Screen};
use tokio::sync::mpsc;

const LIMIT: Duration = Duration::from_mins(1);

/// Gives the page's address to whoever drives the browser.
struct Person {
    pages: mpsc::UnboundedSender<String>,
    said: Mutex<Vec<String>>,
}

impl Terminal for Person {
    fn say(&self, line: &str) {
        self.said.lock().unwrap().push(line.to_owned());
    }

    async fn ask(&self, _: &str) -> Option<String> {
        None
    }

    fn browse(&self, address: &str) -> bool {
        self.pages.send(address.to_owned()).is_ok()
    }

    async fn wait(&self, time: Duration) {
        tokio::time::sleep(time.min(Duration::from_millis(100))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_made_in_a_browser_by_two_confirmations() {
    let server = Server::start(Config::default()).await.unwrap();
    server
        .add_repository("octo/hello", OwnerType::Organization, true)
        .unwrap();
    let aws = Aws::new();
    let policy = include_str!("../cdk/test/fixtures/policy.json").to_owned();
    let entry = (time::OffsetDateTime::now_utc(), policy);
    let name = "/fargate-runners/policy".to_owned();
    aws.state().parameters.insert(name, entry);
    let place = Place {
        prefix: "fargate-runners".to_owned(),
        ssm: aws.fleet().ssm,
        kms_key: None,
        github: server.url().parse().unwrap(),
        webhook_url: Some("http://127.0.0.1:9/hook".to_owned()),
        patience: Patience::NONE,
    };
    let (pages, mut opened) = mpsc::unbounded_channel();
    let person = Person {
        pages,
        said: Mutex::default(),
    };
    let browsing = tokio::spawn(async move {
        let page = opened.recv().await.unwrap();
        tokio::task::spawn_blocking(move || confirm(&page))
            .await
            .unwrap();
    });
    let options = Options {
        install_wait: LIMIT,
        ..Options::default()
    };
    let report = Box::pin(cli::setup::run(&options, &place, &person)).await;
    browsing.await.unwrap();
    let said = person.said.lock().unwrap().join("\n");
    assert!(report.unwrap().well(), "{said}");
    let state = aws.state();
    let value = |name: &str| &state.parameters[&format!("/fargate-runners/github/{name}")].1;
    assert_eq!(*value("app-id"), server.app_id().to_string());
    assert_eq!(*value("webhook-secret"), server.webhook_secret());
}

/// What a person does: reads, confirms twice, and installs the App.
fn confirm(page: &str) {
    let mut browser = Browser::start().unwrap();
    let screen = |width, dark| Screen {
        width,
        height: 640,
        scale: 1.0,
        dark,
    };
    browser.show_on(screen(900, false)).unwrap();
    browser.open(page).unwrap();
    browser
        .wait("document.querySelector('#make')", LIMIT)
        .unwrap();
    keep(&mut browser, "1-page");
    browser.show_on(screen(390, true)).unwrap();
    keep(&mut browser, "1-page-phone-dark");
    let wide = browser.value("document.documentElement.scrollWidth <= innerWidth");
    assert_eq!(wide.unwrap(), true, "a phone need not scroll sideways");
    browser.show_on(screen(900, false)).unwrap();
    browser.click("#make").unwrap();
    browser
        .wait("document.querySelector('#create')", LIMIT)
        .unwrap();
    keep(&mut browser, "2-github");
    browser.click("#create").unwrap();
    browser
        .wait("document.querySelector('#install')", LIMIT)
        .unwrap();
    keep(&mut browser, "3-made");
    browser.click("#install").unwrap();
    browser
        .wait("document.querySelector('button[name=account]')", LIMIT)
        .unwrap();
    keep(&mut browser, "4-install");
    browser.click("button[name=account]").unwrap();
    let installed = "document.body.innerText.includes('was installed')";
    browser.wait(installed, LIMIT).unwrap();
    assert!(
        browser.complaints().is_empty(),
        "{:?}",
        browser.complaints()
    );
}

fn keep(browser: &mut Browser, name: &str) {
    if let Some(directory) = std::env::var_os("SCREENSHOTS") {
        let file = PathBuf::from(directory).join(format!("setup-{name}.png"));
        browser.screenshot(&file).unwrap();
    }
}
