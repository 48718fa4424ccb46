//! `why` over AWS in memory and GitHub's stand-in: what is found, and with how many calls.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use aws_in_memory::Aws;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
use aws_sdk_cloudwatchlogs::operation::get_log_events::GetLogEventsOutput;
use aws_sdk_cloudwatchlogs::types::{FilteredLogEvent, OutputLogEvent};
use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
use aws_sdk_lambda::types::EnvironmentResponse;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use cli::cloud::Cloud;
use cli::why::{self, AWS_CALLS, Evidence, Explanation, GITHUB_CALLS, Seen, Situation};
use cli::{Calls, Deployment, JobRef};
use github::secrets::AppSecrets;
use github::{App, GitHub, Patience};
use github_standin::{APP_PRIVATE_KEY, Fault, FaultKind, Job, NewJob, Server};
use protocol::{JobId, LabelSet, Order, OwnerType};
use serde_json::{Value, json};
use time::OffsetDateTime;

struct World {
    aws: Aws,
    server: Server,
    cloud: Cloud,
    deployment: Deployment,
    secrets: Option<App>,
    /// Lines of `verify`'s log.
    log: Arc<Mutex<Vec<Value>>>,
    /// Calls of the two services that `aws-in-memory` does not have.
    others: Arc<Mutex<u32>>,
}

impl World {
    async fn new() -> Self {
        let server = Server::start(github_standin::Config::default())
            .await
            .unwrap();
        let aws = Aws::new();
        let app = App::new(&server.app_id().to_string(), APP_PRIVATE_KEY).unwrap();
        let (log, others) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::default());
        let fleet = aws.fleet();
        let cloud = Cloud {
            executions: fleet.executions,
            ecs: fleet.ecs,
            ssm: fleet.ssm,
            lambda: functions(&others),
            logs: logs(&log, &others),
            calls: Calls::at_most(0),
        };
        let deployment = Deployment {
            stack: "fargate-runners".to_owned(),
            prefix: "fargate-runners".to_owned(),
            id: "fr".parse().unwrap(),
            machine: "arn:aws:states:us-east-1:0:stateMachine:fargate-runners"
                .parse()
                .unwrap(),
            cluster: "runners".to_owned(),
            webhook_url: "https://webhook".to_owned(),
            github: server.url().parse().unwrap(),
            task_logs: "/ecs/fargate-runners".to_owned(),
            verify: "fargate-runners-verify".to_owned(),
            cleanup: "fargate-runners-cleanup".to_owned(),
        };
        Self {
            aws,
            server,
            cloud,
            deployment,
            secrets: Some(app),
            log,
            others,
        }
    }

    fn job(&self, labels: &[&str]) -> Job {
        let job = NewJob {
            repository: "octo/hello".to_owned(),
            labels: labels.iter().map(ToString::to_string).collect(),
            ..NewJob::default()
        };
        self.server.create_job(job).unwrap()
    }

    /// Has `verify` logged what it did with a job's webhook.
    fn logged(&self, job: &Job, status: u16, answer: &Value) {
        self.log.lock().unwrap().push(json!({
            "level": "INFO", "message": "webhook taken", "status": status,
            "answer": answer.to_string(),
            "span": { "delivery": "guid", "job_id": job.id, "run_id": job.run_id,
                      "repository": "octo/hello", "name": "webhook" },
        }));
    }

    /// Has an execution of the job.
    fn execution(&self, job: &Job, suffix: &str, status: &str, error: Option<&str>) -> String {
        let name = format!("hello-{}{suffix}", job.id);
        self.aws.add_execution(&name, &order(job), status, error);
        name
    }

    /// Asks why, and asserts that it took no more calls than promised, and as many as are counted.
    async fn why(&self, asked: &str) -> (Evidence, Explanation) {
        self.server.clear_requests();
        let before =
            self.aws.calls().len() + usize::try_from(*self.others.lock().unwrap()).unwrap();
        let asked: JobRef = asked.parse().unwrap();
        let now = OffsetDateTime::now_utc();
        // Each command has a bound of its own.
        let calls = Calls::at_most(AWS_CALLS - 1);
        let cloud = Cloud {
            calls,
            ..self.cloud.clone()
        };
        // So has each process its own client, with nothing cached.
        let url = self.deployment.github.clone();
        let github = if let Some(app) = &self.secrets {
            GitHub::with_patience(url, app.clone(), Patience::NONE).unwrap()
        } else {
            let secrets = AppSecrets::new(cloud.ssm.clone(), "fargate-runners");
            GitHub::with_patience(url, secrets, Patience::NONE).unwrap()
        };
        let evidence = Box::pin(why::collect(&cloud, &self.deployment, &github, &asked, now)).await;
        let after = self.aws.calls().len() + usize::try_from(*self.others.lock().unwrap()).unwrap();
        let made = u32::try_from(after - before).unwrap();
        // One call found the stack. The App's secrets are one more, which a test may leave out.
        let rest = 1 + u32::from(self.secrets.is_some());
        assert!(
            made + rest <= AWS_CALLS,
            "{made} calls: {:#?}",
            self.aws.calls()
        );
        let requests = self.server.requests();
        let most = usize::try_from(GITHUB_CALLS).unwrap();
        assert!(requests.len() <= most, "{requests:#?}");
        let explanation = why::explain(&evidence);
        (evidence, explanation)
    }
}

