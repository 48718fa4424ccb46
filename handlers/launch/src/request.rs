//! What the RunTask request of a job's runner says.

use decisions::{Attempt, keeps_off_spot};
use placement::{Placement, Step, TaskRequest, Variable, job_tags};
use protocol::{Matched, Order, PlannedRunner};
use time::format_description::well_known::Rfc3339;

/// Builds the request. It contains no secret: the agent gets the path of its registration, and only
/// the task role may read it. `role` is the ARN of the task role, if it is not the definition's.
pub fn run_task(
    placement: &Placement,
    order: &Order,
    matched: &Matched,
    runner: &PlannedRunner,
    attempt: &Attempt,
    role: Option<String>,
) -> TaskRequest {
    let told = |name, value: String| Variable { name, value };
    let definition = &matched.definition;
    let step = Step {
        capacity: attempt.capacity_step,
        subnet: attempt.subnet_step,
    };
    let provider = if keeps_off_spot(definition.rerun_after_interruption, order.job.run_attempt) {
        placement.on_demand(definition, step)
    } else {
        placement.provider(definition, step)
    };
    let mut environment = vec![
        told("AGENT_PARAMETER", runner.parameter.to_string()),
        told("AGENT_RUNNER", runner.name.to_string()),
        // These two identify the task wherever ECS describes it, even without its tags.
        told("AGENT_REPOSITORY", order.job.repository.to_string()),
        told("AGENT_EXECUTION", runner.name.execution().to_string()),
        told(
            "AGENT_IDLE_LIMIT_SECONDS",
            placement.idle_limit.as_secs().to_string(),
        ),
        // For the job's summary.
        told("AGENT_CAPACITY", provider.to_owned()),
    ];
    if let Ok(queued) = order.job.queued_at.format(&Rfc3339) {
        environment.push(told("AGENT_QUEUED_AT", queued));
    }
    let tags = job_tags(&order.job, &runner.name);
    let mut request = placement.request(definition, provider, step, environment, tags);
    if let Some(size) = matched.size {
        request.resize(size);
    }
    request.overrides.task_role_arn = role;
    request
}
