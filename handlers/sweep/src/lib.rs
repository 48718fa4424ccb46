//! Finds what no event told us about, and repairs it. Runs every five minutes.
//!
//! [`snapshot`] looks once at what AWS and GitHub have; then each duty in its room:
//!
//! | room | duty |
//! |---|---|
//! | [`runners`] | retires runners that idle, deregisters those that neither run nor will |
//! | [`tasks`] | ends tasks whose execution is closed, and tasks whose runner GitHub does not know |
//! | [`registrations`] | deletes registrations without a living execution |
//! | [`waiting`] | asks GitHub about the jobs of the oldest executions that wait |
//! | [`closed`] | begins again what failed for a reason that passes, where its event was not heard |
//! | [`unannounced`] | where it is asked to, finds queued jobs that no webhook told of |
//! | [`deliveries`] | has GitHub repeat webhooks that it could not deliver |
//! | [`offers`] | publishes the catalogue of task definitions for `match` |
//! | [`versions`] | warns where an image's runner falls behind GitHub's releases |
//!
//! A duty that fails is reported and tried again next time; it never keeps the others from theirs.
//! Calls at GitHub grow with pages of a hundred runners, plus a fixed number and what the operator grants
//! [`unannounced`].

pub mod closed;
pub mod deliveries;
mod deps;
pub mod offers;
mod parameter;
pub mod registrations;
mod releases;
pub mod runners;
pub mod settings;
pub mod snapshot;
pub mod tasks;
pub mod unannounced;
pub mod versions;
pub mod waiting;

use lambda_runtime::Diagnostic;
use serde::Serialize;
use time::OffsetDateTime;

pub use deps::Deps;
pub use releases::Releases;
pub use settings::Config;
pub use snapshot::Snapshot;

/// What one sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Runners deleted at GitHub.
    pub runners_retired: usize,
    /// Tasks stopped.
    pub tasks_stopped: usize,
    /// Registrations deleted.
    pub registrations_deleted: usize,
    /// Jobs that got a check of their own.
    pub checks_started: usize,
    /// Executions stopped whose job no longer waits.
    pub waits_ended: usize,
    /// Failed executions that were begun again.
    pub restarted: usize,
    /// Executions started for queued jobs that no webhook told of.
    pub unannounced: usize,
    /// Webhooks that GitHub was asked to repeat.
    pub redelivered: usize,
    /// Families of task definitions that the catalogue published before had not.
    pub new_families: usize,
    /// For how many days the runner of the image furthest behind has had a successor; none where no
    /// image's version is known.
    pub runner_version_age_days: Option<i64>,
    /// Duties that failed, by name, and why.
    pub failed: Vec<String>,
}

/// Why a sweep did not do all of its duty. The message names each part.
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

/// Sweeps once.
pub async fn handle(deps: &Deps, now: OffsetDateTime) -> Result<Report, Incomplete> {
    let mut report = Report::default();
    // These need no look at the snapshot, and are worth most when it fails.
    match offers::read(deps, now).await {
        Ok(found) => {
            let published = offers::publish(deps, &found).await;
            note(&mut report, "offers", published, |r, n| r.new_families = n);
            let age = versions::check(deps, &found, now).await;
            note(&mut report, "versions", age, |r, days| {
                r.runner_version_age_days = days;
            });
        }
        Err(error) => report.failed.push(format!("offers: {error}")),
    }
    note(
        &mut report,
        "deliveries",
        deliveries::redeliver(deps, now).await,
        |r, n| r.redelivered = n,
    );
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
