//! The engines and deployments that the tests run on.
//!
//! A test has a [`Harness`] to itself: an engine, its deployments, and a GitHub for each of these. There
//! are [`HARNESSES`] of them, started when first needed, because most of a test's time is waiting.

use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Condvar, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use github_standin::{Config, Job, JobStatus, NewJob, Server};
use local_stack::{Deployment, Engine, EngineOptions, Execution, Observer, Plan, synthesize};
use protocol::State;
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Exchange, Recorder};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use tooling::{Architecture, Checkout, Progress};

/// Longer than anything takes here, on a machine that does other things besides.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);
/// What is waited for in minutes on AWS takes seconds here.
const WAIT_SCALE: f64 = 0.02;
/// How many tests run at once, on as many engines. `xtask` starts as many test threads.
const HARNESSES: usize = 4;

/// A deployment and what is known of its talk with GitHub.
pub(crate) struct Site {
    pub(crate) deployment: Deployment,
    pub(crate) observer: Observer,
    pub(crate) recorder: Recorder,
}

/// An engine and what is deployed in it. It ends with this process, and everything that it started
/// with it.
pub(crate) struct Harness {
    pub(crate) engine: Engine,
    /// The default deployment: runners are registered at the repository.
    pub(crate) repository: Site,
    organization: OnceCell<Site>,
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static POOL: Pool = Pool {
    in_use: Mutex::new([false; HARNESSES]),
    freed: Condvar::new(),
    harnesses: [const { OnceLock::new() }; HARNESSES],
};

/// The harnesses, and which of them have a test.
struct Pool {
    in_use: Mutex<[bool; HARNESSES]>,
    freed: Condvar,
    harnesses: [OnceLock<Harness>; HARNESSES],
}

/// A harness for one test. Dropped, also by a test that fails, it is free again.
struct Taken(usize);

impl Pool {
    /// Takes a harness, and waits for one where every one has a test.
    fn take(&self) -> Taken {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(free) = in_use.iter().position(|in_use| !in_use) {
                in_use[free] = true;
                return Taken(free);
            }
            in_use = self
                .freed
                .wait(in_use)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut in_use = POOL.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        in_use[self.0] = false;
        POOL.freed.notify_one();
    }
}

/// Runs a test on a harness of its own.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce(&'static Harness) -> F) {
    let taken = POOL.take();
    let harness = POOL.harnesses[taken.0].get_or_init(|| RUNTIME.block_on(build(taken.0)));
    RUNTIME.block_on(test(harness));
}

/// What was said between each deployment and its GitHub so far, on every harness that was started.
pub(crate) fn exchanges() -> Vec<Exchange> {
    let harnesses = POOL.harnesses.iter().filter_map(OnceLock::get);
    let sites = harnesses
        .flat_map(|harness| std::iter::once(&harness.repository).chain(harness.organization.get()));
    sites.flat_map(|site| site.recorder.exchanges()).collect()
}

async fn build(number: usize) -> Harness {
    let checkout = Checkout::here();
    let progress = Progress::new();
    let step = progress.step("engine");
    let options = EngineOptions {
        port: 0,
        wait_scale: WAIT_SCALE,
        control: true,
        enforce_iam: true,
        directory: ENGINES.join(number.to_string()),
    };
    let engine = Engine::start(&checkout, &options)
        .await
        .expect("the engine starts");
    engine.bootstrap(&checkout, &step).expect("cdk bootstrap");
    step.done(engine.endpoint());
    let repository = deployed(&engine, Plan::new("fargate-runners", "fr")).await;
    // Before the first job: the catalogue is read then, and kept for a while.
    without_container(&repository).await;
    without_schedule(&repository).await;
    Harness {
        engine,
        repository,
        organization: OnceCell::new(),
    }
}

/// Below it the engines write. `scripts/check-grants.py` reads all of them, so nothing of an earlier run
/// may be left.
static ENGINES: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = Checkout::here().local().join("engines-of-tests");
    if directory.exists() {
        fs::remove_dir_all(&directory).expect("the directory of an earlier run is removed");
    }
    directory
});

/// A deployment with its secrets.
pub(crate) async fn deployed(engine: &Engine, plan: Plan) -> Site {
    let site = site(engine, plan).await;
    site.deployment.write_secrets().await.expect("secrets");
    site
}

/// A deployment without secrets.
pub(crate) async fn site(engine: &Engine, plan: Plan) -> Site {
    let (checkout, progress) = (Checkout::here(), Progress::new());
    let github = Server::start(Config::default())
        .await
        .expect("the GitHub stand-in starts");
    let recorder = Recorder::start(github.url())
        .await
        .expect("the recorder starts");
    let step = progress.step(format!("deployment {}", plan.prefix));
    let plan = plan.below(engine.directory());
    synthesize(&checkout, &step, &plan, &recorder.url).expect("cdk synth");
    let deployment =
        Deployment::deploy(&checkout, &step, engine, &plan, github).expect("cdk deploy");
    step.done("");
    Site {
        observer: deployment.observer().expect("the stack's outputs"),
        deployment,
        recorder,
    }
}

