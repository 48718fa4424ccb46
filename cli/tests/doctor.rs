//! `doctor` with AWS in memory and GitHub's stand-in, with its calls counted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use aws_sdk_lambda::operation::get_account_settings::GetAccountSettingsOutput;
use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
use aws_sdk_lambda::types::AccountLimit;
use aws_sdk_sqs::operation::get_queue_attributes::GetQueueAttributesOutput;
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use axum::http::{HeaderMap, StatusCode};
use cli::doctor::{AWS_CALLS, Clients, GITHUB_CALLS, Report, examine};
use cli::finding::Mark;
use cli::json_api::JsonApi;
use cli::pause::Paused;
use github_standin::{APP_PRIVATE_KEY, DeliveryFault, DeliveryFaultKind, WebhookTarget};
use runtime::settings::Settings;
use serde_json::{Value, json};
use support::World;
use time::OffsetDateTime;

/// What the logs of `sweep` and `stock` measured lately, and the number of dead letters.
type Told = Arc<Mutex<(Vec<serde_json::Value>, u32)>>;

/// What CloudWatch and Service Quotas tell: the alarms that ring, values by the query's id, quotas by
/// their codes, and whether they may be asked.
#[derive(Clone, Default)]
struct Watched {
    ringing: Vec<&'static str>,
    values: Vec<(&'static str, f64)>,
    quotas: Vec<(&'static str, f64)>,
    denied: bool,
}

impl Watched {
    fn answer(&self, headers: &HeaderMap, request: &Value) -> (StatusCode, Value) {
        let text = |name: &str| headers[name].to_str().unwrap();
        let (target, signed) = (text("x-amz-target"), text("authorization"));
        let (service, action) = target.split_once('.').unwrap();
        let is_of = |name: &str| {
            assert!(
                signed.contains(&format!("/us-east-1/{name}/aws4_request")),
                "{signed}"
            );
        };
        assert!(signed.contains("x-amz-target"), "{signed}");
        if self.denied {
            let told = json!({ "__type": "com.amazonaws#AccessDeniedException",
                               "message": "is not authorized to perform this" });
            return (StatusCode::BAD_REQUEST, told);
        }
        let answer = match (service, action) {
            ("GraniteServiceVersion20100801", "DescribeAlarms") => {
                is_of("monitoring");
                assert_eq!(request["StateValue"], "ALARM");
                let prefix = request["AlarmNamePrefix"].as_str().unwrap();
                let ringing = self.ringing.iter().filter(|name| name.starts_with(prefix));
                let alarms = ringing.map(|name| {
                    json!({ "AlarmName": name, "AlarmDescription": "It rings.",
                            "StateUpdatedTimestamp": 1_767_268_800.5 })
                });
                json!({ "MetricAlarms": alarms.collect::<Vec<_>>() })
            }
            ("GraniteServiceVersion20100801", "GetMetricData") => {
                is_of("monitoring");
                let queries = request["MetricDataQueries"].as_array().unwrap();
                let results = queries.iter().map(|query| {
                    let values = self.values.iter().filter(|(id, _)| query["Id"] == *id);
                    let values: Vec<_> = values.map(|(_, value)| value).collect();
                    json!({ "Id": query["Id"], "Values": values })
                });
                json!({ "MetricDataResults": results.collect::<Vec<_>>() })
            }
            ("ServiceQuotasV20190624", "ListServiceQuotas") => {
                is_of("servicequotas");
                let quotas = self.quotas.iter();
                let quotas =
                    quotas.map(|(code, value)| json!({ "QuotaCode": code, "Value": value }));
                json!({ "Quotas": quotas.collect::<Vec<_>>() })
            }
            other => panic!("{other:?}"),
        };
        (StatusCode::OK, answer)
    }
}

struct Deployed {
    world: World,
    told: Told,
    watched: Arc<Mutex<Watched>>,
    /// Answers what `watched` tells.
    endpoint: String,
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
        let watched = Arc::<Mutex<Watched>>::default();
        let endpoint = served(Arc::clone(&watched), Arc::clone(&world.others)).await;
        Self {
            world,
            told: Told::default(),
            watched,
            endpoint,
        }
    }

    fn api(&self) -> JsonApi {
        let settings = [("AWS_REGION".to_owned(), "us-east-1".to_owned())];
        let http = aws::https_client(&Settings::from_pairs(settings)).unwrap();
        let credentials = Credentials::for_tests();
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http)
            .endpoint_url(&self.endpoint);
        JsonApi::new(&config.build())
    }

