//! Asks `why` about the jobs that ended badly or waited long, and whether it names what the run did
//! to them.

use anyhow::Context;
use cli::cloud::Cloud;
use cli::why::{self, AWS_CALLS, Explanation};
use cli::{Calls, Connection, Deployment, JobRef};
use decisions::Status;
use github::secrets::AppSecrets;
use github::{GitHub, Patience};
use github_standin::{Hook, Job, JobStatus, Met, Snapshot};
use local_stack::REGION;
use protocol::{ExecutionName, RunnerName};
use runtime::settings::Settings;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::{Player, executions_of};
use crate::injected::{Called, Injected, Sign, What, attempt_ends, follows, names, step_fails};
use crate::orders::{Order, order};
use crate::schedule::{ChaosFault, Webhook};
use crate::site::{PREFIX, Site};

/// A job that is in the queue for so long waits long. Most wait for half of it.
const LONG: Duration = Duration::seconds(10);
/// Tries of a call at AWS.
const TRIES: u32 = 3;

/// What `why` said.
#[derive(Clone, Debug, Default)]
pub struct Explained {
    /// Jobs that ended badly or waited long, and met faults.
    pub jobs: usize,
    /// Such jobs that met no fault that is known, one line each.
    pub without: Vec<String>,
    /// Faults in the way of these jobs.
    pub faults: usize,
    /// How many of them `why` named.
    pub named: usize,
    /// The others, one line each.
    pub missed: Vec<String>,
}

/// A fault that met a call.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    kind: ChaosFault,
    called: Called,
    at: OffsetDateTime,
    /// The request, or the part that names whom it is about.
    text: String,
}

impl Hit {
    /// Those of a fault that was ordered from the engine.
    pub(super) fn of_engine(kind: ChaosFault, fault: &Value) -> Vec<Self> {
        let called = match fault["operation"].as_str() {
            Some("RunTask") => Called::RunTask,
            _ => Called::Aws,
        };
        let met = fault["met"].as_array().into_iter().flatten();
        met.filter_map(|met| {
            Some(Self {
                kind,
                called,
                at: instant(met["at"].as_str()?)?,
                text: met["text"].as_str()?.to_owned(),
            })
        })
        .collect()
    }

    fn of_github(kind: ChaosFault, met: &Met) -> Option<Self> {
        Some(Self {
            kind,
            called: Called::GitHub,
            at: instant(&met.at)?,
            text: format!("{} {}", met.path, met.body),
        })
    }
}

/// What was done to one task, runner or execution.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) kind: ChaosFault,
    pub(super) at: OffsetDateTime,
    pub(super) whom: Whom,
}

#[derive(Clone, Debug)]
pub(super) enum Whom {
    Runner(String),
    /// A task without a runner yet.
    Task(String),
    Execution(String),
}

