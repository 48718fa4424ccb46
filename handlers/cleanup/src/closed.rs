//! Handles EventBridge's events: a task stopped, or an execution was closed.
//!
//! A running execution cleans up after its tasks itself. These events are for closed ones.

use decisions::{AgentExit, EndedTask, WaitOver, cleans_after_task, stops_adopted};
use fleet::{Status, restart_if_queued, retire};
use github::Access;
use protocol::{Class, ExecutionName, Order, ParameterPath, RunnerName};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::event::ExecutionClosed;
use crate::{Deps, Error, check_run};

/// Cleans up after a stopped task. Touches only that task's runner, so a late event of one attempt
/// never affects the next.
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
    let parameter = variable("AGENT_PARAMETER").and_then(|path| path.parse().ok());
    after_task(deps, &runner, parameter.as_ref()).await
}

/// Cleans up after a runner whose task stopped, if its execution is closed.
pub async fn after_task(
    deps: &Deps,
    runner: &RunnerName,
    parameter: Option<&ParameterPath>,
) -> Result<Value, Error> {
    match deps.fleet.execution(runner.execution()).await? {
        Some(execution) if cleans_after_task(execution.status) => {
            remove(deps, &execution.order, runner, parameter).await?;
            Ok(json!({ "result": "removed", "runner": runner }))
        }
        Some(_) => Ok(json!({ "result": "executionCleansUp" })),
        None => Ok(json!({ "result": "executionUnknown" })),
    }
}

/// Cleans up after an execution that was aborted, failed or timed out. Restarts it if the failure
/// was transient and the job is still queued.
pub async fn execution_closed(
    deps: &Deps,
    closed: &ExecutionClosed,
    now: OffsetDateTime,
) -> Result<Value, Error> {
    let Ok(name) = closed.name.parse::<ExecutionName>() else {
        return Ok(json!({ "result": "notOurs" }));
    };
    let Some(execution) = deps.fleet.execution(&name).await? else {
        return Ok(json!({ "result": "executionUnknown" }));
    };
    if execution.status == Status::Running {
        // It was redriven.
        return Ok(json!({ "result": "running" }));
    }
    // Others may wait for its slot. If this fails, `sweep` repairs it.
    if let Err(error) = deps.fleet.leave_slots(&name, now).await {
        tracing::warn!(%error, "cannot give the slot back");
    }
    let position = deps.fleet.position(&name).await?;
    let over = WaitOver::Closed {
        status: execution.status,
        state: position.state,
    };
    if let Some(adopted) = &position.adopted
        && stops_adopted(over)
    {
        let reason = "the execution that adopted it is closed";
        deps.fleet.stop_task(&adopted.task_arn, reason).await?;
    }
    if let Some(runner) = &position.runner {
        remove(deps, &execution.order, runner, position.parameter.as_ref()).await?;
    }
    // Too early to know whether a runner has had a job since the execution ended; `sweep` checks
    // that.
    if let Some(next) = restart_if_queued(&deps.fleet, &deps.github, &execution, None).await? {
        return Ok(json!({ "result": "restarted", "execution": next }));
    }
    check_run::tell_unserved(deps, &execution).await;
    Ok(json!({ "result": "removed" }))
}

/// Deletes one runner's registration in SSM and the runner at GitHub. Stops its task only if GitHub
/// deleted the runner. The abort of an execution stops its task too, except if ECS did not know the
/// task yet.
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
        .serving(
            &job.repository,
            job.installation_id,
            &Access::runners(&scope),
        )
        .await
    {
        Ok(installation) => installation,
        // The execution probably failed for the same reason, so GitHub cannot be asked.
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
