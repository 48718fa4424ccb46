//! The evidence as lines, each with where it comes from.

use decisions::Status;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::evidence::{Answer, Evidence, Seen};
use super::explain::{Fact, github_told, span};

/// One line per source that was asked, in the order of a job's way.
pub(super) fn facts(evidence: &Evidence) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |what: &'static str, said: String| facts.push(Fact { what, said });
    let job = &evidence.job;
    let labels = job
        .labels
        .as_ref()
        .map_or_else(String::new, |labels| format!(", asks for [{labels}]"));
    let queued = job
        .queued_at
        .map_or_else(String::new, |at| format!(", queued since {}", stamp(at)));
    let repository = job
        .repository
        .as_ref()
        .map_or_else(String::new, |name| format!(" of {name}"));
    add("job", format!("{}{repository}{labels}{queued}", job.id));
    match &evidence.github {
        Seen::Found(status) => add("GitHub", github_told(status)),
        Seen::Nothing => add("GitHub", "shows no such job to the App".to_owned()),
        Seen::Unknown(why) => add("GitHub", format!("not asked: {why}")),
    }
    match &evidence.webhooks {
        Seen::Found(webhooks) => {
            for webhook in webhooks {
                let delivery = webhook.delivery.as_deref().unwrap_or("unknown");
                add(
                    "webhook",
                    format!(
                        "{}, delivery {delivery}: {} {}",
                        stamp(webhook.at),
                        webhook.status,
                        answer(&webhook.answer)
                    ),
                );
            }
        }
        Seen::Nothing => add("webhook", "none in the log of verify".to_owned()),
        Seen::Unknown(why) => add("webhook", format!("not looked for: {why}")),
    }
    match &evidence.executions {
        Seen::Found(executions) => {
            for execution in executions {
                let took = match (execution.started_at, execution.ended_at) {
                    (Some(from), Some(to)) => format!(", took {}", span(to - from)),
                    (Some(from), None) => format!(", for {}", span(evidence.at - from)),
                    _ => String::new(),
                };
                let status = match execution.status {
                    Status::Running => "running",
                    Status::Succeeded => "succeeded",
                    Status::Failed => "failed",
                    Status::TimedOut => "timed out",
                    Status::Aborted => "aborted",
                };
                let error = execution
                    .error
                    .as_deref()
                    .map_or_else(String::new, |error| format!(" ({error})"));
                add(
                    "execution",
                    format!("{}: {status}{error}{took}", execution.name),
                );
                if let Some(output) = &execution.output {
                    add(
                        "outcome",
                        format!("{}: {}", output.outcome.name(), output.detail),
                    );
                }
            }
        }
        Seen::Nothing => add("execution", "none".to_owned()),
        Seen::Unknown(why) => add("execution", format!("not looked for: {why}")),
    }
    if let Some(course) = evidence.course.found() {
        let since = course
            .entered_at
            .map_or_else(String::new, |at| format!(" for {}", span(evidence.at - at)));
        let runner = course.runner.as_ref();
        let attempt = runner.map_or_else(String::new, |runner| {
            format!(", attempt {}, runner {runner}", runner.attempt())
        });
        add(
            "state",
            format!(
                "{}{since}{attempt}",
                course.state.as_deref().unwrap_or("none yet")
            ),
        );
        if let Some(failure) = &course.failure {
            add(
                "last error",
                format!("{}: {}", failure.error, failure.message),
            );
        }
    }
    let host = evidence.host.found();
    if let Some(host) = host {
        add(
            "ran by",
            format!("a runner of execution {}", host.execution.name),
        );
    }
    let of_host = host.map(|host| &host.setbacks);
    for setback in evidence
        .setbacks
        .found()
        .into_iter()
        .chain(of_host)
        .flatten()
    {
        add(
            "setback",
            format!(
                "{}, {}, {}: {}: {}",
                stamp(setback.at),
                setback.execution,
                setback.state,
                setback.failure.error,
                setback.failure.message
            ),
        );
    }
    match &evidence.task {
        Seen::Found(task) => {
            let capacity = task
                .capacity
                .as_deref()
                .map_or_else(String::new, |on| format!(" on {on}"));
            let up = task
                .started_at
                .map_or_else(String::new, |at| format!(", up since {}", stamp(at)));
            let reason = task
                .stopped_reason
                .as_deref()
                .map_or_else(String::new, |why| format!(", {why}"));
            let code = task
                .exit_code
                .map_or_else(String::new, |code| format!(", exit code {code}"));
            add(
                "task",
                format!("{}: {}{capacity}{up}{reason}{code}", task.arn, task.status),
            );
        }
        Seen::Nothing => add(
            "task",
            "ECS knows none (it forgets stopped tasks after an hour)".to_owned(),
        ),
        Seen::Unknown(_) => {}
    }
    match &evidence.said {
        Seen::Found(lines) => {
            for line in lines {
                add("task said", line.clone());
            }
        }
        Seen::Nothing => add("task said", "nothing".to_owned()),
        Seen::Unknown(_) => {}
    }
    if let Some(refused) = evidence.refused.found() {
        add("policy", refused.reason.clone());
    }
    if let Some(deliveries) = evidence.deliveries.found() {
        let webhooks = evidence.webhooks.found();
        let is_its_own = |guid: &str| {
            let mut seen = webhooks.into_iter().flatten();
            seen.any(|webhook| webhook.delivery.as_deref() == Some(guid))
        };
        for delivery in deliveries {
            add(
                "delivery",
                format!(
                    "{}, id {}, of {}: answered {}",
                    stamp(delivery.at),
                    delivery.id,
                    if is_its_own(&delivery.guid) {
                        "this job"
                    } else {
                        "a job queued then"
                    },
                    delivery.status
                ),
            );
        }
    }
    facts
}

fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Started => "started an execution".to_owned(),
        Answer::Running => "an execution was at work".to_owned(),
        Answer::Enough => "no more executions of this job".to_owned(),
        Answer::Kept => "kept in the overflow queue".to_owned(),
        Answer::Paused => "paused".to_owned(),
        Answer::HandedOn => "handed on to cleanup".to_owned(),
        Answer::Ignored(reason) => format!("ignored: {reason}"),
        Answer::Error(error) => format!("not taken: {error}"),
        Answer::Other(text) => text.clone(),
    }
}

/// Seconds are enough.
pub(crate) fn stamp(at: OffsetDateTime) -> String {
    let whole = at.replace_nanosecond(0).unwrap_or(at);
    whole.format(&Rfc3339).unwrap_or_default()
}
