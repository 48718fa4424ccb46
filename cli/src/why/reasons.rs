//! What held a job up, or ended it: a pure function of the evidence.

use std::collections::BTreeSet;

use decisions::{GiveUp, JobStatus, Status};
use protocol::{ExecutionName, RunnerName};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::evidence::{Answer, Evidence, ExecutionSeen, Seen, WebhookSeen, status_name};
use super::explain::span;
use super::setbacks::Setback;

/// A webhook that arrives later than this is late. GitHub sends it within a second or two.
pub const LATE: Duration = Duration::seconds(10);
/// A runner whose task was up for so long before it got the job had to wait for GitHub. A listener
/// connects within seconds.
const UNASSIGNED: Duration = Duration::seconds(15);
/// GitHub cuts its times off to whole seconds.
const WHOLE_SECONDS: Duration = Duration::SECOND;

/// Something that held the job up, or ended it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Reason {
    /// A delivery of its webhook failed with this status; 0 without a response. It is not certain that it
    /// was this job's if no webhook of it arrived.
    DeliveryFailed { status: u16, certain: bool },
    /// Its webhook arrived so long after it was queued.
    WebhookLate { seconds: i64 },
    /// It waited in the overflow queue.
    Overflow,
    /// A step failed.
    Setback(Setback),
    /// An execution of it, or of the runner that had it, did not succeed.
    Execution {
        execution: ExecutionName,
        #[serde(serialize_with = "status_name")]
        status: Status,
        error: Option<String>,
    },
    /// Its runner was up for so long until GitHub gave it the job.
    Unassigned { seconds: i64 },
}

impl Reason {
    /// In a few words.
    pub fn told(&self) -> String {
        match self {
            Self::DeliveryFailed { status, certain } => {
                let failed = match status {
                    0 => "got no answer".to_owned(),
                    status => format!("failed with {status}"),
                };
                if *certain {
                    format!("a delivery of its webhook {failed}")
                } else {
                    format!(
                        "a delivery {failed} when it was queued, of its webhook or another job's"
                    )
                }
            }
            Self::WebhookLate { seconds } => format!(
                "its webhook arrived {} after it was queued",
                span(Duration::seconds(*seconds))
            ),
            Self::Overflow => "it waited in the overflow queue for Step Functions".to_owned(),
            Self::Setback(setback) => setback.told(),
            Self::Execution {
                execution,
                status,
                error,
            } => {
                let how = match status {
                    Status::Aborted => "was aborted by somebody",
                    Status::TimedOut => "exceeded its time limit",
                    _ => "failed",
                };
                let error = error
                    .as_deref()
                    .map_or_else(String::new, |error| format!(" ({error})"));
                format!("execution {execution} {how}{error}")
            }
            Self::Unassigned { seconds } => format!(
                "its runner was up for {} until GitHub gave it the job",
                span(Duration::seconds(*seconds))
            ),
        }
    }
}

/// Everything that held it up, in the order of its way.
pub fn reasons(evidence: &Evidence) -> Vec<Reason> {
    let mut found = Vec::new();
    webhook(evidence, &mut found);
    let status = evidence.github.found();
    let taken = status
        .filter(|status| status.runner().is_some())
        .and_then(JobStatus::started_at);
    for execution in evidence.executions.found().into_iter().flatten() {
        let of_it = evidence.setbacks.found().into_iter().flatten();
        let of_it = of_it.filter(|setback| setback.execution == execution.name);
        // What was tried after a runner had the job is no reason, unless it is that runner's end.
        let in_its_way = |setback: &&Setback| {
            setback.had_task || taken.is_none_or(|taken| setback.began <= taken + WHOLE_SECONDS)
        };
        let of_it = of_it.filter(in_its_way).cloned();
        found.extend(of_it.map(Reason::Setback));
        found.extend(ended(execution));
    }
    if let Some(host) = evidence.host.found() {
        let runner = status.and_then(JobStatus::runner);
        let of_it = host.setbacks.iter().filter(|setback| {
            let named = setback.runner.as_ref().map(RunnerName::to_string);
            named.as_deref() == runner
        });
        found.extend(of_it.cloned().map(Reason::Setback));
        found.extend(ended(&host.execution));
    }
    found.extend(unassigned(evidence, taken));
    found
}