fn order(job: &Job) -> Order {
    Order {
        job: protocol::Job {
            id: JobId(job.id),
            run_id: job.run_id,
            run_attempt: 1,
            name: "build".to_owned(),
            workflow: String::new(),
            repository: job.repository.parse().unwrap(),
            owner_type: OwnerType::Organization,
            private: true,
            labels: LabelSet::new(&job.labels),
            installation_id: None,
            queued_at: OffsetDateTime::now_utc(),
            created_at: None,
        },
        recheck: false,
        not_before: None,
    }
}

fn functions(calls: &Arc<Mutex<u32>>) -> aws_sdk_lambda::Client {
    let calls = Arc::clone(calls);
    let rule = mock!(aws_sdk_lambda::Client::get_function_configuration).then_compute_output(
        move |_request| {
            *calls.lock().unwrap() += 1;
            let environment = EnvironmentResponse::builder()
                .variables("ALLOWED_OWNERS", "octo")
                .variables("REQUIRED_LABELS", "self-hosted");
            GetFunctionConfigurationOutput::builder()
                .environment(environment.build())
                .build()
        },
    );
    mock_client!(aws_sdk_lambda, RuleMode::MatchAny, [&rule])
}

/// CloudWatch's logs. The pattern is not looked at: the reader has to tell jobs apart itself.
fn logs(lines: &Arc<Mutex<Vec<Value>>>, calls: &Arc<Mutex<u32>>) -> aws_sdk_cloudwatchlogs::Client {
    use aws_sdk_cloudwatchlogs::Client;

    let (lines, counted) = (Arc::clone(lines), Arc::clone(calls));
    let filter = mock!(Client::filter_log_events).then_compute_output(move |request| {
        *counted.lock().unwrap() += 1;
        let group = request.log_group_name();
        assert_eq!(group, Some("/aws/lambda/fargate-runners-verify"));
        let lines = lines.lock().unwrap();
        let events = lines.iter().map(|line| {
            FilteredLogEvent::builder()
                .timestamp(1_767_268_800_000)
                .message(line.to_string())
                .build()
        });
        FilterLogEventsOutput::builder()
            .set_events(Some(events.collect()))
            .build()
    });
    let counted = Arc::clone(calls);
    let get = mock!(Client::get_log_events).then_compute_output(move |request| {
        *counted.lock().unwrap() += 1;
        let stream = request.log_stream_name().unwrap_or_default();
        assert!(stream.starts_with("runner/runner/fr-hello-"), "{stream}");
        let event = OutputLogEvent::builder().message("listening for jobs\n");
        GetLogEventsOutput::builder().events(event.build()).build()
    });
    mock_client!(aws_sdk_cloudwatchlogs, RuleMode::MatchAny, [&filter, &get])
}

#[tokio::test]
async fn a_running_execution_is_followed_to_its_task_and_what_that_said() {
    let world = World::new().await;
    let job = world.job(&["self-hosted", "linux"]);
    let name = world.execution(&job, "", "RUNNING", None);
    let runner = format!("fr-{name}");
    world.aws.enter(&name, "Runner", Aws::planned(&runner, ""));
    let up = OffsetDateTime::now_utc() - time::Duration::minutes(4);
    let task = world.aws.add_task(&runner, "octo/hello", up);
    // By its address, its id, its execution's name and its runner's.
    let address = format!(
        "https://github.com/octo/hello/actions/runs/{}/job/{}",
        job.run_id, job.id
    );
    world.logged(
        &job,
        200,
        &json!({ "result": "started", "execution": name }),
    );
    for asked in [address, job.id.to_string(), name.clone(), runner.clone()] {
        let (evidence, explanation) = world.why(&asked).await;
        assert_eq!(
            explanation.situation,
            Situation::Listening,
            "{asked}: {explanation:#?}"
        );
        assert_eq!(evidence.task.found().unwrap().arn, task);
        assert_eq!(
            evidence.said,
            Seen::Found(vec!["listening for jobs".to_owned()])
        );
        let facts: Vec<_> = explanation.facts.iter().map(|fact| fact.what).collect();
        for what in [
            "GitHub",
            "webhook",
            "execution",
            "state",
            "task",
            "task said",
        ] {
            assert!(facts.contains(&what), "{facts:?}");
        }
    }
}