    fn lambda(&self) -> aws_sdk_lambda::Client {
        use aws_sdk_lambda::Client;

        let calls = Arc::clone(&self.world.others);
        let function = mock!(Client::get_function_configuration).then_compute_output(move |_| {
            *calls.lock().unwrap() += 1;
            GetFunctionConfigurationOutput::builder()
                .last_modified("2019-09-24T18:55:30.000+0000")
                .build()
        });
        let calls = Arc::clone(&self.world.others);
        let settings = mock!(Client::get_account_settings).then_compute_output(move |_| {
            *calls.lock().unwrap() += 1;
            let limit = AccountLimit::builder().concurrent_executions(1_000);
            GetAccountSettingsOutput::builder()
                .account_limit(limit.build())
                .build()
        });
        mock_client!(aws_sdk_lambda, RuleMode::MatchAny, [&function, &settings])
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
            lambda: self.lambda(),
            sqs: self.sqs(),
            api: self.api(),
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

/// Serves the answers on a free port until the test ends, each counted.
async fn served(watched: Arc<Mutex<Watched>>, calls: Arc<Mutex<u32>>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answer = axum::routing::post(move |headers: HeaderMap, body: String| {
        *calls.lock().unwrap() += 1;
        let request = serde_json::from_str(&body).unwrap();
        let (status, answer) = watched.lock().unwrap().answer(&headers, &request);
        std::future::ready((status, answer.to_string()))
    });
    let app = axum::Router::new().route("/", answer);
    tokio::spawn(async move { axum::serve(listener, app).await });
    endpoint
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
        [
            "version",
            "secrets",
            "GitHub",
            "runners",
            "jobs",
            "images and stock",
            "alarms",
            "quotas"
        ]
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
            "1 execution failed",
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
async fn each_alarm_that_rings_is_told_with_what_mends_it() {
    let deployed = Deployed::new().await;
    deployed.watched.lock().unwrap().ringing = vec![
        "fargate-runners-unmatched",
        "fargate-runners-stock-empty-ubuntu-x64",
        // Of the deployment fargate-runners-eu.
        "fargate-runners-eu-unmatched",
    ];
    let faults = deployed.faults().await;
    assert_eq!(faults.len(), 2, "{faults:#?}");
    for words in [
        &["fargate-runners-unmatched rings", "--status-filter FAILED"][..],
        &[
            "stock-empty-ubuntu-x64 rings for",
            "aws logs tail /aws/lambda/fargate-runners-stock",
        ],
    ] {
        assert!(has(&faults, words), "{words:?} is not in {faults:#?}");
    }
}

#[tokio::test]
async fn a_quota_that_is_nearly_used_up_is_told_with_the_request_to_raise_it() {
    let deployed = Deployed::new().await;
    {
        let mut watched = deployed.watched.lock().unwrap();
        watched.values = vec![
            ("demand", 4.0),
            ("demand", 6.0),
            ("demand", 2.0),
            ("spot", 9.0),
            ("lambda", 900.0),
        ];
        watched.quotas = vec![("L-3032A538", 6.0), ("L-36FBB829", 64.0)];
    }
    let faults = deployed.faults().await;
    assert_eq!(faults.len(), 2, "{faults:#?}");
    for words in [
        &["6 of 6 vCPUs", "--quota-code L-3032A538 --desired-value 12"][..],
        &["900 of 1000 executions", "--quota-code L-B99A9384"],
    ] {
        assert!(has(&faults, words), "{words:?} is not in {faults:#?}");
    }
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named_and_is_no_fault() {
    let deployed = Deployed::new().await;
    deployed.watched.lock().unwrap().denied = true;
    assert_eq!(deployed.faults().await, Vec::<String>::new());
    let report = deployed.examine().await;
    for action in [
        "cloudwatch:DescribeAlarms",
        "cloudwatch:GetMetricData",
        "servicequotas:ListServiceQuotas",
    ] {
        let is_named =
            |one: &cli::finding::Finding| one.mark == Mark::Note && one.text.contains(action);
        assert!(report.findings().any(is_named), "{report:#?}");
    }
}

#[tokio::test]
async fn a_deployment_of_another_version_is_told_which_of_the_two_to_replace() {
    let mut deployed = Deployed::new().await;
    for (version, fix) in [
        ("0.0.1", "npx cdk deploy"),
        ("99.0.0", "command line of release 99.0.0"),
    ] {
        deployed.world.deployment.version = Some(version.to_owned());
        let faults = deployed.faults().await;
        assert!(has(&faults, &[version, fix]), "{faults:#?}");
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
async fn what_failed_and_was_delivered_again_is_no_fault() {
    let deployed = Deployed::new().await;
    let server = &deployed.world.server;
    server.delivery_fault(DeliveryFault {
        kind: DeliveryFaultKind::Fail { status: 502 },
        action: None,
        job: None,
        times: 1,
    });
    let endpoint = accepting().await;
    server.set_webhook(Some(WebhookTarget {
        url: endpoint,
        host: None,
    }));
    deployed.world.job(&["self-hosted"]);
    assert!(server.wait_for_deliveries(Duration::from_secs(20)).await);
    let faults = deployed.faults().await;
    assert!(has(&faults, &["1 of 1", "failed"]), "{faults:#?}");
    let failed = server.deliveries().last().unwrap().id;
    let github = deployed.world.github();
    github.redeliver(failed).await.unwrap();
    assert!(server.wait_for_deliveries(Duration::from_secs(20)).await);
    assert_eq!(deployed.faults().await, Vec::<String>::new());
}

/// Takes every webhook.
async fn accepting() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = axum::Router::new().route("/", axum::routing::post(|| async { StatusCode::OK }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

#[tokio::test]
async fn parameters_that_may_not_be_read_are_told_from_missing_ones() {
    let deployed = Deployed::new().await;
    let denied = ("GetParameters".to_owned(), "/policy".to_owned());
    deployed.world.aws.state().denied.insert(denied);
    let report = deployed.examine().await;
    assert!(report.well(), "{report:#?}");
    assert!(
        report
            .findings()
            .any(|one| one.mark == Mark::Note && one.text.contains("lack ssm:GetParameters")),
        "{report:#?}"
    );
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
