//! A deployment in memory with a GitHub, and the command line's clients over both.
// Each test binary compiles this for itself and uses a part of it.
#![allow(unreachable_pub, dead_code)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_in_memory::Aws;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
use aws_sdk_cloudwatchlogs::operation::get_log_events::GetLogEventsOutput;
use aws_sdk_cloudwatchlogs::types::{FilteredLogEvent, OutputLogEvent};
use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
use aws_sdk_lambda::types::EnvironmentResponse;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use cli::cloud::Cloud;
use cli::why::{self, AWS_CALLS, Evidence, Explanation, GITHUB_CALLS};
use cli::{Calls, Deployment, JobRef};
use github::secrets::AppSecrets;
use github::{App, GitHub, Patience};
use github_standin::{APP_PRIVATE_KEY, Job, NewJob, Server, WebhookTarget};
use protocol::{JobId, LabelSet, Order, OwnerType};
use serde_json::{Value, json};
use time::OffsetDateTime;

pub struct World {
    pub aws: Aws,
    pub server: Server,
    pub cloud: Cloud,
    pub deployment: Deployment,
    pub secrets: Option<App>,
    /// Lines of `verify`'s log.
    pub log: Arc<Mutex<Vec<Value>>>,
    /// Calls of the two services that `aws-in-memory` does not have.
    pub others: Arc<Mutex<u32>>,
}

impl World {
    pub async fn new() -> Self {
        let server = Server::start(github_standin::Config::default())
            .await
            .unwrap();
        let aws = Aws::new();
        let app = App::new(&server.app_id().to_string(), APP_PRIVATE_KEY).unwrap();
        let (log, others) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::default());
        let fleet = aws.fleet();
        let cloud = Cloud {
            executions: fleet.executions,
            ecs: (*fleet.ecs).clone(),
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
            dead_letters: Some("https://sqs.us-east-1.amazonaws.com/1/dead".to_owned()),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            status: "UPDATE_COMPLETE".to_owned(),
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

    pub fn job(&self, labels: &[&str]) -> Job {
        let job = NewJob {
            repository: "octo/hello".to_owned(),
            labels: labels.iter().map(ToString::to_string).collect(),
            ..NewJob::default()
        };
        self.server.create_job(job).unwrap()
    }

    /// A job whose webhook does not arrive, because nobody listens at its address.
    pub async fn undelivered_job(&self) -> Job {
        self.server.set_webhook(Some(WebhookTarget {
            url: "http://127.0.0.1:9/".to_owned(),
            host: None,
        }));
        let job = self.job(&["self-hosted"]);
        self.deliveries_are_sent().await;
        job
    }

    pub async fn deliveries_are_sent(&self) {
        assert!(
            self.server
                .wait_for_deliveries(Duration::from_secs(20))
                .await
        );
    }

    /// Has `verify` logged what it did with a job's webhook.
    pub fn logged(&self, job: &Job, status: u16, answer: &Value) {
        self.log.lock().unwrap().push(json!({
            "level": "INFO", "message": "webhook taken", "status": status,
            "answer": answer.to_string(),
            "span": { "delivery": "guid", "job_id": job.id, "run_id": job.run_id,
                      "repository": "octo/hello", "name": "webhook" },
        }));
    }

    /// Has an execution of the job.
    pub fn execution(&self, job: &Job, suffix: &str, status: &str, error: Option<&str>) -> String {
        let name = format!("hello-{}{suffix}", job.id);
        self.aws.add_execution(&name, &order(job), status, error);
        name
    }

    /// Each command has a bound of its own.
    pub fn cloud(&self, calls: u32) -> Cloud {
        Cloud {
            calls: Calls::at_most(calls),
            ..self.cloud.clone()
        }
    }

    /// Each process has a client of its own, with nothing cached.
    pub fn github(&self) -> GitHub {
        let url = self.deployment.github.clone();
        if let Some(app) = &self.secrets {
            GitHub::with_patience(url, app.clone(), Patience::NONE).unwrap()
        } else {
            let secrets = AppSecrets::new(self.cloud.ssm.clone(), "fargate-runners");
            GitHub::with_patience(url, secrets, Patience::NONE).unwrap()
        }
    }

    /// Asks why, and asserts that it took no more calls than promised, and as many as are counted.
    pub async fn why(&self, asked: &str) -> (Evidence, Explanation) {
        self.server.clear_requests();
        let before =
            self.aws.calls().len() + usize::try_from(*self.others.lock().unwrap()).unwrap();
        let asked: JobRef = asked.parse().unwrap();
        let now = OffsetDateTime::now_utc();
        let cloud = self.cloud(AWS_CALLS - 1);
        let github = self.github();
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

pub fn order(job: &Job) -> Order {
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
        let lines = lines.lock().unwrap();
        if group != Some("/aws/lambda/fargate-runners-verify") {
            let group = group.unwrap_or_default();
            assert!(group.starts_with("/aws/lambda/fargate-runners-"), "{group}");
            return FilterLogEventsOutput::builder().build();
        }
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
