//! Engines and deployments for the tests.
//!
//! A test has a [`Harness`] to itself: an engine, its deployments, and a GitHub stand-in for each.
//! There are [`HARNESSES`] of them, started on demand, because a test mostly waits.

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use github_standin::{Config, Job, JobStatus, NewJob, Server};
use local_stack::{Deployment, Engine, EngineOptions, Execution, Observer, Plan, synthesize};
use protocol::State;
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Exchange, Recorder};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use tooling::{Architecture, Checkout, Progress};

/// Time limit of every wait: longer than anything takes here, even on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);
/// Factor for the state machine's waits: minutes on AWS become seconds.
pub(crate) const WAIT_SCALE: f64 = 0.02;
/// Number of concurrent tests, each on its own engine. `xtask` starts as many test threads.
const HARNESSES: usize = 4;

/// A deployment and the recording of its calls to GitHub.
pub(crate) struct Site {
    pub(crate) deployment: Deployment,
    pub(crate) observer: Observer,
    pub(crate) recorder: Recorder,
}

/// An engine and its deployments. It ends with this process, as do all its child processes.
pub(crate) struct Harness {
    pub(crate) engine: Engine,
    /// The default deployment: runners register at the repository.
    pub(crate) repository: Site,
    organization: OnceCell<Site>,
    warm: OnceCell<Site>,
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static POOL: Pool = Pool {
    slots: Mutex::new(Slots {
        in_use: [false; HARNESSES],
        ready: [None; HARNESSES],
        started: Vec::new(),
    }),
    freed: Condvar::new(),
};

/// The harnesses, and which of them are in use.
struct Pool {
    slots: Mutex<Slots>,
    freed: Condvar,
}

struct Slots {
    in_use: [bool; HARNESSES],
    ready: [Option<&'static Harness>; HARNESSES],
    /// All, with those that a failed test left behind.
    started: Vec<&'static Harness>,
}

/// A harness in use by one test. Dropping it releases it; after a failed test, whose jobs, faults and settings
/// are still there, the next test has a new one.
struct Taken(usize);

impl Pool {
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a free harness; waits if there is none.
    fn take(&self) -> Taken {
        let mut slots = self.slots();
        loop {
            if let Some(free) = slots.in_use.iter().position(|in_use| !in_use) {
                slots.in_use[free] = true;
                return Taken(free);
            }
            slots = self
                .freed
                .wait(slots)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Taken {
    /// The harness, which is started when it is not there.
    fn harness(&self) -> &'static Harness {
        if let Some(ready) = POOL.slots().ready[self.0] {
            return ready;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let harness: &'static Harness = Box::leak(Box::new(RUNTIME.block_on(build(number))));
        let mut slots = POOL.slots();
        slots.ready[self.0] = Some(harness);
        slots.started.push(harness);
        harness
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut slots = POOL.slots();
        slots.in_use[self.0] = false;
        if std::thread::panicking() {
            slots.ready[self.0] = None;
        }
        POOL.freed.notify_one();
    }
}

/// The next engine's number, which names its directory.
static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// Runs a test on a harness of its own.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce(&'static Harness) -> F) {
    let taken = POOL.take();
    RUNTIME.block_on(test(taken.harness()));
}

/// The calls between each deployment and its GitHub so far, on all started harnesses.
pub(crate) fn exchanges() -> Vec<Exchange> {
    let harnesses = POOL.slots().started.clone();
    let sites = harnesses.into_iter().flat_map(|harness| {
        let later = [harness.organization.get(), harness.warm.get()];
        std::iter::once(&harness.repository).chain(later.into_iter().flatten())
    });
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
    // Before the first job, because the catalogue is read then and cached.
    without_container(&repository).await;
    without_schedule(&repository).await;
    Harness {
        engine,
        repository,
        organization: OnceCell::new(),
        warm: OnceCell::new(),
    }
}

/// Parent of the engines' directories. `scripts/check-grants.py` reads all of them, so those of an
/// earlier run are removed. Tests that run again, alone, have a directory of their own in it.
static ENGINES: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut directory = Checkout::here().local().join("engines-of-tests");
    directory.extend(std::env::var_os("AGAIN"));
    if directory.exists() {
        fs::remove_dir_all(&directory).expect("the directory of an earlier run is removed");
    }
    directory
});

/// Deploys, and writes the secrets.
pub(crate) async fn deployed(engine: &Engine, plan: Plan) -> Site {
    let site = site(engine, plan).await;
    site.deployment.write_secrets().await.expect("secrets");
    site
}

/// Deploys without secrets.
pub(crate) async fn site(engine: &Engine, plan: Plan) -> Site {
    let github = Server::start(Config::default())
        .await
        .expect("the GitHub stand-in starts");
    site_at(engine, plan, Arc::new(github)).await
}

/// Deploys for the GitHub of another deployment; writes the secrets.
pub(crate) async fn deployed_beside(engine: &Engine, plan: Plan, other: &Site) -> Site {
    let github = Arc::clone(&other.deployment.github);
    let site = site_at(engine, plan.told_by_organizations(), github).await;
    site.deployment.write_secrets().await.expect("secrets");
    without_schedule(&site).await;
    site
}

async fn site_at(engine: &Engine, plan: Plan, github: Arc<Server>) -> Site {
    let (checkout, progress) = (Checkout::here(), Progress::new());
    let recorder = Recorder::start(github.url())
        .await
        .expect("the recorder starts");
    let step = progress.step(format!("deployment {}", plan.prefix));
    let plan = plan.below(engine.directory());
    synthesize(&checkout, &step, &plan, &recorder.url).expect("cdk synth");
    let deployment =
        Deployment::deploy(&checkout, &step, engine, &plan, github).expect("cdk deploy");
    step.done("");
    site_of(deployment, recorder)
}

/// A deployment and what is recorded of it.
pub(crate) fn site_of(deployment: Deployment, recorder: Recorder) -> Site {
    Site {
        observer: deployment.observer().expect("the stack's outputs"),
        deployment,
        recorder,
    }
}

/// Disables the schedules of `sweep` and `stock`, so that they make no calls while a test counts
/// them. Tests invoke them themselves.
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
    assert!(!names.is_empty(), "a deployment has a schedule");
    for name in names {
        aws.events("DisableRule", json!({ "Name": name }))
            .await
            .expect("a rule of ours");
    }
}

/// Registers a user's own task definition that offers `broken` and lacks the container. A parameter
/// holds its runner's version, as for an image that is rebuilt.
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

/// Asserts that an execution succeeded.
#[track_caller]
pub(crate) fn assert_succeeded(execution: &Execution) {
    assert_eq!(
        execution.status, "SUCCEEDED",
        "{:?}: {:?}",
        execution.error, execution.cause
    );
}

impl Harness {
    /// A deployment whose runners register at the organization.
    pub(crate) async fn organization(&self) -> &Site {
        let plan = Plan::new("organization", "or")
            .with("runnerScope", "organization")
            // Settings that apply to all functions are configuration values like any other.
            .with("logLevel", "debug");
        let made = async {
            let site = deployed(&self.engine, plan).await;
            without_schedule(&site).await;
            site
        };
        self.organization.get_or_init(|| made).await
    }

