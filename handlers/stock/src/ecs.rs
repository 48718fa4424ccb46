//! The keeper's calls of ECS.

use std::collections::BTreeMap;

use aws::ErrorKind;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionError;
use aws_sdk_ecs::operation::run_task::RunTaskError;
use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, CapacityProviderStrategyItem, ContainerOverride,
    KeyValuePair, NetworkConfiguration, PropagateTags, TaskOverride,
};
use decisions::{Ended, StepError, TaskSeen};
use placement::{Step, TaskRequest, Variable, warm_group};
use pool::Ticket;
use protocol::{Definition, bell};

use crate::event::seen;
use crate::{Deps, Stock};

/// Tasks in one `DescribeTasks` call.
const DESCRIBE_LIMIT: usize = 100;

/// A task lives this much longer than its ticket may get: the keeper retires it, and its own limit is
/// for when there is no keeper.
const GRACE_SECONDS: u64 = 900;

/// What came of a call of RunTask.
#[derive(Debug)]
pub(crate) enum Run {
    /// The task's ARN.
    Started(String),
    /// ECS starts nothing.
    Refused(Box<Ended>),
    /// No answer: it may have been started.
    Unknown(aws::Error),
}

/// The newest active revision of a family; `None` if there is none.
pub(crate) async fn newest_revision(deps: &Deps, family: &str) -> Result<Option<u64>, aws::Error> {
    let answer = deps
        .ecs
        .describe_task_definition()
        .task_definition(family)
        .send()
        .await;
    match answer {
        Ok(answer) => Ok(answer
            .task_definition()
            .and_then(|definition| u64::try_from(definition.revision()).ok())),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(DescribeTaskDefinitionError::is_client_exception) =>
        {
            Ok(None)
        }
        Err(error) => Err(aws::Error::new(
            "ecs:DescribeTaskDefinition",
            family,
            &error,
        )),
    }
}

/// What ECS says about tasks, by their ARNs, and why those ended that did.
pub(crate) async fn describe(
    deps: &Deps,
    arns: &[String],
) -> Result<BTreeMap<String, (TaskSeen, String)>, aws::Error> {
    let cluster = &deps.config.placement.cluster;
    let mut found = BTreeMap::new();
    for some in arns.chunks(DESCRIBE_LIMIT) {
        let answer = deps
            .ecs
            .describe_tasks()
            .cluster(cluster)
            .set_tasks(Some(some.to_vec()))
            .send()
            .await
            .map_err(|error| aws::Error::new("ecs:DescribeTasks", cluster, &error))?;
        for task in answer.tasks() {
            let text = |word: Option<&str>| word.unwrap_or_default().to_owned();
            let task_seen = seen(&text(task.last_status()), &text(task.desired_status()));
            let detail = text(task.stopped_reason());
            found.insert(text(task.task_arn()), (task_seen, detail));
        }
        for failure in answer.failures() {
            let gone = failure.reason() == Some("MISSING");
            if let Some(arn) = failure.arn().filter(|_| gone) {
                let detail = "ECS does not know it".to_owned();
                found.insert(arn.to_owned(), (TaskSeen::Missing, detail));
            }
        }
    }
    Ok(found)
}

/// Starts a ticket's task. The ticket's id is the client token, so that a second call starts no second
/// task ([idempotency]); therefore the same ticket always leads to the same request.
///
/// [idempotency]: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html
pub(crate) async fn run(deps: &Deps, stock: &Stock, ticket: &Ticket) -> Run {
    const CALL: &str = "ecs:RunTask";
    let request = request(deps, stock, ticket);
    let target = request.task_definition.clone();
    let answer = call(deps, request)
        .client_token(ticket.id.as_str())
        .send()
        .await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            // An earlier call with this token started one, from other settings.
            if let Some(RunTaskError::ConflictException(conflict)) = error.as_service_error()
                && let Some(arn) = conflict.resource_ids().first()
            {
                return Run::Started(arn.clone());
            }
            let classed = aws::Error::new(CALL, target, &error);
            return if classed.kind() == ErrorKind::Unavailable {
                Run::Unknown(classed)
            } else {
                Run::Refused(Box::new(refusal(&error, &classed)))
            };
        }
    };
    if let Some(arn) = answer.tasks().first().and_then(|task| task.task_arn()) {
        return Run::Started(arn.to_owned());
    }
    let reasons: Vec<_> = answer
        .failures()
        .iter()
        .flat_map(|failure| [failure.reason(), failure.detail()])
        .flatten()
        .collect();
    Run::Refused(Box::new(Ended::from_error(&StepError {
        error: "AmazonECS.Unknown".to_owned(),
        cause: reasons.join("; "),
    })))
}

