//! The engine with one deployment, and its GitHub stand-in.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::Args;
use github_standin::{Config, Server};
use local_stack::{Deployment, Engine, EngineOptions, Observer, Plan, synthesize};
use protocol::RUNNER_TAG;
use reqwest::Method;
use serde_json::{Value, json};
use tooling::{Checkout, Progress};

use crate::schedule::{ChaosFault, LABELS};

/// Prefix of the deployment's names.
pub const PREFIX: &str = "chaos";
/// Names of its runners, in the order of their label sets.
pub const RUNNERS: [&str; 3] = ["small", "large", "gpu"];
/// End of the group of warm tasks.
pub const WARM_GROUP: &str = ":warm";
/// Prefix of its runners' names.
const ID: &str = "ch";
/// Factor for waits and retry delays.
const WAIT_SCALE: f64 = 0.2;
/// Grace period before a retry of a job, in seconds; 90 on AWS. The state machine's scaled waits
/// turn it into three, and a check's clock uses all fifteen.
const GRACE: &str = "15";
/// How long a runner may listen without a job before its agent ends it, in seconds; 300 on AWS. As
/// on AWS, `sweep`'s limit is shorter.
const IDLE_LIMIT: &str = "45";
/// How long a listener may continue after its job before its agent ends it, in seconds; 180 on AWS.
const LINGER_LIMIT: &str = "10";
/// How long a listener may take to exit after a signal, in seconds; 110 on AWS, where a task has 120.
const STOP_LIMIT: &str = "4";

/// What the deployment has besides its runners.
#[derive(Args, Clone, Copy, Debug)]
pub struct Setup {
    /// Number of warm tasks of each runner
    #[arg(long, default_value_t = 0)]
    pub warm: u8,
    /// How many runners may run at once; any number if 0
    #[arg(long, default_value_t = 0)]
    pub cap: usize,
    /// Whether interrupted jobs are run again
    #[arg(long)]
    pub reruns: bool,
}

impl Setup {
    /// The kinds of faults that only matter with it.
    pub fn further(self) -> Vec<&'static [ChaosFault]> {
        let pool = (self.warm > 0).then_some(&ChaosFault::OF_POOL[..]);
        let reruns = self.reruns.then_some(&ChaosFault::OF_RERUNS[..]);
        pool.into_iter().chain(reruns).collect()
    }
}

/// The stack that plays the seeds, one after the other.
#[derive(Debug)]
pub struct Site {
    pub setup: Setup,
    /// The deployment with its GitHub stand-in.
    pub deployment: Deployment,
    pub observer: Observer,
    /// Directory in which jobs record that they run.
    pub runs: PathBuf,
    engine: Engine,
    http: reqwest::Client,
}

impl Site {
    /// Starts the stack.
    pub async fn start(
        progress: &Progress,
        checkout: &Checkout,
        setup: Setup,
    ) -> anyhow::Result<Self> {
        let github = Server::start(Config::default())
            .await
            .context("starting the GitHub stand-in")?;
        let github = Arc::new(github);
        let step = progress.step("AWS engine");
        let options = EngineOptions {
            port: 0,
            wait_scale: WAIT_SCALE,
            control: true,
            enforce_iam: true,
            directory: checkout.local().join("engine-of-chaos"),
        };
        let engine = Engine::start(checkout, &options).await?;
        step.done(engine.endpoint());
        let step = progress.step("Deployment");
        let (engine, deployment) = tokio::task::spawn_blocking({
            let checkout = checkout.clone();
            move || {
                let plan = plan(setup);
                engine.bootstrap(&checkout, &step)?;
                let directory = synthesize(&checkout, &step, &plan, github.url())?;
                shorten_limits(
                    &directory.join(format!("{PREFIX}.template.json")),
                    setup.warm,
                )?;
                let deployment = Deployment::deploy(&checkout, &step, &engine, &plan, github)?;
                step.done("");
                anyhow::Ok((engine, deployment))
            }
        })
        .await
        .context("the deployment crashed")??;
        deployment.write_secrets().await?;
        let runs = options.directory.join("runs");
        fs::create_dir_all(&runs).with_context(|| format!("making {}", runs.display()))?;
        Ok(Self {
            observer: deployment.observer()?,
            deployment,
            runs,
            setup,
            engine,
            http: reqwest::Client::builder().no_proxy().build()?,
        })
    }

    pub fn github(&self) -> &Server {
        &self.deployment.github
    }

    /// Sends a request to the engine's control endpoint.
    pub async fn control(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let control = self
            .engine
            .control()
            .context("the control endpoint is off")?;
        let answer = self
            .http
            .request(method, format!("{control}{path}"))
            .json(body)
            .send()
            .await
            .with_context(|| format!("asking the engine for {path}"))?;
        let good = answer.status().is_success();
        let answer: Value = answer.json().await?;
        ensure!(good, "{path} with {body}: {answer}");
        Ok(answer)
    }

    /// The AWS calls since the record was last cleared.
    pub async fn calls(&self, query: &str) -> anyhow::Result<Vec<Value>> {
        let path = format!("/calls?{query}");
        let found = self.control(Method::GET, &path, &Value::Null).await?;
        Ok(found["calls"].as_array().cloned().unwrap_or_default())
    }

    /// Invokes `sweep`. Returns whether it did all of its duties.
    pub async fn sweep(&self) -> bool {
        let function = format!("{PREFIX}-sweep");
        let swept = self.observer.aws.invoke(&function, json!({})).await;
        swept.is_ok()
    }

