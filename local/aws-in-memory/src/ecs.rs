//! ECS.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionOutput;
use aws_sdk_ecs::operation::describe_tasks::DescribeTasksOutput;
use aws_sdk_ecs::operation::list_task_definition_families::ListTaskDefinitionFamiliesOutput;
use aws_sdk_ecs::operation::list_tasks::ListTasksOutput;
use aws_sdk_ecs::operation::stop_task::StopTaskOutput;
use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{
    ContainerOverride, KeyValuePair, Tag, Task, TaskDefinition, TaskOverride,
};
use aws_smithy_mocks::{RuleMode, mock, mock_client};

use crate::Aws;

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
        let arns = state.tasks.iter().map(|task| task.arn.clone());
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
        DescribeTasksOutput::builder()
            .set_tasks(Some(tasks.collect()))
            .build()
    });
    let here = aws.clone();
    let stop = mock!(Client::stop_task).then_compute_output(move |request| {
        let arn = request.task().unwrap_or_default().to_owned();
        here.note("ecs:StopTask", &arn);
        here.state().tasks.retain(|task| task.arn != arn);
        StopTaskOutput::builder().build()
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
    let definition = mock!(Client::describe_task_definition).then_compute_output(move |request| {
        let family = request.task_definition().unwrap_or_default();
        let state = here.state();
        let tags = state.families.get(family).into_iter().flatten();
        let tags = tags.map(|(key, value)| Tag::builder().key(key).value(value).build());
        DescribeTaskDefinitionOutput::builder()
            .task_definition(TaskDefinition::builder().family(family).build())
            .set_tags(Some(tags.collect()))
            .build()
    });
    mock_client!(
        aws_sdk_ecs,
        RuleMode::MatchAny,
        [&list, &describe, &stop, &families, &definition]
    )
}
