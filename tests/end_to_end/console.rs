//! The console in a real browser, on the deployed system: jobs appear, move and end before its eyes.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use github_standin::{JobStatus, NewJob};
use local_stack::REGION;
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Browser, Screen};
use tooling::Checkout;

use crate::harness::{Harness, LIMIT, run, script};
use crate::why::program;

/// A console that serves one deployment. Dropping it ends it.
struct Console {
    child: Child,
    url: String,
}

impl Console {
    fn start(harness: &Harness) -> Self {
        let child = program(harness)
            .args(["console", "--port", "0", "--every", "1", "--json"])
            .args(["--stack", "fargate-runners"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("build it: cargo build --workspace --bins");
        // From here on, it is ended also when this fails.
        let mut console = Self {
            child,
            url: String::new(),
        };
        let stdout = console.child.stdout.take().expect("a pipe");
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let mut said = String::new();
        for line in lines {
            said.push_str(&line);
            if let Ok(told) = serde_json::from_str::<Value>(&said) {
                told["url"]
                    .as_str()
                    .expect("an address")
                    .clone_into(&mut console.url);
                return console;
            }
        }
        panic!("the console ended: {said}");
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where screenshots are put; those of the documentation are taken from there.
fn photographs() -> PathBuf {
    Checkout::here().local().join("console")
}

/// The row of an execution.
fn row(execution: &str) -> String {
    format!("document.getElementById('job-{execution}')")
}

fn phase(execution: &str) -> String {
    format!("{}?.querySelector('.phase').dataset.phase", row(execution))
}

#[test]
fn a_job_appears_in_the_console_moves_and_ends_and_a_waiting_one_says_why() {
    run(async |harness| {
        let site = &harness.repository;
        let console = Console::start(harness);
        let mut browser = Browser::start().unwrap();
        browser
            .show_on(Screen {
                width: 1280,
                height: 900,
                scale: 1.0,
                dark: false,
            })
            .unwrap();
        browser.open(&console.url).unwrap();
        browser
            .wait(
                "document.getElementById('live').dataset.state === 'live'",
                LIMIT,
            )
            .unwrap();
        // All phases that a row was in, so that none is missed between two looks of this test.
        browser
            .value(
                "globalThis.seen = {}; new MutationObserver(() => { for (const row of \
                 document.querySelectorAll('#list > details')) { const phase = \
                 row.querySelector('.phase')?.dataset.phase; const past = seen[row.id] ??= []; \
                 if (phase && past.at(-1) !== phase) past.push(phase); } }).observe(\
                 document.getElementById('list'), { childList: true, subtree: true }), true",
            )
            .unwrap();

        let fault = json!({
            "service": "ecs", "operation": "RunTask", "effect": "capacity",
            "match": "octo/console-no-capacity", "times": 1_000,
        });
        harness.control(Method::POST, "/faults", fault).await;
        let waiting = site.queue(script("octo/console-no-capacity", "true"));
        let travelling = site.queue(script("octo/console", "sleep 8"));
        let unmatched = site.queue(NewJob {
            labels: vec!["self-hosted".to_owned(), "moon".to_owned()],
            ..script("octo/console", "true")
        });
        let [waits, travels, fails] = [&waiting, &travelling, &unmatched].map(|job| site.name(job));

        // It appears and moves.
        browser
            .wait(&format!("{} === 'up'", phase(&travels)), LIMIT)
            .unwrap();
        // The waiting one says why, and when it goes on.
        let reason = format!(
            "{} === 'waiting' && {}.querySelector('.reason').textContent",
            phase(&waits),
            row(&waits)
        );
        let reason = browser.wait(&reason, LIMIT).unwrap();
        assert!(
            reason.as_str().unwrap().starts_with("NoCapacity: "),
            "{reason}"
        );
        browser.click(&format!("#job-{waits} summary")).unwrap();
        let why = format!("{}.querySelector('.why')?.textContent", row(&waits));
        let why = browser.wait(&why, LIMIT).unwrap();
        for words in ["no capacity", "Next", "Change"] {
            assert!(why.as_str().unwrap().contains(words), "{words}: {why}");
        }
        browser.value("scrollTo(0, 0)").unwrap();
        browser
            .screenshot(&photographs().join("light.png"))
            .unwrap();
        // It ends.
        site.reaches(&travelling, JobStatus::Completed).await;
        browser
            .wait(&format!("{} === 'succeeded'", phase(&travels)), LIMIT)
            .unwrap();
        browser
            .wait(&format!("{} === 'failed'", phase(&fails)), LIMIT)
            .unwrap();
        let past = browser.value(&format!("seen['job-{travels}']")).unwrap();
        let past = past.as_array().unwrap();
        for phase in ["up", "succeeded"] {
            assert!(past.contains(&json!(phase)), "{past:?}");
        }
        // The plots count it, among the jobs of other tests.
        let plots = "['p-start', 'p-outcome', 'p-cost'].map((id) => \
                     document.getElementById(id).innerText).join('\\n')";
        browser
            .wait(
                &format!(
                    "(() => {{ const told = {plots}; return ['cold: ', 'job succeeded', 'Unmatched', \
                     '$'].every((word) => told.includes(word)) && told; }})()"
                ),
                LIMIT,
            )
            .unwrap();
        // Each state of it has a row, with where it started and what it took.
        browser.click(&format!("#job-{travels} summary")).unwrap();
        let states = browser
            .wait(
                &format!(
                    "[...{}.querySelectorAll('.states tbody tr')].map((row) => \
                     row.cells[0].innerText).join(' ')",
                    row(&travels)
                ),
                LIMIT,
            )
            .unwrap();
        assert_eq!(states, "Match Launch Token Runner Cleanup");

        for (name, width, height, dark) in [("dark", 1280, 900, true), ("phone", 390, 844, false)] {
            browser
                .show_on(Screen {
                    width,
                    height,
                    scale: 1.0,
                    dark,
                })
                .unwrap();
            browser.value("scrollTo(0, 0)").unwrap();
            let fits = browser.value("document.documentElement.scrollWidth <= innerWidth");
            assert_eq!(fits.unwrap(), true, "{name} is too wide");
            let file = photographs().join(format!("{name}.png"));
            browser.screenshot(&file).unwrap();
        }
        assert_eq!(browser.complaints(), [] as [String; 0]);

        harness
            .control(
                Method::DELETE,
                "/faults?match=octo/console-no-capacity",
                Value::Null,
            )
            .await;
        site.ended(&waiting).await;
        drop(console);
        browser
            .wait(
                "document.getElementById('live').dataset.state === 'lost'",
                LIMIT,
            )
            .unwrap();
    });
}

#[test]
fn a_console_that_cannot_serve_says_so_in_a_sentence() {
    run(async |harness| {
        let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        let endpoint = harness.engine.endpoint();
        let credentials = [
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ];
        for (arguments, with, code, words) in [
            (
                ["--port", &port, "--stack", "fargate-runners"],
                true,
                2,
                "choose another with --port",
            ),
            (
                ["--port", "0", "--stack", "fargate-runner"],
                true,
                4,
                "did you mean --stack fargate-runners?",
            ),
            (
                ["--port", "0", "--stack", "fargate-runners"],
                false,
                3,
                "found no AWS credentials",
            ),
        ] {
            let mut command = Command::new(Checkout::here().program("fargate-runners"));
            command
                .arg("console")
                .args(arguments)
                .env_clear()
                // No metadata service is asked for credentials.
                .env("AWS_EC2_METADATA_DISABLED", "true")
                .envs([("AWS_ENDPOINT_URL", endpoint), ("AWS_REGION", REGION)]);
            if with {
                command.envs(credentials);
            }
            let output = tokio::task::spawn_blocking(move || command.output());
            let output = output.await.unwrap().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(code), "{said}");
            assert!(said.contains(words), "{said}");
            assert_eq!(said.trim().lines().count(), 1, "{said}");
        }
    });
}
