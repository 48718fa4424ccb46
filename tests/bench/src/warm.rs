//! Jobs on warm tasks, on the local stack: how long each part of the path takes for one job at a time,
//! and what becomes of a hundred at once.
//!
//! Everything runs as a debug build on one machine, with an AWS engine in Python, so the times are
//! upper bounds of what this system's own parts take. Nothing here is a test: times are only printed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use github_standin::{Config, Job, JobStatus, NewJob, OwnerType, Server};
use local_stack::{Deployment, Engine, EngineOptions, Execution, Observer, Plan, synthesize};
use protocol::State;
use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tooling::{Architecture, Checkout, Progress};

const PREFIX: &str = "bench";
const REPOSITORY: &str = "octo/hello";
/// The stock while jobs come one at a time.
const FEW: usize = 2;
/// The stock, and the jobs that meet it at once.
const MANY: usize = 20;
const CROWD: usize = 100;
/// Limit of every wait.
const LIMIT: Duration = Duration::from_mins(3);
/// Pause between two looks at GitHub's runners.
const LOOK: Duration = Duration::from_millis(25);

/// Measures and prints both.
pub(crate) async fn measure(runs: u32) -> anyhow::Result<()> {
    let (progress, checkout) = (Progress::new(), Checkout::here());
    let stack = Stack::start(&progress, &checkout, FEW).await?;
    let step = progress.step("One job at a time");
    let mut paths = Vec::new();
    // The first one fills the caches.
    for run in 0..=runs {
        step.note(&format!("{run} of {runs}"));
        let path = stack.one().await?;
        if run > 0 {
            paths.push(path);
        }
    }
    step.done("");
    println!("\n{}", budget(&paths));
    stack.stop().await?;
    let stack = Stack::start(&progress, &checkout, MANY).await?;
    let step = progress.step("A hundred jobs at once");
    let crowd = stack.crowd().await?;
    step.done("");
    stack.stop().await?;
    println!("\n{crowd}");
    Ok(())
}

/// The engine with one deployment.
struct Stack {
    engine: Engine,
    deployment: Deployment,
    observer: Observer,
    http: reqwest::Client,
    wanted: usize,
}

