//! Adopted warm tasks: what Step Functions does itself for a task that it started.
//!
//! It tells the execution that the task has ended, and reads how a wait ended that failed.

use decisions::{AgentExit, Ended, EndedTask, StepError, TASK_FAILED, WaitOver, stops_adopted};
use fleet::Stopped;
use protocol::{Adopted, Fault};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::closed;
use crate::event::WarmTaskStopped;
use crate::{Deps, Error};

/// Notes the end of a task of the stock's group and tells the execution that adopted it. Then cleans up
/// after its runner, as after any other stopped task.
pub async fn task_stopped(
    deps: &Deps,
    event: &WarmTaskStopped,
    now: OffsetDateTime,
) -> Result<Value, Error> {
    let (Some(pool), Some(stopped)) = (
        &deps.fleet.pool,
        Stopped::of_event(&event.detail, &deps.fleet.deployment),
    ) else {
        return Ok(json!({ "result": "notOurs" }));
    };
    let wait = deps.fleet.end_adopted(pool, &stopped, now).await?;
    if leaves_nothing(&event.task) {
        return Ok(json!({ "result": "nothingLeft" }));
    }
    // Without a wait, only a tag can name the runner: the execution was closed before it waited.
    let mut runner = wait.runner;
    if runner.is_none() {
        let described = deps.fleet.describe_task(&stopped.arn).await?;
        runner = described.and_then(|task| task.runner);
    }
    let own = runner.filter(|runner| *runner.deployment() == deps.fleet.deployment);
    match own {
        Some(runner) => {
            let position = deps.fleet.position(runner.execution()).await?;
            let own = position.runner.as_ref() == Some(&runner);
            let parameter = position.parameter.filter(|_| own);
            closed::after_task(deps, &runner, parameter.as_ref()).await
        }
        None => Ok(json!({ "result": "neverAdopted" })),
    }
}

/// Whether the agent ran a job, or never had a registration.
fn leaves_nothing(task: &EndedTask) -> bool {
    let code = task.runner().and_then(|container| container.exit_code);
    let exit = code.and_then(AgentExit::from_code);
    matches!(exit, Some(AgentExit::RanJob | AgentExit::Released))
}

/// Reads how an attempt ended whose wait for a warm task failed.
pub async fn wait_failed(
    deps: &Deps,
    adopted: &Adopted,
    error: &StepError,
) -> Result<Ended, Error> {
    let arn = &adopted.task_arn;
    let ended = Ended::from_error(error);
    let over = match error.error.as_str() {
        TASK_FAILED => return Ok(ended),
        "States.Timeout" => WaitOver::TimedOut,
        _ => WaitOver::Failed,
    };
    if stops_adopted(over) {
        let reason = "the time limit of its job has ended";
        deps.fleet.stop_task(arn, reason).await?;
        return Ok(ended);
    }
    if let Some(task) = noted_end(deps, arn).await {
        return Ok(Ended::from_task(&task));
    }
    tracing::warn!(
        task = arn,
        error = error.error,
        "the wait for a warm task failed; GitHub decides whether it runs a job"
    );
    // Whatever the table answered, the job is not at fault, and the next attempt needs no table.
    Ok(Ended {
        outcome: decisions::Outcome::StepFailed,
        fault: Some(Fault::AwsUnavailable),
        ..ended
    })
}

/// The task, if it has ended: as its event noted it, or as ECS describes it. A failure of either only
/// means that GitHub is asked about the runner.
async fn noted_end(deps: &Deps, arn: &str) -> Option<EndedTask> {
    let wait = match &deps.fleet.pool {
        Some(pool) => pool.wait(arn).await.unwrap_or_else(|error| {
            tracing::warn!(%error, task = arn, "cannot read the end of a warm task");
            None
        }),
        None => None,
    };
    if let Some(task) = wait.and_then(|wait| wait.ended)
        && let Ok(task) = serde_json::from_value(task)
    {
        return Some(task);
    }
    match deps.fleet.describe_task(arn).await {
        Ok(described) => {
            let task = described.filter(|described| described.stopped)?.task;
            serde_json::from_value(task).ok()
        }
        Err(error) => {
            tracing::warn!(%error, task = arn, "cannot describe a warm task");
            None
        }
    }
}
