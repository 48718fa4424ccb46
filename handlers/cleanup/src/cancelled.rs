//! Ends the executions of a job that ended before a runner took it.
//!
//! A waiting execution has no task and is stopped. If a runner listens, it is deleted at GitHub;
//! its task is stopped only if GitHub answers 204. The state machine then sees the task end and
//! finishes by itself.

use std::time::Duration;

use decisions::{GiveUp, OnCancel, Retire, RunnerSeen, on_cancel};
use fleet::{Position, Retired, Status, retire};
use github::{Access, Runner};
use protocol::{ExecutionName, Job, RunnerName};
use serde_json::{Value, json};

use crate::{Deps, Error};

/// Number of looks at an execution that is about to start its task, [`PAUSE`] apart. The three
/// short states before `Runner` take about a second.
const LOOKS: u32 = 15;
const PAUSE: Duration = Duration::from_secs(1);

/// Ends every execution of the job.
pub async fn end(deps: &Deps, job: &Job) -> Result<Value, Error> {
    let first = ExecutionName::first(&job.repository, job.id);
    let mut ended = Vec::new();
    for execution in deps.fleet.executions_of(&first).await? {
        if execution.status == Status::Running {
            ended.push(json!({ "execution": execution.name, "result": end_one(deps, job, &execution.name).await? }));
        }
    }
    Ok(json!({ "result": "cancelled", "executions": ended }))
}

async fn end_one(deps: &Deps, job: &Job, name: &ExecutionName) -> Result<&'static str, Error> {
    let mut deleted = None;
    for _ in 0..LOOKS {
        let position = deps.fleet.position(name).await?;
        match on_cancel(position.state) {
            OnCancel::Stop => {
                let cause = "the job was cancelled at GitHub while it waited for its next attempt";
                deps.fleet
                    .executions
                    .stop(name, GiveUp::JobCancelled.name(), cause)
                    .await
                    .map_err(fleet::Error::from)?;
                return Ok("stopped");
            }
            OnCancel::RetireRunner => {
                if let Some(result) = end_runner(deps, job, &position, &mut deleted).await? {
                    return Ok(result);
                }
            }
            OnCancel::Leave => return Ok("ending"),
            OnCancel::LookAgain => {}
        }
        if deps
            .fleet
            .execution(name)
            .await?
            .is_none_or(|execution| execution.status != Status::Running)
        {
            return Ok("ended");
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok("leftToSweep")
}

/// Deletes the runner at GitHub and stops its task if GitHub deleted it. Returns `None` if there is
/// nothing to delete or stop yet. `deleted` is the runner that an earlier look deleted.
async fn end_runner(
    deps: &Deps,
    job: &Job,
    position: &Position,
    deleted: &mut Option<RunnerName>,
) -> Result<Option<&'static str>, Error> {
    let reason = "its job was cancelled";
    let Some(name) = &position.runner else {
        return Ok(None);
    };
    if deleted.as_ref() == Some(name) {
        let stopped = deps.fleet.stop_tasks_of(name, reason).await?;
        return Ok((stopped > 0).then_some("retired"));
    }
    let scope = deps.config.scope.at(job);
    let installation = deps
        .github
        .serving(
            &job.repository,
            job.installation_id,
            &Access::runners(&scope),
        )
        .await?;
    // A runner with a registration token registers only once its task runs. Until then there is
    // nothing to delete, and stopping its task could kill a job that it has just been assigned.
    let Some(found) = installation.find_runner(&scope, &name.to_string()).await? else {
        return Ok(None);
    };
    if decisions::retire(seen(&found), Duration::ZERO) == Retire::Leave {
        return Ok(Some("busy"));
    }
    let id = (found.id, name);
    Ok(
        match retire(&deps.fleet, &installation, &scope, id, reason).await? {
            Retired::Stopped(0) => {
                *deleted = Some(name.clone());
                None
            }
            Retired::Stopped(_) => Some("retired"),
            Retired::Busy => Some("busy"),
            Retired::Absent => Some("ending"),
        },
    )
}

fn seen(runner: &Runner) -> RunnerSeen {
    RunnerSeen {
        busy: runner.busy,
        online: runner.online,
        has_task: true,
        age: Duration::ZERO,
        cancelled: true,
    }
}