impl Player<'_> {
    /// What faults met GitHub's calls, each with its kind.
    pub(super) fn hits_at_github(&self) -> Vec<Hit> {
        let ordered: Vec<_> = self
            .schedule
            .faults
            .iter()
            .filter_map(|fault| match order(fault) {
                Order::GitHub(order) => Some((fault.kind, order)),
                _ => None,
            })
            .collect();
        let met = self.site.github().met();
        met.iter()
            .filter_map(|met| {
                let (kind, _) = ordered.iter().find(|(_, order)| {
                    (&order.kind, order.after, &order.method, &order.path)
                        == (
                            &met.fault.kind,
                            met.fault.after,
                            &met.fault.method,
                            &met.fault.path,
                        )
                })?;
                Hit::of_github(*kind, met)
            })
            .collect()
    }

    /// Asks about each job that ended badly or waited long. The faults have to be withdrawn before: they
    /// would meet these calls.
    pub(super) async fn ask(&self, hits: &[Hit]) -> anyhow::Result<Explained> {
        let asker = Asker::new(self.site).await?;
        let snapshot = self.site.github().snapshot();
        let tasks = self.site.tasks().await?;
        let runner_of = |arn: &str| {
            let task = tasks.iter().find(|task| task.arn == arn)?;
            task.runner.clone()
        };
        // A token of the installation, a list of runners: whoever asked for it.
        let of_nobody = |hit: &Hit| !self.queued.iter().any(|job| names(&hit.text, job.id));
        let shared: Vec<bool> = hits.iter().map(of_nobody).collect();
        let mut explained = Explained::default();
        for (queued, planned) in self.queued.iter().zip(&self.schedule.jobs) {
            let job = snapshot.job(queued.id).context("a job is gone")?;
            let failed = has_failed(job, queued.cancelled);
            if !failed && waited(job) < LONG {
                continue;
            }
            let failures = self.failures(job).await?;
            let mut faults = announcements(job, planned.webhook, hits, &snapshot);
            let hits = hits.iter().zip(&shared);
            faults.extend(hits.filter_map(|(hit, shared)| in_step(job, hit, *shared, &failures)));
            for done in &self.deeds {
                faults.extend(of_deed(job, failed, done, &runner_of));
            }
            // The same call can meet a fault twice.
            let mut different: Vec<Injected> = Vec::new();
            for fault in faults {
                let same = |seen: &Injected| seen.what == fault.what && seen.sign == fault.sign;
                if !different.iter().any(same) {
                    different.push(fault);
                }
            }
            if different.is_empty() {
                let waited = waited(job).whole_seconds();
                let line = format!("{} ({}) waited {waited} s", job.name, job.id);
                explained.without.push(line);
                continue;
            }
            let explanation = asker.why(job).await?;
            explained.jobs += 1;
            for fault in different {
                explained.faults += 1;
                if fault.is_named(&explanation) {
                    explained.named += 1;
                } else {
                    explained.missed.push(format!(
                        "{} ({}): {:?}, {:?}; why: {}",
                        job.name, job.id, fault.what, fault.sign, explanation.summary
                    ));
                }
            }
        }
        Ok(explained)
    }

    /// When steps of the job's executions failed, and with which errors.
    async fn failures(&self, job: &Job) -> anyhow::Result<Vec<(OffsetDateTime, String)>> {
        let mut found = Vec::new();
        let first = self.site.observer.execution_name(job)?.to_string();
        for name in executions_of(&first) {
            let Some(execution) = self.site.observer.execution(&name).await? else {
                break;
            };
            found.extend(execution.events.iter().filter_map(|event| {
                let details = ["taskFailedEventDetails", "taskSubmitFailedEventDetails"];
                let error = details
                    .into_iter()
                    .find_map(|details| event[details]["error"].as_str())?;
                let at = event["timestamp"].as_f64()?;
                let at = OffsetDateTime::UNIX_EPOCH + Duration::seconds_f64(at);
                Some((at, error.to_owned()))
            }));
        }
        Ok(found)
    }
}

/// The command line's clients.
struct Asker {
    connection: Connection,
    deployment: Deployment,
    url: String,
}

