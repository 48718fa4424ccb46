//! `doctor` with AWS in memory and GitHub's stand-in, with its calls counted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use aws_sdk_sqs::operation::get_queue_attributes::GetQueueAttributesOutput;
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use cli::doctor::{AWS_CALLS, Clients, GITHUB_CALLS, Report, examine};
use cli::finding::Mark;
use cli::pause::Paused;
use github_standin::{APP_PRIVATE_KEY, DeliveryFault, DeliveryFaultKind, WebhookTarget};
use serde_json::json;
use support::World;
use time::OffsetDateTime;

/// What the logs of `sweep` and `stock` measured lately, and the number of dead letters.
type Told = Arc<Mutex<(Vec<serde_json::Value>, u32)>>;

struct Deployed {
    world: World,
    told: Told,
}

impl Deployed {
    /// A deployment at work.
    async fn new() -> Self {
        let world = World::new().await;
        let job = world.job(&["self-hosted", "linux"]);
        world.execution(&job, "", "RUNNING", None);
        let id = world.server.app_id().to_string();
        let catalogue = catalogue::Catalogue {
            read_at: OffsetDateTime::now_utc(),
            offers: Vec::new(),
            turn: 0,
        };
        let policy = include_str!("../../cdk/test/fixtures/policy.json");
        for (name, value) in [
            ("github/app-id", id.as_str()),
            ("github/private-key", APP_PRIVATE_KEY),
            ("github/webhook-secret", &world.server.webhook_secret()),
            ("policy", policy),
            ("catalogue", &catalogue.encode().unwrap()),
        ] {
            let entry = (OffsetDateTime::now_utc(), value.to_owned());
            let name = format!("/fargate-runners/{name}");
            world.aws.state().parameters.insert(name, entry);
        }
        world.server.set_hook("https://webhook", "json");
        Self {
            world,
            told: Told::default(),
        }
    }

    fn logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        use aws_sdk_cloudwatchlogs::Client;

        let (told, calls) = (Arc::clone(&self.told), Arc::clone(&self.world.others));
        let filter = mock!(Client::filter_log_events).then_compute_output(move |request| {
            *calls.lock().unwrap() += 1;
            let of_stock = request.log_group_name().unwrap().ends_with("-stock");
            let lines = told.lock().unwrap().0.clone().into_iter();
            let lines = lines.filter(|line| line["Family"].is_string() == of_stock);
            let events = lines.map(|line| {
                FilteredLogEvent::builder()
                    .message(line.to_string())
                    .build()
            });
            FilterLogEventsOutput::builder()
                .set_events(Some(events.collect()))
                .build()
        });
        mock_client!(aws_sdk_cloudwatchlogs, RuleMode::MatchAny, [&filter])
    }

    fn sqs(&self) -> aws_sdk_sqs::Client {
        let (told, calls) = (Arc::clone(&self.told), Arc::clone(&self.world.others));
        let count =
            mock!(aws_sdk_sqs::Client::get_queue_attributes).then_compute_output(move |_| {
                *calls.lock().unwrap() += 1;
                let name = QueueAttributeName::ApproximateNumberOfMessages;
                let count = told.lock().unwrap().1.to_string();
                GetQueueAttributesOutput::builder()
                    .attributes(name, count)
                    .build()
            });
        mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&count])
    }

    /// Examines, and asserts that it took no more calls than promised.
    async fn examine(&self) -> Report {
        let world = &self.world;
        let clients = Clients {
            executions: world.cloud.executions.clone(),
            ssm: world.cloud.ssm.clone(),
            logs: self.logs(),
            lambda: world.cloud.lambda.clone(),
            sqs: self.sqs(),
        };
        world.server.clear_requests();
        world.aws.state().calls.clear();
        *world.others.lock().unwrap() = 0;
        let now = OffsetDateTime::now_utc();
        let report = Box::pin(examine(&clients, &world.deployment, now)).await;
        // One call found the stack.
        let made =
            1 + world.aws.calls().len() + usize::try_from(*world.others.lock().unwrap()).unwrap();
        assert!(
            made <= usize::try_from(AWS_CALLS).unwrap(),
            "{made}: {:#?}",
            world.aws.calls()
        );
        let requests = world.server.requests();
        assert!(
            requests.len() <= usize::try_from(GITHUB_CALLS).unwrap(),
            "{requests:#?}"
        );
        eprintln!("{made} calls at AWS, {} at GitHub", requests.len());
        report
    }

    /// The findings that are to be mended, each with its fix.
    async fn faults(&self) -> Vec<String> {
        let report = self.examine().await;
        let bad = report.findings().filter(|one| one.mark == Mark::Bad);
        let faults: Vec<_> = bad
            .map(|one| format!("{} → {}", one.text, one.fix.as_deref().expect("a fix")))
            .collect();
        // The catalogue is empty here, on purpose.
        faults
            .into_iter()
            .filter(|fault| !fault.contains("no task definition offers"))
            .collect()
    }
}

fn has(faults: &[String], words: &[&str]) -> bool {
    faults
        .iter()
        .any(|fault| words.iter().all(|word| fault.contains(word)))
}

