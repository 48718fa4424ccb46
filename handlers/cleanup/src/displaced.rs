//! Displaced jobs: a runner of ours took another job than its own.
//!
//! Suppose the runner of job A takes job B and keeps it for hours. B is served; A has no runner,
//! unless B's runner or another takes it. So A gets a check: a later execution of A that waits out
//! the grace period, asks GitHub, and launches a runner only if A is still queued. Both sides of a
//! swap request the check; the execution's name makes the request idempotent.

use decisions::{JobStatus, checks_displaced};
use fleet::Execution;
use github::Access;
use protocol::{Job, RunnerName};
use runtime::telemetry::Metric;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::event::AttemptOver;
use crate::{Deps, Error, reruns};

/// Starts a check of the job that `runner` was started for, because the runner runs `taken`
/// instead.
pub async fn check(
    deps: &Deps,
    runner: &RunnerName,
    taken: &Job,
    now: OffsetDateTime,
) -> Result<Value, Error> {
    let left = runner.execution();
    if *runner.deployment() != deps.fleet.deployment || left.job() == taken.id {
        return Ok(json!({ "result": "notDisplaced" }));
    }
    let Some(execution) = deps.fleet.execution(left).await? else {
        tracing::warn!(%runner, "cannot find the execution of a displaced job");
        return Ok(json!({ "result": "executionUnknown" }));
    };
    let job = &execution.order.job;
    let scope = deps.config.scope.at(job);
    if !scope.reaches(&taken.repository) {
        // If the App is also installed elsewhere, someone there may give a runner one of our names.
        tracing::warn!(%runner, %scope, repository = %taken.repository, "a runner with one of this deployment's names runs a job outside its scope; ignoring it");
        return Ok(json!({ "result": "outOfReach" }));
    }
    deps.metrics().emit(Metric::Thefts, 1.0);
    let noted = reruns::note_taken(deps, runner, taken, now).await;
    let checked = check_left(deps, &execution, (runner, taken), now).await?;
    // Lambda tries again, so the note comes second.
    noted.map_err(fleet::Error::from)?;
    Ok(checked)
}

/// Starts a check of an execution's job, if it may need one.
async fn check_left(
    deps: &Deps,
    left: &Execution,
    (runner, taken): (&RunnerName, &Job),
    now: OffsetDateTime,
) -> Result<Value, Error> {
    let job = &left.order.job;
    // A rate limit or an outage must not lose the check: if GitHub does not answer, start it.
    let state = match deps
        .github
        .serving(
            &job.repository,
            job.installation_id,
            &Access::jobs(&job.repository),
        )
        .await
    {
        Ok(installation) => installation.job(job).await.ok(),
        Err(_) => None,
    };
    if !checks_displaced(left.status, state.as_ref()) {
        return Ok(json!({ "result": "notDue" }));
    }
    let not_before = now + deps.config.check_after();
    let (name, started) = deps
        .fleet
        .start_check(runner.execution(), &left.order, Some(not_before))
        .await?;
    tracing::info!(%runner, displaced = %job.id, taken = %taken.id, check = %name, ?started, "started a check of a displaced job");
    Ok(json!({ "result": "checked", "execution": name }))
}

/// Does the same from the other side: an execution ends and its job was run by another job's
/// runner. The execution itself succeeded, so a failure here is only logged; `verify` requests the
/// same check.
pub async fn by_state(deps: &Deps, over: &AttemptOver, state: &JobStatus, now: OffsetDateTime) {
    let Some(other) = state
        .runner()
        .and_then(|name| name.parse::<RunnerName>().ok())
    else {
        return;
    };
    if other.execution().job() == over.order.job.id {
        return;
    }
    if let Err(error) = check(deps, &other, &over.order.job, now).await {
        tracing::warn!(%error, runner = %other, "cannot check a displaced job");
    }
}