    /// Invokes the keeper of the stock, if there is one. It may fail: the next call tries again.
    pub async fn keep(&self) {
        if self.setup.warm > 0 {
            let function = format!("{PREFIX}-stock");
            let _ = self.observer.aws.invoke(&function, json!({})).await;
        }
    }

    /// Leases of the cap and places in line, one line each; none without a cap.
    pub async fn slots(&self) -> anyhow::Result<Vec<String>> {
        if self.setup.cap == 0 {
            return Ok(Vec::new());
        }
        let key = json!({ "pk": { "S": "slots" }, "sk": { "S": "slots" } });
        let table = format!("{PREFIX}-stock");
        let input = json!({ "TableName": table, "Key": key, "ConsistentRead": true });
        let found = self.observer.aws.dynamodb("GetItem", input).await?;
        let names = found["Item"].as_object().into_iter().flatten();
        let taken = names.filter_map(|(name, _)| {
            let lease = name.strip_prefix("h:").map(|of| format!("slot of {of}"));
            lease.or_else(|| Some(format!("place in line of {}", name.strip_prefix("w:")?)))
        });
        Ok(taken.collect())
    }

    /// Notes of jobs to run again, one line each.
    pub async fn notes(&self) -> anyhow::Result<Vec<String>> {
        if !self.setup.reruns {
            return Ok(Vec::new());
        }
        // Faults meet the calls that have a key.
        let input = json!({ "TableName": format!("{PREFIX}-stock"), "ConsistentRead": true });
        let found = self.observer.aws.dynamodb("Scan", input).await?;
        let items = found["Items"].as_array().into_iter().flatten();
        let notes = items.filter(|item| item["pk"]["S"] == "reruns");
        let keys = notes.filter_map(|item| item["sk"]["S"].as_str());
        Ok(keys.map(|key| format!("note of {key}")).collect())
    }

    /// All tasks that ECS still knows.
    pub async fn tasks(&self) -> anyhow::Result<Vec<Task>> {
        let found = self.control(Method::GET, "/tasks", &Value::Null).await?;
        let tasks = found["tasks"].as_array().into_iter().flatten();
        Ok(tasks.filter_map(Task::read).collect())
    }

    /// Stops the stack and waits until it has ended.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.deployment.github.stop().await;
        self.engine.stop().await
    }
}

/// A task in ECS.
#[derive(Clone, Debug)]
pub struct Task {
    pub id: String,
    pub arn: String,
    /// Whether it runs, and is not to stop.
    pub runs: bool,
    /// Whether the keeper started it.
    pub warm: bool,
    pub runner: Option<String>,
}

impl Task {
    fn read(task: &Value) -> Option<Self> {
        let group = task["group"].as_str().unwrap_or_default();
        Some(Self {
            id: task["id"].as_str()?.to_owned(),
            arn: task["arn"].as_str()?.to_owned(),
            runs: task["lastStatus"] == "RUNNING" && task["desiredStatus"] == "RUNNING",
            warm: group.ends_with(WARM_GROUP),
            runner: task["tags"][RUNNER_TAG].as_str().map(str::to_owned),
        })
    }
}

/// One runner for each label set.
fn plan(setup: Setup) -> Plan {
    let runners: Vec<_> = LABELS
        .iter()
        .zip(RUNNERS)
        .map(|(labels, name)| {
            let mut runner = json!({ "name": name, "labels": labels });
            if setup.warm > 0 {
                runner["warm"] = json!(setup.warm);
            }
            if setup.reruns {
                runner["rerunAfterInterruption"] = json!(true);
            }
            runner
        })
        .collect();
    let plan = Plan::new(PREFIX, ID).with("runners", &Value::from(runners).to_string());
    if setup.cap > 0 {
        plan.with("maxRunning", &setup.cap.to_string())
    } else {
        plan
    }
}

/// Shortens the limits that neither the CDK app nor the engine can shorten.
fn shorten_limits(template: &Path, warm: u8) -> anyhow::Result<()> {
    let text =
        fs::read_to_string(template).with_context(|| format!("reading {}", template.display()))?;
    let mut stack: Value = serde_json::from_str(&text)?;
    let resources = stack["Resources"]
        .as_object_mut()
        .context("the template has no resources")?;
    let mut changed = 0;
    for resource in resources.values_mut() {
        let function = resource["Properties"]["FunctionName"].clone();
        if let Some(variables) = resource.pointer_mut("/Properties/Environment/Variables") {
            for (handler, variable, value) in [
                ("cleanup", "RELAUNCH_GRACE_SECONDS", GRACE),
                ("launch", "IDLE_LIMIT_SECONDS", IDLE_LIMIT),
                ("stock", "IDLE_LIMIT_SECONDS", IDLE_LIMIT),
            ] {
                if function == format!("{PREFIX}-{handler}") {
                    variables[variable] = json!(value);
                    changed += 1;
                }
            }
        }
        let containers = resource.pointer_mut("/Properties/ContainerDefinitions");
        let containers = containers.and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            container["Environment"] = json!([
                { "Name": "AGENT_LINGER_LIMIT_SECONDS", "Value": LINGER_LIMIT },
                { "Name": "AGENT_STOP_LIMIT_SECONDS", "Value": STOP_LIMIT },
            ]);
            changed += 1;
        }
    }
    let functions = if warm > 0 { 3 } else { 2 };
    ensure!(
        changed == functions + LABELS.len(),
        "the template has other functions or containers than it had"
    );
    fs::write(template, stack.to_string())
        .with_context(|| format!("writing {}", template.display()))
}