#[tokio::test]
async fn a_job_is_found_by_its_id_where_the_log_is_gone() {
    let world = World::new().await;
    let job = world.job(&["self-hosted", "moon"]);
    world.execution(&job, "", "FAILED", Some("Unmatched"));
    world.execution(&job, "-r2", "FAILED", Some("Unmatched"));
    let (evidence, explanation) = world.why(&job.id.to_string()).await;
    assert_eq!(
        explanation.situation,
        Situation::GivenUp,
        "{explanation:#?}"
    );
    assert_eq!(evidence.executions.found().unwrap().len(), 2);
    assert!(explanation.summary.contains("Unmatched"));
    assert!(explanation.change.unwrap().contains("runs-on"));
}

#[tokio::test]
async fn a_job_without_an_execution_is_told_what_verify_answered() {
    let world = World::new().await;
    for (labels, reason, situation, said) in [
        (
            &["linux"][..],
            "the job does not ask for [self-hosted]",
            Situation::NotServed,
            "self-hosted",
        ),
        (
            &["self-hosted"],
            "octo/hello is public, and ALLOW_PUBLIC_REPOSITORIES is false",
            Situation::NotServed,
            "is public",
        ),
    ] {
        let job = world.job(labels);
        world.logged(&job, 202, &json!({ "result": "ignored", "reason": reason }));
        let (_, explanation) = world.why(&job.id.to_string()).await;
        assert_eq!(
            explanation.situation, situation,
            "{labels:?}: {explanation:#?}"
        );
        assert!(explanation.summary.contains(said), "{explanation:#?}");
    }
}

#[tokio::test]
async fn without_a_trace_the_policy_and_githubs_deliveries_tell() {
    let world = World::new().await;
    let address = |job: &Job| {
        format!(
            "https://github.com/octo/hello/actions/runs/1/job/{}",
            job.id
        )
    };
    let job = world.job(&["linux"]);
    let (_, explanation) = world.why(&address(&job)).await;
    assert_eq!(
        explanation.situation,
        Situation::NotServed,
        "{explanation:#?}"
    );
    let job = world.job(&["self-hosted"]);
    let (_, explanation) = world.why(&address(&job)).await;
    assert_eq!(
        explanation.situation,
        Situation::NoWebhook,
        "{explanation:#?}"
    );
    // Nobody listens there.
    world
        .server
        .set_webhook(Some(github_standin::WebhookTarget {
            url: "http://127.0.0.1:9/".to_owned(),
            host: None,
        }));
    let job = world.job(&["self-hosted"]);
    assert!(
        world
            .server
            .wait_for_deliveries(std::time::Duration::from_secs(20))
            .await
    );
    let (evidence, explanation) = world.why(&address(&job)).await;
    assert_eq!(
        explanation.situation,
        Situation::DeliveryFailed,
        "{explanation:#?}\n{evidence:#?}"
    );
}

#[tokio::test]
async fn a_job_that_nobody_knows_and_an_app_that_is_not_there_are_told_apart() {
    let world = World::new().await;
    world.job(&["self-hosted"]);
    let (_, explanation) = world
        .why("https://github.com/octo/hello/actions/runs/1/job/987654")
        .await;
    assert_eq!(
        explanation.situation,
        Situation::Unknown,
        "{explanation:#?}"
    );
    world.server.uninstall("octo");
    let (_, explanation) = world
        .why("https://github.com/octo/hello/actions/runs/1/job/987654")
        .await;
    assert_eq!(
        explanation.situation,
        Situation::NotServed,
        "{explanation:#?}"
    );
    assert!(explanation.change.unwrap().contains("Install the App"));
}

#[tokio::test]
async fn without_the_apps_secrets_the_explanation_says_so_and_goes_on() {
    let world = World::new().await;
    let job = world.job(&["self-hosted"]);
    let name = world.execution(&job, "", "SUCCEEDED", None);
    world.aws.close(&name, OffsetDateTime::now_utc(), "RanJob");
    let world = World {
        secrets: None,
        ..world
    };
    let (evidence, explanation) = world.why(&name).await;
    assert_eq!(explanation.situation, Situation::Ended, "{explanation:#?}");
    assert!(
        explanation.summary.contains("secrets cannot be read"),
        "{explanation:#?}"
    );
    assert!(matches!(evidence.github, Seen::Unknown(_)));
}

#[tokio::test]
async fn whatever_is_refused_or_lost_the_bound_on_calls_holds() {
    for status in [401, 403, 404, 500] {
        let world = World::new().await;
        let job = world.job(&["self-hosted"]);
        for suffix in ["", "-r2", "-r3", "-r4", "-r5"] {
            world.execution(&job, suffix, "FAILED", Some("BudgetSpent"));
        }
        let kind = FaultKind::Status {
            status,
            message: None,
            retry_after: None,
        };
        world.server.fault(Fault::new(kind).times(100));
        let (_, explanation) = world.why(&job.id.to_string()).await;
        assert_eq!(
            explanation.situation,
            Situation::GivenUp,
            "{explanation:#?}"
        );
    }
}
