//! Adopted tasks: warm tasks that took an execution's registration.
//!
//! The execution did not start its task, so Step Functions does not see its end. The end is noted in
//! the pool's table and told to the execution that waits, in the form in which `runTask.sync` would
//! have seen it.

use aws::executions::Told;
use aws_sdk_ecs::types::Task;
use decisions::{
    EndedTask, OnWarmEnd, StrandedSeen, TASK_FAILED, WaitSeen, is_stranded, on_warm_task_end,
};
use pool::{Pool, TaskToken, Wait};
use protocol::{DeploymentId, ExecutionName, RunnerName, State};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::tasks::told;
use crate::{Error, Fleet, Position};

/// A stopped task of the stock's group, in the form of `runTask.sync`.
#[derive(Clone, Debug, PartialEq)]
pub struct Stopped {
    pub arn: String,
    pub task: Value,
}

impl Stopped {
    /// Reads it from the event of its end; `None` if it is of another deployment or group.
    pub fn of_event(detail: &Value, deployment: &DeploymentId) -> Option<Self> {
        let arn = detail["taskArn"].as_str()?;
        let ours = detail["group"] == placement::warm_group(deployment);
        ours.then(|| Self {
            arn: arn.to_owned(),
            task: of_event(detail),
        })
    }

    /// A task that ECS does not know any more.
    pub fn forgotten(arn: &str) -> Self {
        let reason = "ECS does not know the task any more, so it ended an hour ago or earlier";
        Self {
            arn: arn.to_owned(),
            task: json!({ "TaskArn": arn, "LastStatus": "STOPPED", "StoppedReason": reason }),
        }
    }
}

/// A task as ECS describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribedTask {
    pub arn: String,
    /// Whether it has stopped.
    pub stopped: bool,
    /// The task in the form of `runTask.sync`, as far as its end needs it.
    pub task: Value,
    pub runner: Option<RunnerName>,
}

impl Fleet {
    /// Notes the end of a warm task, and tells the execution that waits for it. Idempotent: whatever
    /// crashed in between, a later call completes it.
    pub async fn end_adopted(
        &self,
        pool: &Pool,
        stopped: &Stopped,
        now: OffsetDateTime,
    ) -> Result<Wait, Error> {
        let Stopped { arn, task } = stopped;
        let wait = pool.note_end(arn, &noted(task), now).await?;
        let seen = if wait.token.is_some() {
            WaitSeen::Waiting
        } else {
            WaitSeen::None
        };
        if on_warm_task_end(seen) == OnWarmEnd::Tell
            && let Some(token) = &wait.token
        {
            let told = self.tell(token, task).await?;
            tracing::info!(task = arn, execution = ?wait.execution, ?told, "told an execution that its warm task has ended");
            // Another token is of a retried state, and still to be told.
            if !pool.told(arn, token).await?.is_done() {
                tracing::warn!(
                    task = arn,
                    "the execution waits with another token; sweep tells it"
                );
            }
        } else {
            tracing::info!(task = arn, "noted the end of a warm task");
        }
        Ok(wait)
    }

    /// Whether an execution waits for a warm task that has ended, and nobody can tell it any more.
    pub async fn is_stranded(
        &self,
        name: &ExecutionName,
        position: &Position,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        let waits = position.state == Some(State::WarmRunner);
        let Some(adopted) = position.adopted.as_ref().filter(|_| waits) else {
            return Ok(false);
        };
        let wait = match &self.pool {
            Some(pool) => pool.wait(&adopted.task_arn).await?,
            None => None,
        };
        let described = self.describe_task(&adopted.task_arn).await?;
        // Whoever was told since the first look is in another state by now.
        let position = self.position(name).await?;
        let entered_at = position.entered_at.unwrap_or(now);
        Ok(is_stranded(StrandedSeen {
            state: position.state,
            age: (now - entered_at).try_into().unwrap_or_default(),
            ended: described.is_none_or(|task| task.stopped),
            has_wait: wait.is_some_and(|wait| wait.token.is_some()),
        }))
    }

    async fn tell(&self, token: &TaskToken, task: &Value) -> Result<Told, Error> {
        let ended: EndedTask = serde_json::from_value(task.clone()).unwrap_or_default();
        let executions = &self.executions;
        Ok(if ended.has_failed() {
            let cause = task.to_string();
            executions
                .send_failure(token.expose(), TASK_FAILED, &cause)
                .await?
        } else {
            executions.send_success(token.expose(), task).await?
        })
    }

