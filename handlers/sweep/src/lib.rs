//! Finds what no event reported, and repairs it. Runs every five minutes.
//!
//! [`snapshot`] lists once what AWS and GitHub have. Each duty has a module:
//!
//! | module | duty |
//! |---|---|
//! | [`runners`] | retires idle runners, deregisters leftover ones |
//! | [`tasks`] | ends tasks whose execution is closed or whose runner GitHub does not know |
//! | [`warm`] | tells executions of warm tasks that ended, ends warm tasks that nobody owns |
//! | [`slots`] | gives back slots of caps that closed executions still have |
//! | [`registrations`] | deletes registrations without a running execution |
//! | [`waiting`] | asks GitHub about the jobs of the longest waiting executions |
//! | [`closed`] | restarts executions that failed for a transient reason and whose event was lost |
//! | [`unannounced`] | if enabled, finds queued jobs without a webhook |
//! | [`reruns`] | re-runs jobs that Spot or the platform took away, on runners that opted in |
//! | [`deliveries`] | requests redelivery of webhooks that GitHub failed to deliver |
//! | [`offers`] | publishes the catalogue of task definitions for `match` |
//! | [`versions`] | warns if an image's runner falls behind GitHub's releases |
//!
//! A duty that fails is reported and retried by the next sweep; it never blocks the others. The
//! number of calls to GitHub is one per hundred runners, plus a constant, plus the grant for
//! [`unannounced`].

pub mod closed;
pub mod deliveries;
mod deps;
pub mod offers;
mod parameter;
pub mod registrations;
mod releases;
pub mod reruns;
pub mod runners;
pub mod settings;
pub mod slots;
pub mod snapshot;
pub mod tasks;
pub mod unannounced;
pub mod versions;
pub mod waiting;
pub mod warm;

use lambda_runtime::Diagnostic;
use serde::Serialize;
use time::OffsetDateTime;

pub use deps::Deps;
pub use releases::Releases;
pub use settings::Config;
pub use snapshot::Snapshot;

/// The result of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub runners_retired: usize,
    pub tasks_stopped: usize,
    pub registrations_deleted: usize,
    /// Checks started for displaced jobs.
    pub checks_started: usize,
    /// Waiting executions stopped: their job left the queue, or another execution serves it.
    pub waits_ended: usize,
    /// Executions told that their warm task has ended, after the event was lost.
    pub warm_ends_told: usize,
    /// Warm tasks without an owner that were told to leave, or stopped.
    pub warm_tasks_released: usize,
    /// Executions whose slots of caps were given back.
    pub slots_freed: usize,
    /// Failed executions that were restarted.
    pub restarted: usize,
    /// Executions started for queued jobs without a webhook.
    pub unannounced: usize,
    /// Re-runs begun for jobs that were interrupted.
    pub reruns: usize,
    /// Webhooks that GitHub was asked to redeliver.
    pub redelivered: usize,
    /// Task definition families that the last published catalogue did not have.
    pub new_families: usize,
    /// Days since the oldest runner version of an image was superseded; `None` if no image's
    /// version is known.
    pub runner_version_age_days: Option<i64>,
    /// Whether the deployment is paused, so that no job was begun.
    pub paused: bool,
    /// Failed duties, with their errors.
    pub failed: Vec<String>,
}

/// Some duties failed. The message names each with its error.
#[derive(Debug, thiserror::Error)]
#[error("sweep failed in part: {}", .0.failed.join("; "))]
pub struct Incomplete(pub Box<Report>);

impl From<Incomplete> for Diagnostic {
    fn from(error: Incomplete) -> Self {
        Self {
            error_type: "Incomplete".to_owned(),
            error_message: error.to_string(),
        }
    }
}

pub async fn handle(deps: &Deps, now: OffsetDateTime) -> Result<Report, Incomplete> {
    let mut report = Report::default();
    // These do not need the snapshot, and matter most if it fails.
    match offers::read(deps, now).await {
        Ok((found, before)) => {
            let published = offers::publish(deps, &found, before.as_ref()).await;
            note(&mut report, "offers", published, |r, n| r.new_families = n);
            let age = versions::check(deps, &found, now).await;
            note(&mut report, "versions", age, |r, days| {
                r.runner_version_age_days = days;
            });
        }
        Err(error) => report.failed.push(format!("offers: {error}")),
    }
    // While the deployment is paused, jobs stay queued at GitHub: nothing here begins one.
    let paused = protocol::paused_parameter(&deps.fleet.prefix);
    let mark = deliveries::mark(deps);
    let (paused, mark) = match parameter::read_all(deps, [&paused, &mark]).await {
        Ok([paused, mark]) => (paused.is_some(), Ok(mark)),
        // What begins jobs goes on, as a webhook does.
        Err(error) => (false, Err(error)),
    };
    report.paused = paused;
    if !paused {
        let redelivered = match mark {
            Ok(mark) => deliveries::redeliver(deps, mark.as_deref(), now).await,
            Err(error) => Err(error),
        };
        note(&mut report, "deliveries", redelivered, |r, n| {
            r.redelivered = n;
        });
        note(
            &mut report,
            "closed",
            closed::restart_all(deps, now).await,
            |r, n| r.restarted = n,
        );
        note(
            &mut report,
            "unannounced",
            unannounced::start_all(deps, now).await,
            |r, n| r.unannounced = n,
        );
        let begun = reruns::post_all(deps, now).await;
        note(&mut report, "reruns", begun, |r, n| r.reruns = n);
    }
    match Snapshot::look(deps, now).await {
        Ok(snapshot) => {
            report.failed.extend(snapshot.unseen.iter().cloned());
            note(
                &mut report,
                "runners",
                runners::retire_all(deps, &snapshot).await,
                |r, done| {
                    r.runners_retired = done.runners;
                    r.tasks_stopped = done.tasks;
                },
            );
            let ended = tasks::end_orphans(deps, &snapshot).await;
            note(&mut report, "tasks", ended, |r, n| r.tasks_stopped += n);
            let ended = tasks::end_absent(deps, &snapshot).await;
            note(&mut report, "absent", ended, |r, n| r.tasks_stopped += n);
            let told = warm::end_waits(deps, &snapshot).await;
            note(&mut report, "waits", told, |r, n| r.warm_ends_told = n);
            let released = warm::release_orphans(deps, &snapshot).await;
            note(&mut report, "stock", released, |r, n| {
                r.warm_tasks_released = n;
            });
            let freed = slots::repair(deps, &snapshot).await;
            note(&mut report, "slots", freed, |r, n| r.slots_freed = n);
            let deleted = registrations::delete_stale(deps, &snapshot).await;
            note(&mut report, "registrations", deleted, |r, n| {
                r.registrations_deleted = n;
            });
            note(
                &mut report,
                "waiting",
                waiting::check_oldest(deps, &snapshot).await,
                |r, done| {
                    r.checks_started = done.checks;
                    r.waits_ended = done.ended;
                },
            );
        }
        Err(error) => report.failed.push(format!("snapshot: {error}")),
    }
    tracing::info!(report = %serde_json::to_string(&report).unwrap_or_default(), "swept");
    if report.failed.is_empty() {
        Ok(report)
    } else {
        Err(Incomplete(Box::new(report)))
    }
}

fn note<T>(
    report: &mut Report,
    duty: &str,
    result: Result<T, fleet::Error>,
    keep: impl FnOnce(&mut Report, T),
) {
    match result {
        Ok(done) => keep(report, done),
        Err(error) => report.failed.push(format!("{duty}: {error}")),
    }
}