/// Seconds of each part of one job's path, in order.
type Path = Vec<(&'static str, f64)>;

/// A call that the engine logged.
struct Call {
    at: f64,
    operation: String,
    /// `function`, `task` or `state-machine`.
    kind: String,
    caller: String,
}

impl Stack {
    async fn start(
        progress: &Progress,
        checkout: &Checkout,
        wanted: usize,
    ) -> anyhow::Result<Self> {
        let github = Arc::new(Server::start(Config::default()).await?);
        github.add_repository(REPOSITORY, OwnerType::Organization, true)?;
        let step = progress.step(format!("Local stack with {wanted} warm tasks"));
        let options = EngineOptions {
            port: 0,
            wait_scale: 1.0,
            control: true,
            enforce_iam: false,
            directory: checkout.local().join("engine-of-bench"),
        };
        let engine = Engine::start(checkout, &options).await?;
        let (engine, deployment) = tokio::task::spawn_blocking({
            let checkout = checkout.clone();
            move || {
                let plan = Plan::new(PREFIX, "be").with("warm", &wanted.to_string());
                engine.bootstrap(&checkout, &step)?;
                synthesize(&checkout, &step, &plan, github.url())?;
                let deployment = Deployment::deploy(&checkout, &step, &engine, &plan, github)?;
                step.done("");
                anyhow::Ok((engine, deployment))
            }
        })
        .await
        .context("the deployment crashed")??;
        deployment.write_secrets().await?;
        let stack = Self {
            observer: deployment.observer()?,
            deployment,
            engine,
            http: reqwest::Client::builder().no_proxy().build()?,
            wanted,
        };
        stack.is_full().await?;
        Ok(stack)
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.deployment.github.stop().await;
        self.engine.stop().await
    }

    /// Waits until the stock is full and nothing is left of earlier jobs.
    async fn is_full(&self) -> anyhow::Result<()> {
        let keeper = format!("{PREFIX}-stock");
        let full = self.observer.wait(LIMIT, async || {
            let stock = self.observer.stock().await?;
            let ready = stock.iter().filter(|ticket| ticket.state == "ready");
            if ready.count() >= self.wanted && self.observer.leftovers().await?.is_empty() {
                return Ok(Some(()));
            }
            // It may fail: the next call tries again.
            let _ = self.observer.aws.invoke(&keeper, json!({})).await;
            Ok(None)
        });
        full.await?.context("the stock is not full in time")
    }

    /// Waits until the executions of these jobs have ended. A crowd makes the engine so slow that `cleanup`
    /// gives up on some events; `sweep` tells those ends after five minutes, which the engine lets pass.
    async fn are_over(&self, jobs: &[Job]) -> anyhow::Result<()> {
        let sweep = format!("{PREFIX}-sweep");
        let mut aged = BTreeSet::new();
        let over = self.observer.wait(LIMIT, async || {
            let mut open = 0;
            for job in jobs {
                let name = self.observer.execution_name(job)?.to_string();
                let seen = self.observer.execution(&name).await?;
                if seen.as_ref().is_some_and(Execution::is_over) {
                    continue;
                }
                open += 1;
                if let Some(task) = seen.and_then(|execution| execution.adopted())
                    && aged.insert(task.clone())
                {
                    let age = json!({ "match": task, "seconds": 360 });
                    self.control(Method::POST, "/ages", &age).await?;
                }
            }
            if open > 0 {
                // It may fail: the next call tries again.
                let _ = self.observer.aws.invoke(&sweep, json!({})).await;
            }
            Ok((open == 0).then_some(()))
        });
        over.await?.context("the executions do not end")
    }

    async fn control(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let control = self.engine.control().context("no control endpoint")?;
        let url = format!("{control}{path}");
        let answer = self.http.request(method, &url).json(body).send().await?;
        Ok(answer.json().await?)
    }

    fn queue(&self) -> anyhow::Result<Job> {
        let labels = ["self-hosted", "linux", Architecture::here().label()];
        let job = self.deployment.github.create_job(NewJob {
            repository: REPOSITORY.to_owned(),
            labels: labels.map(str::to_owned).to_vec(),
            run: "echo hello".to_owned(),
            ..NewJob::default()
        });
        Ok(job?)
    }

    async fn calls(&self) -> anyhow::Result<Vec<Call>> {
        let found = self.control(Method::GET, "/calls", &json!({})).await?;
        let calls = found["calls"].as_array().into_iter().flatten();
        Ok(calls
            .filter_map(|call| {
                Some(Call {
                    at: seconds(call["at"].as_str()?)?,
                    operation: call["operation"].as_str()?.to_owned(),
                    kind: call["caller"]["kind"].as_str()?.to_owned(),
                    caller: call["caller"]["name"].as_str()?.to_owned(),
                })
            })
            .collect())
    }

    /// Runs one job on a full stock.
    async fn one(&self) -> anyhow::Result<Path> {
        self.is_full().await?;
        self.control(Method::DELETE, "/calls", &json!({})).await?;
        let job = self.queue()?;
        let execution = self.observer.first_execution(&job, LIMIT).await?;
        let task = execution.adopted().context("the job started cold")?;
        let calls = self.calls().await?;
        let id = task.rsplit('/').next().unwrap_or_default();
        let made = |who: &str, operation: &str| {
            let by = |call: &&Call| call.caller == who && call.operation == operation;
            let call = calls.iter().find(by);
            call.map(|call| call.at)
                .with_context(|| format!("{who} made no call {operation}"))
        };
        let function = |name: &str| format!("{PREFIX}-{name}");
        let (queued, assigned) = times(&self.observer, &job).await?;
        let entered = |state: State| {
            let mut visits = execution.visits.iter();
            let visit = visits.find(|visit| visit.state == state.as_str());
            visit
                .map(|visit| visit.entered)
                .with_context(|| format!("{state} was not entered"))
        };
        let token = function("token");
        let points = [
            (
                "webhook and `verify`, until StartExecution answered",
                made(&function("verify"), "StartExecution")?,
            ),
            ("`Match`", entered(State::Launch)?),
            ("`Launch`", entered(State::Token)?),
            (
                "`token`: registration at GitHub and its parameter",
                made(&token, "PutParameter")?,
            ),
            ("`token`: claim", made(&token, "DeleteItem")?),
            ("`token`: tags", made(&token, "TagResource")?),
            ("`token`: ring", made(&token, "PutItem")?),
            ("bell: the task answers", made(id, "UpdateItem")?),
            (
                "agent: takes the registration, executes the listener",
                made(id, "DeleteParameter")?,
            ),
            ("listener: connects, gets the job", assigned),
        ];
        let mut last = queued;
        let mut path = Vec::new();
        for (name, at) in points {
            path.push((name, at - last));
            last = at;
        }
        let at = |index: usize| points[index].1;
        path.push((ACCEPTED, at(8) - at(0)));
        path.push((WHOLE, assigned - queued));
        Ok(path)
    }

    /// Runs a hundred jobs at once.
    async fn crowd(&self) -> anyhow::Result<String> {
        self.is_full().await?;
        self.control(Method::DELETE, "/calls", &json!({})).await?;
        let jobs: Vec<_> = (0..CROWD)
            .map(|_| self.queue())
            .collect::<anyhow::Result<_>>()?;
        let mut idle = 0;
        let over = self.observer.wait(LIMIT, async || {
            let seen = self.deployment.github.snapshot();
            // Of runners that wait although no job does.
            let queued = seen.jobs.iter().any(|job| job.status == JobStatus::Queued);
            if !queued {
                let online = seen.runners.iter().filter(|one| one.online && !one.busy);
                idle = idle.max(online.count());
            }
            let done = |job: &Job| job.status == JobStatus::Completed;
            tokio::time::sleep(LOOK).await;
            Ok(seen.jobs.iter().all(done).then_some(()))
        });
        over.await?.context("the jobs do not end")?;
        self.are_over(&jobs).await?;
        let mut tasks = BTreeMap::<String, usize>::new();
        let (mut warm, mut cold) = (Vec::new(), Vec::new());
        let mut succeeded = 0;
        for job in &jobs {
            let execution = self.observer.first_execution(job, LIMIT).await?;
            let (queued, assigned) = times(&self.observer, job).await?;
            let seen = self.observer.job(job.id).await?;
            succeeded += usize::from(seen.conclusion.as_deref() == Some("success"));
            if let Some(task) = execution.adopted() {
                *tasks.entry(task).or_default() += 1;
                let adopted = adopted_at(&execution).unwrap_or(assigned);
                warm.push((adopted - execution.began, assigned - queued));
            } else {
                cold.push((0.0, assigned - queued));
            }
        }
        let calls = self.calls().await?;
        let first = |caller: &str, operation: &str| {
            let mut calls = calls.iter();
            let is = |call: &&Call| call.caller == caller && call.operation == operation;
            calls.find(is).map(|call| call.at)
        };
        let claim = first("bench-token", "DeleteItem").unwrap_or_default();
        let refill = first("bench-stock", "RunTask").unwrap_or(f64::NAN);
        let twice = tasks.values().filter(|count| **count > 1).count();
        let started = calls
            .iter()
            .filter(|call| call.kind == "state-machine" && call.operation == "RunTask");
        let in_time = warm.iter().filter(|(adopted, _)| *adopted <= 3.0).count();
        let mut text = format!(
            "A hundred jobs at once, {MANY} warm tasks:\n\n| what | figure |\n|---|---|\n\
             | jobs that succeeded | {succeeded} |\n\
             | started warm, of them within 3 s of their execution | {}, {in_time} |\n\
             | started cold | {} |\n| warm tasks that served two jobs | {twice} |\n\
             | tasks that executions started | {} |\n\
             | from the first claim to the keeper's first RunTask | {:.2} s |\n\
             | registered runners that idled while no job was queued, at most | {idle} |\n",
            warm.len(),
            cold.len(),
            started.count(),
            refill - claim,
        );
        for (name, of) in [("warm", &warm), ("cold", &cold)] {
            let mut waited: Vec<_> = of.iter().map(|(_, waited)| *waited).collect();
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "| queued to assigned, {name}: median, slowest | {:.1} s, {:.1} s |",
                quantile(&mut waited, 0.5),
                quantile(&mut waited, 1.0)
            );
        }
        Ok(text)
    }
}