    /// Describes a task; `None` if ECS does not know it: an hour after its end, or a moment after its
    /// start.
    pub async fn describe_task(&self, arn: &str) -> Result<Option<DescribedTask>, Error> {
        let arns = [arn.to_owned()];
        Ok(self.describe_tasks(&arns).await?.pop())
    }

    /// Describes up to a hundred tasks. Those that ECS does not know are missing.
    pub async fn describe_tasks(&self, arns: &[String]) -> Result<Vec<DescribedTask>, Error> {
        let answer = self.ask_ecs(arns).await?;
        Ok(answer.tasks().iter().map(described).collect())
    }
}

fn described(task: &Task) -> DescribedTask {
    DescribedTask {
        arn: task.task_arn().unwrap_or_default().to_owned(),
        stopped: task.last_status() == Some("STOPPED"),
        task: of_description(task),
        runner: told(task, "AGENT_RUNNER", protocol::RUNNER_TAG),
    }
}

/// The fields of a task that its end needs, in the form of `runTask.sync`.
fn of_description(task: &Task) -> Value {
    let milliseconds = |at: Option<&aws_sdk_ecs::primitives::DateTime>| {
        i64::try_from(at?.as_nanos() / 1_000_000).ok()
    };
    let containers = task.containers().iter().map(|container| {
        present(json!({
            "Name": container.name(),
            "ExitCode": container.exit_code(),
            "Reason": container.reason(),
        }))
    });
    present(json!({
        "TaskArn": task.task_arn(),
        "StopCode": task.stop_code().map(aws_sdk_ecs::types::TaskStopCode::as_str),
        "StoppedReason": task.stopped_reason(),
        "Containers": containers.collect::<Vec<_>>(),
        "Cpu": task.cpu(),
        "Memory": task.memory(),
        "CapacityProviderName": task.capacity_provider_name(),
        "PullStartedAt": milliseconds(task.pull_started_at()),
        "StoppedAt": milliseconds(task.stopped_at()),
    }))
}

/// What [`EndedTask`] reads of a task. A write of the table costs by the kilobyte, and the whole task has
/// four or five.
fn noted(task: &Value) -> Value {
    const FIELDS: [&str; 8] = [
        "TaskArn",
        "StopCode",
        "StoppedReason",
        "Cpu",
        "Memory",
        "CapacityProviderName",
        "PullStartedAt",
        "StoppedAt",
    ];
    let pick = |from: &Value, names: &[&str]| {
        let fields = names.iter().filter_map(|name| {
            let value = from.get(name)?;
            Some(((*name).to_owned(), value.clone()))
        });
        Value::Object(fields.collect())
    };
    let mut noted = pick(task, &FIELDS);
    let containers = task["Containers"].as_array().into_iter().flatten();
    let containers = containers.map(|container| pick(container, &["Name", "ExitCode", "Reason"]));
    noted["Containers"] = containers.collect();
    noted
}

/// Step Functions leaves out what is not set.
fn present(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    object
}

/// A task of an event in the form of `runTask.sync`: names in Pascal case, times in epoch milliseconds.
fn of_event(task: &Value) -> Value {
    match task {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                let at = value.as_str().filter(|_| name.ends_with("At"));
                let time = at.and_then(milliseconds);
                (pascal_case(name), time.unwrap_or_else(|| of_event(value)))
            });
            Value::Object(fields.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(of_event).collect()),
        value => value.clone(),
    }
}