    /// A deployment with two warm tasks.
    pub(crate) async fn warm(&self) -> &Site {
        let plan = Plan::new("warm", "wa").with("warm", "2");
        let made = async {
            let site = deployed(&self.engine, plan).await;
            without_schedule(&site).await;
            site
        };
        self.warm.get_or_init(|| made).await
    }

    /// Sends a request to the engine's control endpoint.
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

/// Labels of this machine's default runner.
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

/// A job that no runner gets, so that its own runner idles: it is reserved for a runner that never
/// starts.
pub(crate) fn untaken(repository: &str) -> NewJob {
    NewJob {
        runner: Some("somebody-elses".to_owned()),
        ..script(repository, "true")
    }
}

impl Site {
    pub(crate) fn queue(&self, new: NewJob) -> Job {
        self.deployment.github.create_job(new).expect("a job")
    }

    /// Queues a job and waits until its execution has ended.
    pub(crate) async fn run(&self, new: NewJob) -> (Job, Execution) {
        let job = self.queue(new);
        let execution = self.ended(&job).await;
        (self.job(&job), execution)
    }

    /// Waits until a job's first execution has ended.
    pub(crate) async fn ended(&self, job: &Job) -> Execution {
        match self.observer.first_execution(job, LIMIT).await {
            Ok(execution) => execution,
            Err(error) => {
                let mut deliveries = self.deployment.github.deliveries();
                deliveries.retain(|delivery| delivery.job == Some(job.id));
                panic!("{error:#}; its webhooks: {deliveries:#?}");
            }
        }
    }

    /// The job's current state at GitHub.
    pub(crate) fn job(&self, job: &Job) -> Job {
        self.deployment.github.job(job.id).expect("the job")
    }

    /// Name of a job's first execution.
    pub(crate) fn name(&self, job: &Job) -> String {
        self.observer.execution_name(job).unwrap().to_string()
    }

    /// Name of a job's second execution.
    pub(crate) fn next_name(&self, job: &Job) -> String {
        format!("{}-r2", self.name(job))
    }