/// What is known of the way of its webhook.
fn webhook(evidence: &Evidence, found: &mut Vec<Reason>) {
    let webhooks = evidence.webhooks.found().map_or(&[][..], Vec::as_slice);
    let guids: BTreeSet<_> = webhooks
        .iter()
        .filter_map(|webhook| webhook.delivery.as_deref())
        .collect();
    let deliveries = evidence.deliveries.found().map_or(&[][..], Vec::as_slice);
    let certain = !guids.is_empty();
    let failed = deliveries.iter().filter(|one| {
        // Without a trace of the webhook, those of about that time were asked for.
        let its_own = !certain || guids.contains(one.guid.as_str());
        its_own && !(200..300).contains(&one.status)
    });
    for one in failed {
        let reason = Reason::DeliveryFailed {
            status: one.status,
            certain,
        };
        if !found.contains(&reason) {
            found.push(reason);
        }
    }
    if let Some(late) = lateness(evidence) {
        found.push(Reason::WebhookLate {
            seconds: late.whole_seconds(),
        });
    }
    if webhooks
        .iter()
        .any(|webhook| webhook.answer == Answer::Kept)
    {
        found.push(Reason::Overflow);
    }
}

/// How late the first webhook was that said that the job is queued, if it was late.
pub(super) fn lateness(evidence: &Evidence) -> Option<Duration> {
    let queued = evidence.job.queued_at?;
    let says_queued = |webhook: &&WebhookSeen| {
        matches!(
            webhook.answer,
            Answer::Started | Answer::Running | Answer::Kept | Answer::Paused | Answer::Error(_)
        )
    };
    let first = evidence.webhooks.found()?.iter().find(says_queued)?;
    Some(first.at - queued).filter(|late| *late > LATE)
}

/// An execution that did not succeed, unless the job had left the queue.
fn ended(execution: &ExecutionSeen) -> Option<Reason> {
    let error = execution.error.clone();
    let is_reason = match execution.status {
        Status::Running | Status::Succeeded => false,
        Status::Aborted => error.as_deref() != Some(GiveUp::JobCancelled.name()),
        Status::Failed | Status::TimedOut => true,
    };
    is_reason.then(|| Reason::Execution {
        execution: execution.name.clone(),
        status: execution.status,
        error,
    })
}

/// How long its own runner waited for it. A warm task is up before its job is queued.
fn unassigned(evidence: &Evidence, taken: Option<OffsetDateTime>) -> Option<Reason> {
    let task = evidence.task.found()?;
    let newest = evidence.newest()?;
    let named = match (&newest.output, &evidence.course) {
        (Some(output), _) => output.runner.as_ref(),
        (None, Seen::Found(course)) => course.runner.as_ref(),
        _ => None,
    };
    let runner = evidence.github.found()?.runner()?;
    let is_its_own = named.is_some_and(|named| named.to_string() == runner);
    let is_cold = task.created_at.zip(newest.started_at);
    let is_cold = is_cold.is_some_and(|(task, execution)| task >= execution);
    let waited = taken? - task.started_at?;
    // It cannot have waited for a job that was not there.
    let possible = waited <= taken? - evidence.job.queued_at?;
    (is_its_own && is_cold && possible && waited > UNASSIGNED).then(|| Reason::Unassigned {
        seconds: waited.whole_seconds(),
    })
}

/// The reasons as one sentence's object, each once.
pub(super) fn listed(reasons: &[Reason]) -> String {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for reason in reasons {
        let told = reason.told();
        match lines.iter_mut().find(|(line, _)| *line == told) {
            Some((_, times)) => *times += 1,
            None => lines.push((told, 1)),
        }
    }
    let lines = lines.into_iter().map(|(line, times)| match times {
        1 => line,
        times => format!("{line} ({times} times)"),
    });
    lines.collect::<Vec<_>>().join("; ")
}