/// Keeps `sweep` from calling GitHub while a test counts calls; tests invoke it themselves.
async fn without_schedule(site: &Site) {
    let aws = &site.observer.aws;
    let rules = aws.events("ListRules", json!({})).await.expect("the rules");
    let scheduled = rules["Rules"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|rule| rule["ScheduleExpression"].is_string());
    let names: Vec<_> = scheduled
        .filter_map(|rule| rule["Name"].as_str())
        .filter(|name| name.starts_with(&site.observer.prefix))
        .collect();
    assert_eq!(names.len(), 1, "a deployment has one schedule: {names:?}");
    for name in names {
        aws.events("DisableRule", json!({ "Name": name }))
            .await
            .expect("a rule of ours");
    }
}

/// A task definition of somebody's own that offers `broken` and lacks the container. Its runner's
/// version is in a parameter, as that of an image that is rebuilt.
async fn without_container(site: &Site) {
    let version = json!({
        "Name": "/fargate-runners/runner-versions/broken", "Value": "2.335.0", "Type": "String",
    });
    site.observer
        .aws
        .ssm("PutParameter", version)
        .await
        .expect("a parameter");
    let input = json!({
        "family": "fargate-runners-broken",
        "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc",
        "cpu": "256",
        "memory": "512",
        "containerDefinitions": [{ "name": "main", "image": "example.org/some:1", "essential": true }],
        "tags": [
            { "key": "GH:labels", "value": "self-hosted broken" },
            { "key": "GH:runner-version", "value": "/fargate-runners/runner-versions/broken" },
            { "key": "fargate-runners:prefix", "value": "fargate-runners" },
        ],
    });
    site.observer
        .aws
        .ecs("RegisterTaskDefinition", input)
        .await
        .expect("a task definition");
}

/// Checks that an execution ended well.
#[track_caller]
pub(crate) fn assert_succeeded(execution: &Execution) {
    assert_eq!(
        execution.status, "SUCCEEDED",
        "{:?}: {:?}",
        execution.error, execution.cause
    );
}

impl Harness {
    /// A deployment whose runners are registered at the organization.
    pub(crate) async fn organization(&self) -> &Site {
        let plan = Plan::new("organization", "or")
            .with("runnerScope", "organization")
            // A machine-wide setting of the function is a configuration value like any other.
            .with("logLevel", "debug");
        let made = async {
            let site = deployed(&self.engine, plan).await;
            without_schedule(&site).await;
            site
        };
        self.organization.get_or_init(|| made).await
    }

    /// A request to the engine's control endpoint, and its answer.
    pub(crate) async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let control = self.engine.control().expect("it is on");
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let answer = client
            .request(method, format!("{control}{path}"))
            .json(&body)
            .send()
            .await
            .expect("the engine answers");
        let good = answer.status().is_success();
        let answer: Value = answer.json().await.expect("JSON");
        assert!(good, "{path} with {body}: {answer}");
        answer
    }
}

/// The labels of this machine's default runner.
pub(crate) fn labels() -> Vec<String> {
    ["self-hosted", "linux", Architecture::here().label()]
        .map(str::to_owned)
        .to_vec()
}

/// A job that runs a script.
pub(crate) fn script(repository: &str, run: &str) -> NewJob {
    NewJob {
        repository: repository.to_owned(),
        labels: labels(),
        run: run.to_owned(),
        ..NewJob::default()
    }
}

/// A job that no runner ever gets, so that its own idles: the one runner it is for never comes.
pub(crate) fn untaken(repository: &str) -> NewJob {
    NewJob {
        runner: Some("somebody-elses".to_owned()),
        ..script(repository, "true")
    }
}

impl Site {
    /// Queues a job.
    pub(crate) fn queue(&self, new: NewJob) -> Job {
        self.deployment.github.create_job(new).expect("a job")
    }

    /// Queues a job and waits until its execution is over.
    pub(crate) async fn run(&self, new: NewJob) -> (Job, Execution) {
        let job = self.queue(new);
        let execution = self.ended(&job).await;
        (self.job(&job), execution)
    }

    /// Waits until a job's first execution is over.
    pub(crate) async fn ended(&self, job: &Job) -> Execution {
        self.observer.first_execution(job, LIMIT).await.unwrap()
    }

    /// The job as GitHub has it now.
    pub(crate) fn job(&self, job: &Job) -> Job {
        self.deployment.github.job(job.id).expect("the job")
    }