    /// Name of a job's first runner.
    pub(crate) fn runner_name(&self, job: &Job) -> String {
        format!("{}-{}", self.deployment_id(), self.name(job))
    }

    /// Waits until GitHub shows a job with this status.
    pub(crate) async fn reaches(&self, job: &Job, status: JobStatus) {
        self.deployment
            .github
            .wait_for(LIMIT, |seen| {
                seen.job(job.id).is_some_and(|job| job.status == status)
            })
            .await
            .unwrap_or_else(|_| panic!("the job is never {}", status.as_str()));
    }

    /// Whether a job's first runner is registered at GitHub.
    pub(crate) fn is_registered(&self, job: &Job) -> bool {
        let name = self.runner_name(job);
        let runners = self.deployment.github.runners();
        runners.iter().any(|runner| runner.name == name)
    }

    /// Waits until a job's first runner is online.
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

    /// Waits until a job's first runner is not registered any more.
    pub(crate) async fn runner_is_deregistered(&self, job: &Job) {
        let name = self.runner_name(job);
        self.deployment
            .github
            .wait_for(LIMIT, |seen| {
                !seen.runners.iter().any(|runner| runner.name == name)
            })
            .await
            .unwrap_or_else(|_| panic!("{name} stays registered"));
    }

    /// Waits until no parameter, runner or running execution has the job's name.
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

    /// Makes GitHub delete surplus runners, as it does after some minutes. There may be some: a job
    /// whose runner took another job is retried after the grace period, which is short here, and on
    /// a busy machine too short for a runner that is already starting.
    pub(crate) async fn retire_surplus(&self) {
        let github = &self.deployment.github;
        self.observer
            .wait(LIMIT, async || {
                for runner in github.runners() {
                    if runner.online && !runner.busy {
                        // It may have ended meanwhile.
                        let _ = github.drop_runner(runner.id);
                    }
                }
                let left = self.observer.leftovers().await?;
                Ok(left.is_empty().then_some(()))
            })
            .await
            .unwrap();
    }

    /// Makes GitHub delete the surplus runners of some jobs, and waits until nothing is left of them. A crowd makes the
    /// engine so slow that `cleanup` may give up on a task's event: `sweep` tells that end after five minutes, which
    /// the engine lets pass.
    pub(crate) async fn retire_surplus_of(&self, harness: &Harness, jobs: &[Job]) {
        let github = &self.deployment.github;
        let names: Vec<_> = jobs.iter().map(|job| self.name(job)).collect();
        let mut left = Vec::new();
        let late = Instant::now() + LIMIT / 4;
        let mut aged = BTreeSet::new();
        self.observer
            .wait(LIMIT, async || {
                for runner in github.runners() {
                    if runner.online && !runner.busy {
                        // It may have ended meanwhile.
                        let _ = github.drop_runner(runner.id);
                    }
                }
                left = self.observer.leftovers().await?;
                left.retain(|line| names.iter().any(|name| line.contains(name)));
                if !left.is_empty() && Instant::now() > late {
                    self.let_sweep_tell(harness, &names, &mut aged).await?;
                }
                Ok(left.is_empty().then_some(()))
            })
            .await
            .unwrap();
        // The names alone do not say where an execution hangs.
        for name in names
            .iter()
            .filter(|name| left.iter().any(|line| line.contains(*name)))
        {
            let execution = self.observer.execution(name).await.unwrap();
            eprintln!("{name}: {:#?}", execution.map(|execution| execution.visits));
        }
        assert_eq!(left, Vec::<String>::new());
    }

    /// Lets five minutes pass for the adopted tasks of open executions, once each, and calls `sweep`.
    async fn let_sweep_tell(
        &self,
        harness: &Harness,
        names: &[String],
        aged: &mut BTreeSet<String>,
    ) -> anyhow::Result<()> {
        for name in names {
            let seen = self.observer.execution(name).await?;
            let open = seen.filter(|execution| !execution.is_over());
            if let Some(task) = open.and_then(|execution| execution.adopted())
                && aged.insert(task.clone())
            {
                eprintln!("{name}: waits for the end of {task}");
                let age = json!({ "match": task, "seconds": 360 });
                harness.control(Method::POST, "/ages", age).await;
            }
        }
        let sweep = format!("{}-sweep", self.observer.prefix);
        // It may fail: the next call tries again.
        let _ = self.observer.aws.invoke(&sweep, json!({})).await;
        Ok(())
    }

    /// Waits until a job's first runner is online, or has been deleted since.
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

    /// Waits until a task has stopped.
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

    /// The task of a job's runner.
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
            "warm" => "wa",
            "sized" => "sz",
            "again" => "ag",
            "fargate-runners-dev" => "dev",
            _ => "fr",
        }
    }
}