const ACCEPTED: &str = "**webhook accepted → listener executed**";
const WHOLE: &str = "**job queued → job assigned**";

/// When an execution's `Token` was over, which adopted its task.
fn adopted_at(execution: &Execution) -> Option<f64> {
    let mut visits = execution.visits.iter();
    visits
        .find(|visit| visit.state == State::Token.as_str())?
        .left
}

/// When a job was queued, and when a runner got it.
async fn times(observer: &Observer, job: &Job) -> anyhow::Result<(f64, f64)> {
    let seen = observer.job(job.id).await?;
    let assigned = seen.started_at.context("no runner got the job")?;
    Ok((epoch(seen.created_at), epoch(assigned)))
}

/// The table of the path's parts.
fn budget(paths: &[Path]) -> String {
    let mut text = format!(
        "One job at a time, {FEW} warm tasks, {} jobs:\n\n| part | p50, s | p95, s | slowest, s |\n|---|---:|---:|---:|\n",
        paths.len()
    );
    let Some(first) = paths.first() else {
        return text;
    };
    for (index, (name, _)) in first.iter().enumerate() {
        let mut of: Vec<_> = paths.iter().map(|path| path[index].1).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {name} | {:.2} | {:.2} | {:.2} |",
            quantile(&mut of, 0.5),
            quantile(&mut of, 0.95),
            quantile(&mut of, 1.0)
        );
    }
    text
}

/// The smallest value that is not below this share of them.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "there are a hundred values at most"
    )]
    let rank = (values.len() as f64 * share).ceil() as usize;
    let index = rank.saturating_sub(1);
    values.get(index).copied().unwrap_or(f64::NAN)
}

/// Seconds since 1970.
fn seconds(text: &str) -> Option<f64> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(epoch)
}

fn epoch(at: OffsetDateTime) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "below a microsecond nothing is read"
    )]
    let nanoseconds = at.unix_timestamp_nanos() as f64;
    nanoseconds / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let mut values: Vec<f64> = (1..=30).map(f64::from).collect();
        let of = |values: &mut [f64], share| format!("{}", quantile(values, share));
        assert_eq!(of(&mut values, 0.5), "15");
        assert_eq!(of(&mut values, 0.95), "29");
        assert_eq!(of(&mut values, 1.0), "30");
        assert!(quantile(&mut [], 0.5).is_nan());
    }

    #[test]
    fn the_table_has_a_row_for_each_part() {
        let path = |first: f64| vec![("a", first), ("b", 2.0)];
        let text = budget(&[path(1.0), path(3.0)]);
        assert!(text.contains("| a | 1.00 | 3.00 | 3.00 |"), "{text}");
        assert!(text.contains("| b | 2.00 | 2.00 | 2.00 |"), "{text}");
    }
}