/// The refusal as the state machine would see it, so that it is classed as a cold task's would be.
fn refusal<R>(error: &SdkError<RunTaskError, R>, classed: &aws::Error) -> Ended {
    let code = error.code().unwrap_or("Unknown");
    Ended::from_error(&StepError {
        error: format!("ECS.{code}"),
        cause: classed.to_string(),
    })
}

fn request(deps: &Deps, stock: &Stock, ticket: &Ticket) -> TaskRequest {
    let placement = &deps.config.placement;
    let told = |name, value: String| Variable { name, value };
    let limit = stock.max_age.as_secs() + GRACE_SECONDS;
    let provider = if ticket.spot {
        "FARGATE_SPOT"
    } else {
        "FARGATE"
    };
    let environment = vec![
        told(bell::AGENT_BELL, ticket.id.as_str().to_owned()),
        told(bell::AGENT_TABLE, deps.pool.table().to_owned()),
        told(bell::AGENT_TICKET, ticket.key.to_string()),
        told(bell::AGENT_WARM_LIMIT_SECONDS, limit.to_string()),
        told(
            "AGENT_IDLE_LIMIT_SECONDS",
            placement.idle_limit.as_secs().to_string(),
        ),
        // For the summary of its job.
        told("AGENT_CAPACITY", provider.to_owned()),
    ];
    let definition = Definition {
        family: stock.family.clone(),
        shell: stock.shell,
        ..Definition::default()
    };
    TaskRequest {
        // The ticket's revision, because a newer one would be another request.
        task_definition: format!("{}:{}", stock.family, ticket.revision),
        group: warm_group(&placement.deployment),
        ..placement.request(
            &definition,
            provider,
            Step::default(),
            environment,
            Vec::new(),
        )
    }
}

fn call(
    deps: &Deps,
    request: TaskRequest,
) -> aws_sdk_ecs::operation::run_task::builders::RunTaskFluentBuilder {
    let containers = request.overrides.container_overrides.into_iter();
    let containers = containers.map(|container| {
        let variables = container.environment.into_iter();
        let variables = variables.map(|variable| {
            KeyValuePair::builder()
                .name(variable.name)
                .value(variable.value)
                .build()
        });
        ContainerOverride::builder()
            .name(container.name)
            .set_environment(Some(variables.collect()))
            .build()
    });
    let overrides = TaskOverride::builder()
        .set_container_overrides(Some(containers.collect()))
        .build();
    let capacity = request.capacity_provider_strategy.into_iter();
    // Without a provider's name the builder fails; each has one.
    let capacity = capacity.filter_map(|item| {
        CapacityProviderStrategyItem::builder()
            .capacity_provider(item.capacity_provider)
            .weight(item.weight)
            .build()
            .ok()
    });
    let network = request.network_configuration.and_then(|network| {
        let vpc = network.awsvpc_configuration;
        let vpc = AwsVpcConfiguration::builder()
            .set_subnets(Some(vpc.subnets))
            .set_security_groups(Some(vpc.security_groups))
            .assign_public_ip(AssignPublicIp::from(vpc.assign_public_ip))
            .build()
            .ok()?;
        Some(
            NetworkConfiguration::builder()
                .awsvpc_configuration(vpc)
                .build(),
        )
    });
    deps.ecs
        .run_task()
        .cluster(request.cluster)
        .task_definition(request.task_definition)
        .set_capacity_provider_strategy(Some(capacity.collect()))
        .overrides(overrides)
        .group(request.group)
        .enable_ecs_managed_tags(request.enable_ecs_managed_tags)
        .propagate_tags(PropagateTags::from(request.propagate_tags))
        .set_platform_version(request.platform_version)
        .set_network_configuration(network)
        .set_enable_execute_command(request.enable_execute_command.then_some(true))
        .count(1)
}
