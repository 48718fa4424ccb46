//! What EventBridge reports: a task stopped, an execution was closed.
//!
//! An execution that lives cleans up after its tasks itself. These are for one that no longer does.

use decisions::{AgentExit, EndedTask, cleans_after_task};
use fleet::{Status, restart_if_queued, retire};
use protocol::{Class, ExecutionName, Order, ParameterPath, RunnerName};
use serde_json::{Value, json};

use crate::event::ExecutionClosed;
use crate::{Deps, Error, check_run};

/// A task stopped. Keyed on the exact runner of that task, so that a late event of one attempt never
/// touches the next one's.
pub async fn task_stopped(deps: &Deps, task: &EndedTask) -> Result<Value, Error> {
    let variable = |name| task.overrides.agent_variable(name);
    let Some(runner) = variable("AGENT_RUNNER").and_then(|name| name.parse::<RunnerName>().ok())
    else {
        return Ok(json!({ "result": "notOurs" }));
    };
    if *runner.deployment() != deps.fleet.deployment {
        return Ok(json!({ "result": "notOurs" }));
    }
    let ran = task.runner().and_then(|c| c.exit_code) == Some(i32::from(AgentExit::RanJob.code()));
    if ran {
        return Ok(json!({ "result": "nothingLeft" }));
    }
    match deps.fleet.execution(runner.execution()).await? {
        Some(execution) if cleans_after_task(execution.status) => {
            let parameter = variable("AGENT_PARAMETER").and_then(|path| path.parse().ok());
            remove(deps, &execution.order, &runner, parameter.as_ref()).await?;
            Ok(json!({ "result": "removed", "runner": runner }))
        }
        Some(_) => Ok(json!({ "result": "executionCleansUp" })),
        None => Ok(json!({ "result": "executionUnknown" })),
    }
}

/// An execution was aborted, failed or timed out: what its last attempt left is removed, and where
/// the reason passes and the job is still queued, another execution follows.
pub async fn execution_closed(deps: &Deps, closed: &ExecutionClosed) -> Result<Value, Error> {
    let Ok(name) = closed.name.parse::<ExecutionName>() else {
        return Ok(json!({ "result": "notOurs" }));
    };
    let Some(execution) = deps.fleet.execution(&name).await? else {
        return Ok(json!({ "result": "executionUnknown" }));
    };
    if execution.status == Status::Running {
        // A redrive has reopened it.
        return Ok(json!({ "result": "running" }));
    }
    let position = deps.fleet.position(&name).await?;
    if let Some(runner) = &position.runner {
        remove(deps, &execution.order, runner, position.parameter.as_ref()).await?;
    }
    // It has only just been closed: `sweep` sees whether a runner has had a job since.
    if let Some(next) = restart_if_queued(&deps.fleet, &deps.github, &execution, None).await? {
        return Ok(json!({ "result": "restarted", "execution": next }));
    }
    check_run::tell_unserved(deps, &execution).await;
    Ok(json!({ "result": "removed" }))
}

/// Removes one runner's registration, at SSM and at GitHub. Its task is stopped only if GitHub lets
/// the runner go: an abort stops the task too, but not where the abort came before ECS knew it.
async fn remove(
    deps: &Deps,
    order: &Order,
    runner: &RunnerName,
    parameter: Option<&ParameterPath>,
) -> Result<(), Error> {
    if let Some(path) = parameter {
        deps.fleet.delete_registration(path).await?;
    }
    let job = &order.job;
    let scope = deps.config.scope.at(job);
    let installation = match deps
        .github
        .serving(&job.repository, job.installation_id)
        .await
    {
        Ok(installation) => installation,
        // The execution has failed over just this, most likely; there is nobody to ask.
        Err(error) if error.fault().class() == Class::Permanent => {
            tracing::warn!(%error, %runner, "cannot look up the runner at GitHub");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(found) = installation
        .find_runner(&scope, &runner.to_string())
        .await?
    {
        retire(
            &deps.fleet,
            &installation,
            &scope,
            (found.id, runner),
            "its execution is closed",
        )
        .await?;
    }
    Ok(())
}