impl Asker {
    async fn new(site: &Site) -> anyhow::Result<Self> {
        let settings = Settings::from_pairs([
            ("AWS_REGION", REGION),
            ("AWS_ENDPOINT_URL", site.observer.aws.endpoint()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]);
        let connection = Connection {
            config: aws::sdk_config(&settings, TRIES)?,
            region: REGION.to_owned(),
        };
        Ok(Self {
            deployment: Deployment::find(&connection, Some(PREFIX)).await?,
            connection,
            url: site.github().url().to_owned(),
        })
    }

    /// What `fargate-runners why` says.
    async fn why(&self, job: &Job) -> anyhow::Result<Explanation> {
        let address = format!(
            "{}/{}/actions/runs/{}/job/{}",
            self.url, job.repository, job.run_id, job.id
        );
        let asked: JobRef = address.parse()?;
        // One call found the stack.
        let calls = Calls::at_most(AWS_CALLS - 1);
        let cloud = Cloud::new(&self.connection, &self.deployment, calls);
        let secrets = AppSecrets::new(cloud.ssm.clone(), &self.deployment.prefix);
        let url = self.deployment.github.clone();
        let github = GitHub::with_patience(url, secrets, Patience::NONE)?;
        let now = OffsetDateTime::now_utc();
        let evidence = why::collect(&cloud, &self.deployment, &github, &asked, now);
        Ok(why::explain(&Box::pin(evidence).await))
    }
}

/// Whether it ended badly, or stays in the queue.
fn has_failed(job: &Job, cancelled: bool) -> bool {
    match (job.status, job.conclusion.as_deref()) {
        (JobStatus::Completed, Some("success")) => false,
        (JobStatus::Completed, Some("cancelled")) => !cancelled,
        _ => true,
    }
}

/// When its stay in the queue ended.
fn left_queue(job: &Job) -> OffsetDateTime {
    let taken = job.started_at.filter(|_| job.runner.is_some());
    let left = taken.or(job.completed_at);
    left.unwrap_or_else(OffsetDateTime::now_utc)
}

fn waited(job: &Job) -> Duration {
    left_queue(job) - job.created_at
}

/// What was done to the webhook that announces it, and deliveries of it that a fault at AWS failed.
fn announcements(
    job: &Job,
    webhook: Option<Webhook>,
    hits: &[Hit],
    snapshot: &Snapshot,
) -> Vec<Injected> {
    let injected = |what, sign| Injected {
        job: job.id,
        what,
        at: job.created_at,
        sign,
    };
    let mut found = Vec::new();
    if let Some(webhook) = webhook {
        let sign = match webhook {
            Webhook::Lost => Some(Sign::Delivery(502)),
            Webhook::Refused(status) => Some(Sign::Delivery(status)),
            Webhook::Late(_) => Some(Sign::Late),
            Webhook::Duplicated => None,
        };
        found.extend(sign.map(|sign| injected(What::Announcement(webhook), sign)));
    }
    let failed = snapshot.deliveries.iter().filter(|one| {
        let ours = one.hook == Hook::App && one.job == Some(job.id);
        let queued = one.action.as_deref() == Some("queued");
        ours && queued && !(200..300).contains(&one.status_code)
    });
    for delivery in failed {
        let sign = Sign::Delivery(delivery.status_code);
        let Some(at) = instant(&delivery.delivered_at) else {
            continue;
        };
        // `verify` calls nothing about the job but StartExecution.
        let hit = hits.iter().find(|hit| {
            hit.called == Called::Aws && names(&hit.text, job.id) && follows(hit.at, at)
        });
        if let Some(hit) = hit
            && !found.iter().any(|known: &Injected| known.sign == sign)
        {
            found.push(injected(What::Fault(hit.kind), sign));
        }
    }
    found
}

/// A fault that met a call of one of its steps, before a runner took it, and failed that step. Of a
/// call that is about no job, the step's own error has to tell.
fn in_step(
    job: &Job,
    hit: &Hit,
    shared: bool,
    failures: &[(OffsetDateTime, String)],
) -> Option<Injected> {
    if !(shared || names(&hit.text, job.id)) || hit.at > left_queue(job) {
        return None;
    }
    let failed = step_fails(hit.kind, hit.called)?;
    // A function tries again, so the fault counts only if its step failed.
    let fails = |(at, error): &(OffsetDateTime, String)| {
        let so = failed.fits(error);
        let in_time = !shared || *at <= left_queue(job);
        follows(*at, hit.at) && in_time && so.unwrap_or(!shared)
    };
    failures.iter().any(fails).then_some(Injected {
        job: job.id,
        what: What::Fault(hit.kind),
        at: hit.at,
        sign: Sign::Step(failed),
    })
}

/// What was done to a runner or an execution that was to serve it, or had it.
fn of_deed(
    job: &Job,
    failed: bool,
    done: &Done,
    runner_of: &impl Fn(&str) -> Option<String>,
) -> Option<Injected> {
    let runner = match &done.whom {
        Whom::Runner(runner) => Some(runner.clone()),
        Whom::Task(arn) => runner_of(arn),
        Whom::Execution(_) => None,
    };
    let runner: Option<RunnerName> = runner.and_then(|runner| runner.parse().ok());
    let execution: ExecutionName = match (&done.whom, &runner) {
        (Whom::Execution(name), _) => name.parse().ok()?,
        (_, Some(runner)) => runner.execution().clone(),
        _ => return None,
    };
    let had_it: Option<RunnerName> = job.runner.as_ref().and_then(|name| name.parse().ok());
    // Its end with the job, or the end of what was to serve it.
    let with_it = failed
        && match &runner {
            Some(runner) => had_it.as_ref() == Some(runner),
            None => had_it.is_some_and(|had_it| *had_it.execution() == execution),
        };
    let before_it = execution.job().0 == job.id && done.at <= left_queue(job);
    if !with_it && !before_it {
        return None;
    }
    let sign = match (done.kind, runner) {
        (ChaosFault::ExecutionAborted, _) => Sign::Execution(execution, Status::Aborted),
        (ChaosFault::ExecutionTimesOut, _) => Sign::Execution(execution, Status::TimedOut),
        (kind, Some(runner)) => Sign::Task(runner, attempt_ends(kind)?),
        _ => return None,
    };
    Some(Injected {
        job: job.id,
        what: What::Fault(done.kind),
        at: done.at,
        sign,
    })
}

fn instant(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}
