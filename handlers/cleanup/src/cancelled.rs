//! A job ended that no runner had taken.
//!
//! Every execution of it is brought to its end: one that waits is stopped, because it has no task;
//! one whose runner listens has that runner deleted at GitHub and, on 204 only, its task stopped,
//! after which the machine sees the task end and finishes by itself.

use std::time::Duration;

use fleet::{Position, Retired, Status, retire};
use job::{ExecutionName, Job};
use serde_json::{Value, json};

use crate::{Deps, Error};

/// An execution on its way to its task is looked at again this often, this many times: the three
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
    for _ in 0..LOOKS {
        let position = deps.fleet.position(name).await?;
        match position.state.as_deref() {
            Some("Wait") => {
                let cause = "the job was cancelled at GitHub while it waited for its next attempt";
                deps.fleet
                    .stop_execution(name, "JobCancelled", cause)
                    .await?;
                return Ok("stopped");
            }
            Some("Runner") => {
                if let Some(result) = end_runner(deps, job, &position).await? {
                    return Ok(result);
                }
            }
            Some("Cleanup" | "WaitForGitHub" | "Failed" | "Unmatched") => return Ok("ending"),
            _ => {}
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

/// Deletes the runner at GitHub and stops its task if that was granted. None where the task is not
/// there yet to be stopped.
async fn end_runner(
    deps: &Deps,
    job: &Job,
    position: &Position,
) -> Result<Option<&'static str>, Error> {
    let Some(name) = &position.runner else {
        return Ok(None);
    };
    let scope = deps.config.scope.at(job);
    let installation = deps
        .github
        .serving(&job.repository, job.installation_id)
        .await?;
    if let Some(found) = installation.find_runner(&scope, &name.to_string()).await? {
        return Ok(
            match retire(
                &deps.fleet,
                &installation,
                &scope,
                (found.id, name),
                "its job was cancelled",
            )
            .await?
            {
                Retired::Stopped(0) => None,
                Retired::Stopped(_) => Some("retired"),
                Retired::Busy => Some("busy"),
                Retired::Absent => Some("ending"),
            },
        );
    }
    // Not registered: in token mode a runner registers only once its task runs. Otherwise it was
    // deleted by an earlier look whose task had not appeared yet.
    let stopped = deps
        .fleet
        .stop_tasks_of(name, "its job was cancelled")
        .await?;
    Ok((stopped > 0).then_some("retired"))
}
