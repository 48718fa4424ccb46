//! One deployment with a GitHub, and `cleanup` over both.
// Each test binary compiles this for itself and uses a part of it.
#![allow(unreachable_pub, dead_code)]

use std::time::Duration;

use aws_in_memory::Aws;
use cleanup::{Config, Deps};
use github::{App, GitHub, Patience};
use github_standin::{APP_PRIVATE_KEY, Job, NewJob, Server, SimulatedRunner};
use protocol::{Order, ParameterPath, Repository};
use runtime::settings::Settings;
use serde_json::{Value, json};
use time::OffsetDateTime;

pub const LABELS: [&str; 3] = ["self-hosted", "linux", "x64"];

pub struct World {
    pub aws: Aws,
    pub server: Server,
    pub deps: Deps,
}

impl World {
    pub async fn new() -> Self {
        let server = Server::start(github_standin::Config::default())
            .await
            .unwrap();
        let aws = Aws::new();
        let url = server.url().parse().unwrap();
        let app = App::new(&server.app_id().to_string(), APP_PRIVATE_KEY).unwrap();
        let settings = Settings::from_pairs([
            ("RUNNER_SCOPE", "repository"),
            ("RUNNER_LOG_GROUP", "/ecs/runners"),
        ]);
        let deps = Deps {
            fleet: aws.fleet(),
            github: GitHub::with_patience(url, app, Patience::NONE).unwrap(),
            config: Config::from_settings(&settings).unwrap(),
        };
        Self { aws, server, deps }
    }

    /// A queued job, known to GitHub.
    pub fn job(&self) -> Job {
        self.job_for(&LABELS)
    }

    /// A queued job that asks for these labels.
    pub fn job_for(&self, labels: &[&str]) -> Job {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.server
            .create_job(NewJob {
                repository: "octo/hello".into(),
                labels,
                ..NewJob::default()
            })
            .unwrap()
    }

    /// An execution of the job's, of that status; its name.
    pub fn execution(&self, job: &Job, status: &str, error: Option<&str>) -> String {
        let name = execution_of(job);
        self.aws.add_execution(&name, &order(job), status, error);
        name
    }

    /// An execution is in the state that runs a runner, whose task is up; the task.
    pub fn runs(&self, execution: &str, parameter: &ParameterPath) -> String {
        let name = parameter.runner().to_string();
        let planned = Aws::planned(&name, &parameter.to_string());
        self.aws.enter(execution, "Runner", planned);
        self.aws
            .add_task(&name, "octo/hello", OffsetDateTime::now_utc())
    }

    /// Registrations are in these parameters.
    pub fn parameters(&self, paths: &[&ParameterPath]) {
        for path in paths {
            self.aws
                .add_parameter(&path.to_string(), OffsetDateTime::now_utc());
        }
    }

    /// Whether a task was stopped.
    pub fn stopped_a_task(&self) -> bool {
        let calls = self.aws.calls();
        calls.iter().any(|call| call.starts_with("ecs:StopTask"))
    }

    /// A runner registered at GitHub under a name of ours, and listening.
    pub async fn listening(&self, name: &str) -> (u64, SimulatedRunner) {
        let repository: Repository = "octo/hello".parse().unwrap();
        let scope = github::Scope::Repository(repository.clone());
        let access = github::Access::runners(&scope);
        let serving = self.deps.github.serving(&repository, None, &access);
        let installation = serving.await.unwrap();
        let request = github::JitRequest {
            name: name.to_owned(),
            runner_group_id: 1,
            labels: LABELS.map(str::to_owned).to_vec(),
            work_folder: "_work".to_owned(),
        };
        let runner = installation.jit_config(&scope, &request).await.unwrap();
        let connected = self.server.connect(runner.config.expose()).unwrap();
        (runner.id, connected)
    }

    pub async fn handle(&self, event: Value) -> Result<Value, cleanup::Error> {
        cleanup::handle(&self.deps, event, OffsetDateTime::now_utc()).await
    }

    /// How often GitHub was asked for anything but tokens.
    pub fn github_calls(&self) -> u64 {
        let counts = self.server.request_counts();
        counts
            .iter()
            .filter(|(route, _)| {
                // What the App asks as itself is who serves the repository.
                !route.contains(" /app") && !route.contains("installation")
            })
            .map(|(_, n)| n)
            .sum()
    }
}

pub fn order(job: &Job) -> Order {
    serde_json::from_value(json!({ "job": {
        "id": job.id, "runId": job.run_id, "runAttempt": 1, "name": job.name, "workflow": "CI",
        "repository": "octo/hello", "ownerType": "Organization", "private": true, "labels": LABELS,
        "installationId": null, "queuedAt": OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339).unwrap()
    }}))
    .unwrap()
}

pub fn execution_of(job: &Job) -> String {
    format!("hello-{}", job.id)
}

pub fn parameter_of(runner: &str) -> ParameterPath {
    ParameterPath::mint("fargate-runners", runner.parse().unwrap()).unwrap()
}

/// What the state machine gives `cleanup` after an attempt.
pub fn attempt(
    job: &Job,
    parameter: &ParameterPath,
    runner_id: Option<u64>,
    end: (&str, Value),
) -> Value {
    let mut event = json!({
        "order": order(job), "match": null, "attempt": null, "execution": execution_of(job),
        "runner": { "name": parameter.runner(), "parameter": parameter, "labels": LABELS },
        "registration": runner_id.map(|id| json!({ "runnerId": id, "installationId": 1 })),
        "startedAt": "2026-01-01T00:00:00Z",
    });
    event[end.0] = end.1;
    event
}

/// A task that ended with an exit code of the agent, as the state machine passes it on.
pub fn exited(code: i32) -> (&'static str, Value) {
    let task = json!({
        "TaskArn": "arn:aws:ecs:us-east-1:000000000000:task/runners/0123", "StopCode": "EssentialContainerExited",
        "Containers": [{ "Name": "runner", "ExitCode": code }], "Cpu": "1024", "Memory": "2048",
        "PullStartedAt": 1_767_225_600_000_u64, "StoppedAt": 1_767_225_660_000_u64,
    });
    if code == 0 {
        ("task", task)
    } else {
        (
            "error",
            json!({ "Error": "States.TaskFailed", "Cause": task.to_string() }),
        )
    }
}

pub const PATIENCE: Duration = Duration::from_secs(10);
