//! Events: who calls `cleanup`, and why.

use decisions::{Attempt, EndedTask, StepError};
use protocol::bell::AGENT_BELL;
use protocol::{ExecutionName, Handoff, Matched, Order, PlannedRunner, Registered};
use serde::Deserialize;
use serde_json::Value;

#[derive(Clone, Debug)]
pub enum Event {
    /// The state machine: an attempt ended.
    Attempt(Box<AttemptOver>),
    /// EventBridge: a task stopped.
    TaskStopped(Box<EndedTask>),
    /// EventBridge: a task of the stock's group stopped.
    WarmTaskStopped(Box<WarmTaskStopped>),
    /// EventBridge: an execution was aborted, failed or timed out.
    ExecutionClosed(ExecutionClosed),
    /// `verify`: a job changed.
    Handoff(Box<Handoff>),
}

/// The state machine's input.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptOver {
    /// The execution's input.
    pub order: Order,
    /// The result of `match`.
    #[serde(rename = "match", default)]
    pub matched: Option<Matched>,
    /// The attempt's state.
    #[serde(default)]
    pub attempt: Option<Attempt>,
    /// The planned runner.
    #[serde(default)]
    pub runner: Option<PlannedRunner>,
    /// The result of `token`; `None` if the attempt ended before it.
    #[serde(default)]
    pub registration: Option<Registered>,
    /// The stopped task, if it succeeded.
    #[serde(default)]
    pub task: Option<EndedTask>,
    /// The error, if a step or the task failed.
    #[serde(default)]
    pub error: Option<StepError>,
    pub execution: ExecutionName,
}

/// The end of a task of the stock's group.
#[derive(Clone, Debug)]
pub struct WarmTaskStopped {
    pub task: EndedTask,
    /// The task as the event has it.
    pub detail: Value,
}

/// The end of an execution, as EventBridge sends it ([shape]).
///
/// [shape]: https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionClosed {
    /// The execution's name. Executions that someone else started may have any name.
    pub name: String,
    /// Step Functions' status.
    pub status: String,
}

impl Event {
    /// Recognizes the caller by the event's shape.
    pub fn parse(event: Value) -> Result<Self, serde_json::Error> {
        let detail = || event.get("detail").cloned().unwrap_or_default();
        match event.get("detail-type").and_then(Value::as_str) {
            Some("ECS Task State Change") => {
                let task: EndedTask = serde_json::from_value(detail())?;
                // Only a warm task is given a bell.
                if task.overrides.agent_variable(AGENT_BELL).is_none() {
                    return Ok(Self::TaskStopped(Box::new(task)));
                }
                let detail = detail();
                Ok(Self::WarmTaskStopped(Box::new(WarmTaskStopped {
                    task,
                    detail,
                })))
            }
            Some("Step Functions Execution Status Change") => {
                Ok(Self::ExecutionClosed(serde_json::from_value(detail())?))
            }
            _ if event.get("kind").is_some() => Ok(Self::Handoff(serde_json::from_value(event)?)),
            _ => Ok(Self::Attempt(serde_json::from_value(event)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use decisions::{Ended, Outcome};
    use serde_json::json;

    use super::*;

    /// The example events of AWS's page ([page]); `FAILED` with an error as public handlers quote
    /// it.
    ///
    /// [page]: https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    #[test]
    fn the_end_of_an_execution_is_read_as_eventbridge_sends_it() {
        for status in ["FAILED", "TIMED_OUT", "ABORTED"] {
            let event = json!({
                "version": "0", "id": "315c1398-40ff-a850-213b-158f73e60175",
                "detail-type": "Step Functions Execution Status Change", "source": "aws.states",
                "account": "012345678912", "time": "2019-02-26T19:42:21Z", "region": "us-east-1",
                "resources": ["arn:aws:states:us-east-1:012345678912:execution:state-machine-name:execution-name"],
                "detail": {
                    "executionArn": "arn:aws:states:us-east-1:012345678912:execution:state-machine-name:execution-name",
                    "stateMachineArn": "arn:aws:states:us-east-1:012345678912:stateMachine:state-machine",
                    "name": "execution-name", "status": status,
                    "startDate": 1_551_225_146_847_u64, "stopDate": 1_551_225_151_881_u64,
                    "input": "{}", "inputDetails": { "included": true },
                    "output": null, "outputDetails": null,
                    "error": "States.Runtime", "cause": "An error occurred while executing the state",
                },
            });
            let Event::ExecutionClosed(closed) = Event::parse(event).unwrap() else {
                panic!("it is an execution's end")
            };
            assert_eq!(
                (closed.name.as_str(), closed.status.as_str()),
                ("execution-name", status)
            );
        }
    }

    /// The developer guide's task state change event of a running task, without the fields that
    /// such events omit ([page]).
    ///
    /// [page]: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
    #[test]
    fn the_end_of_a_task_is_read_as_eventbridge_sends_it() {
        let event = json!({
            "version": "0", "id": "3317b2af-7005-947d-b652-f55e762e571a",
            "detail-type": "ECS Task State Change", "source": "aws.ecs", "account": "111122223333",
            "time": "2020-01-23T17:57:58Z", "region": "us-west-2",
            "resources": ["arn:aws:ecs:us-west-2:111122223333:task/FargateCluster/c13b4cb40f1f4fe4a2971f76ae5a47ad"],
            "detail": {
                "attachments": [{ "id": "1789bcae", "type": "eni", "status": "ATTACHED", "details": [] }],
                "clusterArn": "arn:aws:ecs:us-west-2:111122223333:cluster/FargateCluster",
                "containers": [{
                    "containerArn": "arn", "lastStatus": "RUNNING", "name": "FargateApp",
                    "image": "111122223333.dkr.ecr.us-west-2.amazonaws.com/hello-repository:latest",
                    "networkInterfaces": [], "cpu": "0",
                }],
                "createdAt": "2020-01-23T17:57:34.402Z", "launchType": "FARGATE", "cpu": "256", "memory": "512",
                "desiredStatus": "RUNNING", "group": "family:sample-fargate", "lastStatus": "RUNNING",
                "overrides": { "containerOverrides": [{ "name": "FargateApp" }] },
                "pullStartedAt": "2020-01-23T17:57:52.103Z", "startedAt": "2020-01-23T17:57:58.103Z",
                "taskArn": "arn:aws:ecs:us-west-2:111122223333:task/FargateCluster/c13b4cb40f1f4fe4a2971f76ae5a47ad",
                "version": 4, "platformVersion": "1.3.0",
            },
        });
        let Event::TaskStopped(task) = Event::parse(event).unwrap() else {
            panic!("it is a task's state")
        };
        assert_eq!(task.overrides.agent_variable("AGENT_RUNNER"), None);
        assert_eq!(Ended::from_task(&task).outcome, Outcome::Unknown);
    }
}