fn pascal_case(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

fn milliseconds(text: &str) -> Option<Value> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000)
        .ok()
        .map(Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields of AWS's example event ([page]), and the spelling in `test_run_task_sync`, recorded on AWS
    /// on 2024-02-23.
    ///
    /// [page]: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
    #[test]
    fn the_task_of_an_event_is_spelt_as_step_functions_spells_it() {
        let detail = json!({
            "attachments": [{ "id": "1789bcae", "type": "eni", "status": "DELETED", "details": [
                { "name": "privateIPv4Address", "value": "10.0.0.1" },
            ] }],
            "containers": [{
                "name": "runner", "exitCode": 0, "lastStatus": "STOPPED", "gpuIds": [],
                "networkInterfaces": [{ "privateIpv4Address": "10.0.0.1" }],
            }],
            "stoppedAt": "2026-01-01T00:01:00.5Z", "connectivityAt": "a while ago", "version": 4,
        });
        let task = json!({
            "Attachments": [{ "Id": "1789bcae", "Type": "eni", "Status": "DELETED", "Details": [
                { "Name": "privateIPv4Address", "Value": "10.0.0.1" },
            ] }],
            "Containers": [{
                "Name": "runner", "ExitCode": 0, "LastStatus": "STOPPED", "GpuIds": [],
                "NetworkInterfaces": [{ "PrivateIpv4Address": "10.0.0.1" }],
            }],
            "StoppedAt": 1_767_225_660_500_u64, "ConnectivityAt": "a while ago", "Version": 4,
        });
        assert_eq!(of_event(&detail), task);
    }

    #[test]
    fn what_is_noted_of_a_task_decides_as_the_whole_and_takes_little() {
        // The fields of AWS's example event, with two containers.
        let detail = json!({
            "attachments": [{ "id": "1789bcae-ddfb-4d10-8ebe-8ac87ddba5b8", "type": "eni", "status": "DELETED", "details": [
                { "name": "subnetId", "value": "subnet-abcd1234" }, { "name": "networkInterfaceId", "value": "eni-abcd1234" },
                { "name": "macAddress", "value": "0a:98:eb:a7:29:ba" }, { "name": "privateIPv4Address", "value": "10.0.0.139" },
            ] }],
            "availabilityZone": "us-west-2c", "clusterArn": "arn:aws:ecs:us-west-2:111122223333:cluster/FargateCluster",
            "containers": [
                { "containerArn": "arn:aws:ecs:us-west-2:111122223333:container/cf159fd6-3e3f-4a9e-84f9-66cbe726af01",
                  "exitCode": 26, "lastStatus": "STOPPED", "name": "runner", "image": "111122223333.dkr.ecr.us-west-2.amazonaws.com/hello-repository:latest",
                  "imageDigest": "sha256:74b2c688c700ec95a93e478cdb959737c148df3fbf5ea706abe0318726e885e6", "runtimeId": "ad64cbc71c7fb31c55507ec24c9f77947132b03d48d9961115cf24f3b7307e1e",
                  "taskArn": "arn:aws:ecs:us-west-2:111122223333:task/FargateCluster/c13b4cb40f1f4fe4a2971f76ae5a47ad", "networkInterfaces": [], "cpu": "0" },
                { "name": "sidecar", "lastStatus": "STOPPED", "exitCode": 143 },
            ],
            "createdAt": "2020-01-23T17:57:34.402Z", "launchType": "FARGATE", "cpu": "256", "memory": "512", "desiredStatus": "STOPPED",
            "group": "fargate-runners:fr:warm", "lastStatus": "STOPPED", "capacityProviderName": "FARGATE_SPOT",
            "overrides": { "containerOverrides": [{ "name": "runner", "environment": [{ "name": "AGENT_BELL", "value": "00112233445566778899aabbccddeeff" }] }] },
            "connectivity": "CONNECTED", "connectivityAt": "2020-01-23T17:57:38.453Z", "pullStartedAt": "2020-01-23T17:57:52.103Z",
            "startedAt": "2020-01-23T17:57:58.103Z", "pullStoppedAt": "2020-01-23T17:57:55.103Z", "stoppedAt": "2020-01-23T18:57:58.103Z",
            "stopCode": "SpotInterruption", "stoppedReason": "Your Spot Task was interrupted.",
            "taskArn": "arn:aws:ecs:us-west-2:111122223333:task/FargateCluster/c13b4cb40f1f4fe4a2971f76ae5a47ad", "version": 4, "platformVersion": "1.4.0",
        });
        let task = of_event(&detail);
        let noted = noted(&task);
        assert!(noted.to_string().len() < 1_000, "{noted}");
        let read = |task: Value| -> EndedTask { serde_json::from_value(task).unwrap() };
        let whole = EndedTask {
            // They tell whose the task is, which the wait tells too.
            overrides: decisions::Overrides::default(),
            ..read(task)
        };
        assert_eq!(read(noted), whole);
    }

    #[test]
    fn only_a_task_of_this_deployments_stock_is_its_warm_task() {
        let deployment = "fr".parse().unwrap();
        let stopped = |group: &str| {
            let detail = json!({ "taskArn": "arn", "group": group });
            Stopped::of_event(&detail, &deployment)
        };
        assert!(stopped("fargate-runners:fr:warm").is_some());
        for group in ["fargate-runners:fr", "fargate-runners:fr2:warm", ""] {
            assert_eq!(stopped(group), None, "{group}");
        }
    }
}