    /// The name of a job's first execution.
    pub(crate) fn name(&self, job: &Job) -> String {
        self.observer.execution_name(job).unwrap().to_string()
    }

    /// The name of the execution that follows a job's first.
    pub(crate) fn next_name(&self, job: &Job) -> String {
        format!("{}-r2", self.name(job))
    }

    /// The name of a job's first runner.
    pub(crate) fn runner_name(&self, job: &Job) -> String {
        format!("{}-{}", self.deployment_id(), self.name(job))
    }

    /// Waits until GitHub has a job in that state.
    pub(crate) async fn reaches(&self, job: &Job, status: JobStatus) {
        self.deployment
            .github
            .wait_for(LIMIT, |seen| {
                seen.job(job.id).is_some_and(|job| job.status == status)
            })
            .await
            .unwrap_or_else(|_| panic!("the job is never {}", status.as_str()));
    }

    /// Whether GitHub has a job's first runner.
    pub(crate) fn is_registered(&self, job: &Job) -> bool {
        let name = self.runner_name(job);
        let runners = self.deployment.github.runners();
        runners.iter().any(|runner| runner.name == name)
    }

    /// Waits until a job's first runner listens.
    pub(crate) async fn runner_is_online(&self, job: &Job) {
        let name = self.runner_name(job);
        self.deployment
            .github
            .wait_for(LIMIT, |seen| {
                seen.runners
                    .iter()
                    .any(|runner| runner.name == name && runner.online)
            })
            .await
            .unwrap_or_else(|_| panic!("{name} never comes online"));
    }

    /// Waits until nothing with the job's name is left: no parameter, runner or execution.
    pub(crate) async fn nothing_left_of(&self, job: &Job) {
        let name = self.name(job);
        let mut left = Vec::new();
        self.observer
            .wait(LIMIT, async || {
                left = self.observer.leftovers().await?;
                left.retain(|line| line.contains(&name));
                Ok(left.is_empty().then_some(()))
            })
            .await
            .unwrap();
        assert_eq!(left, Vec::<String>::new());
    }

    /// Lets GitHub drop the runners that nobody needs any more, as it does after some minutes. A job
    /// whose runner took another's is launched for again after a grace that is short here: on a busy
    /// machine too short for the runner that is already on its way.
    pub(crate) async fn retire_surplus(&self) {
        let github = &self.deployment.github;
        self.observer
            .wait(LIMIT, async || {
                for runner in github.runners() {
                    if runner.online && !runner.busy {
                        // It may have ended by itself meanwhile.
                        let _ = github.drop_runner(runner.id);
                    }
                }
                let left = self.observer.leftovers().await?;
                Ok(left.is_empty().then_some(()))
            })
            .await
            .unwrap();
    }

    /// Waits until a job's first runner listens, or has been dropped since.
    pub(crate) async fn registered_or_later(&self, job: &Job) {
        let name = self.name(job);
        let seen = self
            .observer
            .wait(LIMIT, async || {
                if self.is_online(job) {
                    return Ok(Some(()));
                }
                let execution = self.observer.execution(&name).await?;
                let waits = execution.is_some_and(|execution| {
                    let visits = execution.visits.iter();
                    execution.is_over()
                        || visits
                            .clone()
                            .any(|visit| visit.state == State::Cleanup.as_str())
                });
                Ok(waits.then_some(()))
            })
            .await
            .unwrap();
        assert!(seen.is_some(), "no runner of {name} was ever there");
    }

    fn is_online(&self, job: &Job) -> bool {
        let name = self.runner_name(job);
        let runners = self.deployment.github.runners();
        runners
            .iter()
            .any(|runner| runner.name == name && runner.online)
    }

    /// Waits until a task is no longer running.
    pub(crate) async fn task_is_gone(&self, arn: &str) {
        let gone = self
            .observer
            .wait(LIMIT, async || {
                let tasks = self.observer.tasks().await?;
                Ok((!tasks.iter().any(|task| task == arn)).then_some(()))
            })
            .await
            .unwrap();
        assert!(gone.is_some(), "{arn} is still there");
    }

    /// The task that works for a job.
    pub(crate) async fn task_of(&self, job: &Job) -> String {
        let runner = self.runner_name(job);
        let found = self
            .observer
            .wait(LIMIT, async || {
                Ok(self.observer.tasks_of(&runner).await?.into_iter().next())
            })
            .await
            .unwrap();
        found.unwrap_or_else(|| panic!("no task runs {runner}"))
    }

    fn deployment_id(&self) -> &'static str {
        match self.observer.prefix.as_str() {
            "organization" => "or",
            "unfinished" => "un",
            "spot" => "sp",
            "isolated" => "is",
            _ => "fr",
        }
    }
}