#[tokio::test]
async fn a_deployment_at_work_has_nothing_to_mend() {
    let deployed = Deployed::new().await;
    assert_eq!(deployed.faults().await, Vec::<String>::new());
    let report = deployed.examine().await;
    let parts: Vec<_> = report.parts.iter().map(|part| part.name).collect();
    assert_eq!(
        parts,
        ["secrets", "GitHub", "runners", "jobs", "images and stock"]
    );
}

#[tokio::test]
async fn each_fault_is_told_with_what_mends_it() {
    let deployed = Deployed::new().await;
    let world = &deployed.world;
    world.server.set_permission("octo", "administration", None);
    world.server.set_hook("https://elsewhere", "json");
    let failed = world.job(&["self-hosted", "gpu"]);
    let failed = world.execution(&failed, "", "FAILED", Some("Unmatched"));
    let stock = |name: &str, value: u32| json!({ "Family": "fargate-runners-x64", name: value });
    let measured = vec![
        json!({ "RunnerVersionAgeDays": 25 }),
        stock("StockWanted", 2),
        stock("StockReady", 1),
        stock("StockReady", 0),
    ];
    *deployed.told.lock().unwrap() = (measured, 3);
    Paused::new(world.cloud.ssm.clone(), "fargate-runners")
        .pause(OffsetDateTime::now_utc())
        .await
        .unwrap();
    let faults = deployed.faults().await;
    for words in [
        &["(octo) has not been given administration", "Review request"][..],
        &[
            "webhook URL is https://elsewhere",
            "setup --configure-webhook",
        ],
        &[
            "1 executions failed",
            &format!("fargate-runners why {failed}"),
        ],
        &["3 dead letters", "aws sqs receive-message"],
        &["succeeded 25 days ago", "rebuild the image"],
        &["0 of 2 warm tasks of fargate-runners-x64", "size"],
        &["is paused", "fargate-runners resume"],
    ] {
        assert!(has(&faults, words), "{words:?} is not in {faults:#?}");
    }
}

#[tokio::test]
async fn deliveries_of_the_last_hour_are_judged_by_their_answers() {
    let deployed = Deployed::new().await;
    let server = &deployed.world.server;
    server.set_webhook(Some(WebhookTarget {
        url: "http://127.0.0.1:9/".to_owned(),
        host: None,
    }));
    for (status, words) in [
        (401, &["401", "--rotate-webhook-secret"][..]),
        (403, &["403", "cdk deploy"]),
        (422, &["could not be used", "--configure-webhook"]),
        (429, &["throttled", "Concurrent executions"]),
        (502, &["failed", "aws logs tail"]),
    ] {
        server.delivery_fault(DeliveryFault {
            kind: DeliveryFaultKind::Fail { status },
            action: None,
            job: None,
            times: 1,
        });
        deployed.world.job(&["self-hosted"]);
        assert!(server.wait_for_deliveries(Duration::from_secs(20)).await);
        let faults = deployed.faults().await;
        assert!(has(&faults, words), "{status}: {faults:#?}");
    }
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_no_fault() {
    let deployed = Deployed::new().await;
    let denied = ("Decrypt".to_owned(), String::new());
    deployed.world.aws.state().denied.insert(denied);
    assert_eq!(deployed.faults().await, Vec::<String>::new());
    let report = deployed.examine().await;
    assert!(
        report
            .findings()
            .any(|one| one.mark == Mark::Note && one.text.contains("secretsReaders"))
    );
}

#[tokio::test]
async fn a_deployment_without_its_secrets_or_its_app_is_told_so() {
    let deployed = Deployed::new().await;
    let name = "/fargate-runners/github/private-key";
    let key = deployed.world.aws.state().parameters.remove(name).unwrap();
    let faults = deployed.faults().await;
    assert!(
        has(
            &faults,
            &[
                "private-key not in Parameter Store; the others are there",
                "fargate-runners setup"
            ]
        ),
        "{faults:#?}"
    );
    deployed
        .world
        .aws
        .state()
        .parameters
        .insert(name.to_owned(), key);
    deployed.world.server.uninstall("octo");
    let faults = deployed.faults().await;
    assert!(
        has(&faults, &["installed nowhere", "/installations/new"]),
        "{faults:#?}"
    );
    deployed
        .world
        .server
        .delete_app_key(APP_PRIVATE_KEY)
        .unwrap();
    let faults = deployed.faults().await;
    assert!(
        has(
            &faults,
            &[
                "GitHub rejects the App's id and private key",
                "setup --app-id"
            ]
        ),
        "{faults:#?}"
    );
    deployed.world.server.stop().await;
    let faults = deployed.faults().await;
    assert!(
        has(&faults, &["no usable response from GitHub"]),
        "{faults:#?}"
    );
}

#[tokio::test]
async fn a_pause_is_there_once_and_gone_once() {
    let deployed = Deployed::new().await;
    let paused = Paused::new(deployed.world.cloud.ssm.clone(), "fargate-runners");
    let now = OffsetDateTime::now_utc();
    let since = paused.pause(now).await.unwrap();
    let later = paused.pause(now + Duration::from_mins(5)).await.unwrap();
    assert_eq!(since, later, "it tells since when");
    assert!(paused.resume().await.unwrap());
    assert!(!paused.resume().await.unwrap());
}
