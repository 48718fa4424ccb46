//! ECS.

use std::collections::BTreeMap;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::ErrorMetadata;
use aws_sdk_ecs::operation::describe_clusters::DescribeClustersOutput;
use aws_sdk_ecs::operation::describe_task_definition::{
    DescribeTaskDefinitionError, DescribeTaskDefinitionOutput,
};
use aws_sdk_ecs::operation::describe_tasks::DescribeTasksOutput;
use aws_sdk_ecs::operation::list_task_definition_families::ListTaskDefinitionFamiliesOutput;
use aws_sdk_ecs::operation::list_tasks::ListTasksOutput;
use aws_sdk_ecs::operation::run_task::{RunTaskError, RunTaskInput, RunTaskOutput};
use aws_sdk_ecs::operation::stop_task::StopTaskOutput;
use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::error::{ClientException, ConflictException, ServerException};
use aws_sdk_ecs::types::{
    Container, ContainerOverride, Failure, KeyValuePair, Tag, Task, TaskDefinition, TaskOverride,
};
use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};
use time::OffsetDateTime;

use crate::{Aws, WarmTask};

/// What RunTask answers instead of starting a task.
#[derive(Clone, Debug)]
pub enum NoTask {
    /// An error that ECS does not model, such as a lack of capacity.
    Error(&'static str, &'static str),
    /// An answer with this failure.
    Failure(&'static str),
    /// The task is started, but the answer is an error of ECS.
    LostAnswer,
}

/// Starts a task, or answers with the one that this client token started before.
#[allow(clippy::result_large_err)] // The SDK's own error.
fn run_task(aws: &Aws, request: &RunTaskInput) -> Result<RunTaskOutput, RunTaskError> {
    let definition = request.task_definition().unwrap_or_default();
    aws.note("ecs:RunTask", definition);
    let mut state = aws.state();
    let no_task = state.no_task.pop_front();
    match &no_task {
        Some(NoTask::Error(code, message)) => {
            let meta = ErrorMetadata::builder().code(*code).message(*message);
            return Err(RunTaskError::generic(meta.build()));
        }
        Some(NoTask::Failure(reason)) => {
            let failure = Failure::builder().reason(*reason).build();
            return Ok(RunTaskOutput::builder().failures(failure).build());
        }
        Some(NoTask::LostAnswer) | None => {}
    }
    let token = request.client_token().unwrap_or_default();
    let found = state.warm.iter().find(|task| task.client_token == token);
    let arn = match found {
        Some(task) if task.request == *request => task.arn.clone(),
        Some(task) => {
            let meta = ErrorMetadata::builder().code("ConflictException").build();
            let conflict = ConflictException::builder().resource_ids(&task.arn);
            let conflict = conflict.meta(meta).build();
            return Err(RunTaskError::ConflictException(conflict));
        }
        None => {
            let number = state.warm.len() + 1;
            let arn = format!("arn:aws:ecs:us-east-1:000000000000:task/runners/warm-{number}");
            state.warm.push(WarmTask {
                arn: arn.clone(),
                client_token: token.to_owned(),
                request: request.clone(),
                last_status: "PROVISIONING".to_owned(),
                desired_status: "RUNNING".to_owned(),
                created_at: OffsetDateTime::UNIX_EPOCH,
                tags: BTreeMap::new(),
                exit_code: None,
            });
            arn
        }
    };
    if no_task.is_some() {
        let meta = ErrorMetadata::builder().code("ServerException").build();
        let lost = ServerException::builder().meta(meta).build();
        return Err(RunTaskError::ServerException(lost));
    }
    let task = Task::builder().task_arn(arn).build();
    Ok(RunTaskOutput::builder().tasks(task).build())
}

fn overrides(runner: &str) -> TaskOverride {
    let variable = KeyValuePair::builder().name("AGENT_RUNNER").value(runner);
    let container = ContainerOverride::builder()
        .name(protocol::CONTAINER)
        .environment(variable.build());
    TaskOverride::builder()
        .container_overrides(container.build())
        .build()
}

pub(crate) fn client(aws: &Aws) -> Client {
    let here = aws.clone();
    let list = mock!(Client::list_tasks).then_compute_output(move |request| {
        here.note("ecs:ListTasks", request.cluster().unwrap_or_default());
        // Step Functions writes its own name there, so nothing is found by a runner's.
        assert!(
            request.started_by().is_none(),
            "tasks are asked for by startedBy"
        );
        let state = here.state();
        let warm = state.warm.iter();
        let warm = warm.filter(|task| task.desired_status == "RUNNING");
        let warm = warm.map(|task| task.arn.clone());
        let arns = state.tasks.iter().map(|task| task.arn.clone()).chain(warm);
        ListTasksOutput::builder()
            .set_task_arns(Some(arns.collect()))
            .build()
    });
    let here = aws.clone();
    let describe = mock!(Client::describe_tasks).then_compute_output(move |request| {
        here.note("ecs:DescribeTasks", &request.tasks().len().to_string());
        let state = here.state();
        let tasks = state
            .tasks
            .iter()
            .filter(|task| request.tasks().contains(&task.arn))
            .map(|task| {
                Task::builder()
                    .task_arn(&task.arn)
                    .started_by("AWS Step Functions")
                    .overrides(overrides(&task.runner))
                    .created_at(DateTime::from_secs(task.created_at.unix_timestamp()))
                    .set_started_at(
                        task.started_at
                            .map(|at| DateTime::from_secs(at.unix_timestamp())),
                    )
                    .tags(
                        Tag::builder()
                            .key(protocol::REPOSITORY_TAG)
                            .value(&task.repository)
                            .build(),
                    )
                    .build()
            });
        let asked = |task: &&WarmTask| request.tasks().contains(&task.arn);
        let warm = state.warm.iter().filter(asked).map(|task| {
            let tags = task.tags.iter();
            let tags = tags.map(|(key, value)| Tag::builder().key(key).value(value).build());
            let container = Container::builder().name(protocol::CONTAINER);
            Task::builder()
                .task_arn(&task.arn)
                .last_status(&task.last_status)
                .desired_status(&task.desired_status)
                .set_group(task.request.group().map(str::to_owned))
                .set_overrides(task.request.overrides().cloned())
                .created_at(DateTime::from_secs(task.created_at.unix_timestamp()))
                .started_at(DateTime::from_secs(task.created_at.unix_timestamp()))
                .containers(container.set_exit_code(task.exit_code).build())
                .set_tags(Some(tags.collect()))
                .build()
        });
        let tasks: Vec<_> = tasks.chain(warm).collect();
        let is_known = |arn: &&String| tasks.iter().any(|task| task.task_arn() == Some(arn));
        let missing = request.tasks().iter().filter(|arn| !is_known(arn));
        let missing = missing.map(|arn| Failure::builder().arn(arn).reason("MISSING").build());
        let missing = missing.collect();
        DescribeTasksOutput::builder()
            .set_tasks(Some(tasks))
            .set_failures(Some(missing))
            .build()
    });
    let here = aws.clone();
    let clusters = mock!(Client::describe_clusters).then_compute_output(move |request| {
        here.note("ecs:DescribeClusters", &request.clusters().join(" "));
        let running = here.state().tasks.len();
        let cluster = aws_sdk_ecs::types::Cluster::builder()
            .running_tasks_count(i32::try_from(running).unwrap())
            .build();
        DescribeClustersOutput::builder().clusters(cluster).build()
    });
    let here = aws.clone();
    let stop = mock!(Client::stop_task).then_compute_output(move |request| {
        let arn = request.task().unwrap_or_default().to_owned();
        here.note("ecs:StopTask", &arn);
        let mut state = here.state();
        state.tasks.retain(|task| task.arn != arn);
        for task in state.warm.iter_mut().filter(|task| task.arn == arn) {
            "STOPPED".clone_into(&mut task.desired_status);
        }
        StopTaskOutput::builder().build()
    });
    let here = aws.clone();
    let run = mock!(Client::run_task).then_compute_response(move |request| {
        match run_task(&here, request) {
            Ok(output) => MockResponse::Output(output),
            Err(error) => MockResponse::Error(error),
        }
    });
    let here = aws.clone();
    let families =
        mock!(Client::list_task_definition_families).then_compute_output(move |_request| {
            let names = here.state().families.keys().cloned().collect();
            ListTaskDefinitionFamiliesOutput::builder()
                .set_families(Some(names))
                .build()
        });
    let here = aws.clone();
    let definition =
        mock!(Client::describe_task_definition).then_compute_response(move |request| {
            let family = request.task_definition().unwrap_or_default();
            here.note("ecs:DescribeTaskDefinition", family);
            let state = here.state();
            let Some(revision) = state.revisions.get(family).copied().unwrap_or(Some(1)) else {
                let error = ClientException::builder().build();
                return MockResponse::Error(DescribeTaskDefinitionError::ClientException(error));
            };
            let definition = TaskDefinition::builder().family(family).revision(revision);
            let tags = state.families.get(family).into_iter().flatten();
            let tags = tags.map(|(key, value)| Tag::builder().key(key).value(value).build());
            MockResponse::Output(
                DescribeTaskDefinitionOutput::builder()
                    .task_definition(definition.build())
                    .set_tags(Some(tags.collect()))
                    .build(),
            )
        });
    mock_client!(
        aws_sdk_ecs,
        RuleMode::MatchAny,
        [
            &list,
            &describe,
            &clusters,
            &stop,
            &run,
            &families,
            &definition,
        ],
        // A second try finds no rule: the mocks lose a request on its way.
        |config| config.retry_config(aws_sdk_ecs::config::retry::RetryConfig::disabled())
    )
}
