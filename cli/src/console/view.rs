//! What the page is sent. Pure: a function of what was seen.

use decisions::{ExecutionOutput, JobStatus, NextAttempt, SlotAwaited, Status};
use protocol::{Class, Fault, State};
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::links::Links;
use super::look::{self, Known, Watched};
use super::timeline::{Millis, Visit};
use crate::Deployment;
use crate::jobs::{self, Phase};
use crate::why::{self, Evidence, ExecutionSeen, Seen, Situation, StepFailure};

/// Longest message of a step.
const MESSAGE: usize = 400;

/// One job's execution, as a row of the page.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    pub execution: String,
    pub id: u64,
    pub repository: Option<String>,
    pub name: Option<String>,
    pub workflow: Option<String>,
    pub labels: Vec<String>,
    /// `queued`, `starting`, `up`, `waiting`, `ending`; or `succeeded`, `failed`, `aborted`, `timed out`.
    pub phase: &'static str,
    pub is_over: bool,
    /// Why it is there, in a few words.
    pub reason: String,
    pub situation: Situation,
    pub summary: String,
    pub next: String,
    pub change: Option<String>,
    /// What became of it; empty while it runs.
    pub outcome: String,
    pub attempt: u32,
    pub queued_at: Option<Millis>,
    pub began: Millis,
    pub ended: Option<Millis>,
    pub start: Option<StartView>,
    pub bars: Vec<Bar>,
    /// Whether earlier states are not shown.
    pub is_cut: bool,
    /// Whether its history was read yet.
    pub is_read: bool,
    pub links: JobLinks,
}

/// How a runner came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A task that was ready took the registration.
    Warm,
    /// A task was started for it.
    Cold,
}

/// How its runner came up, and how long the job had been queued then.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StartView {
    pub kind: Kind,
    pub seconds: f64,
}

/// One visit of a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bar {
    pub state: String,
    pub attempt: u32,
    pub from: Millis,
    /// `None` while it lasts.
    pub to: Option<Millis>,
    /// When its task was up.
    pub up: Option<Millis>,
    pub tries: u32,
    pub failed: bool,
    /// What came of it.
    pub said: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JobLinks {
    pub job: Option<String>,
    pub execution: Option<String>,
    pub task: Option<String>,
    pub log: Option<String>,
}

impl JobView {
    pub fn new(known: &Known, deployment: &Deployment, links: &Links, now: OffsetDateTime) -> Self {
        let timeline = known.timeline.as_ref();
        let status = status(known);
        let began = timeline.and_then(|timeline| timeline.began);
        let began = began.unwrap_or_else(|| millis(known.started_at));
        let ended = timeline
            .and_then(|timeline| timeline.ended)
            .or_else(|| known.ended_at.map(millis));
        let row = jobs::row(
            known.name.clone(),
            known.started_at,
            &known.course,
            known.task.as_ref(),
            now,
        );
        let explanation = why::explain(&evidence(known, status, deployment, now));
        let job = known.order.as_ref().map(|order| &order.job);
        let is_over = status != Status::Running;
        let queued_at = job.map(|job| millis(job.queued_at));
        let bars = timeline.map(|timeline| timeline.visits.iter());
        let bars = bars.into_iter().flatten().map(|visit| bar(visit, known));
        let bars: Vec<_> = bars.collect();
        let start = bars.iter().rev().find_map(came_up);
        let start = start.zip(queued_at).map(|((kind, at), queued)| StartView {
            kind,
            seconds: seconds(at - queued),
        });
        let task = timeline.and_then(|timeline| timeline.task());
        Self {
            execution: known.name.to_string(),
            id: known.job().0,
            repository: job.map(|job| job.repository.to_string()),
            name: job.map(|job| job.name.clone()),
            workflow: job
                .map(|job| job.workflow.clone())
                .filter(|workflow| !workflow.is_empty()),
            labels: job
                .map(|job| job.labels.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            phase: match status {
                Status::Running => row.phase.name(),
                Status::Succeeded => "succeeded",
                Status::Failed => "failed",
                Status::TimedOut => "timed out",
                Status::Aborted => "aborted",
            },
            is_over,
            reason: match bars.last() {
                _ if is_over || timeline.is_none() => String::new(),
                // Its task has been up for longer.
                Some(bar) if row.phase == Phase::Up && came_up(bar).is_some_and(is_warm) => {
                    format!(
                        "a warm task runs it, for {}",
                        why::span(time::Duration::milliseconds(
                            (millis(now) - bar.from).max(0)
                        ))
                    )
                }
                _ => short(&row.reason),
            },
            situation: explanation.situation,
            summary: explanation.summary,
            next: explanation.next,
            change: explanation.change,
            outcome: outcome(known, status),
            attempt: timeline.map_or(row.attempt, |timeline| timeline.attempt().max(row.attempt)),
            queued_at,
            began,
            ended: ended.filter(|_| is_over),
            start,
            bars,
            is_cut: timeline.is_some_and(|timeline| timeline.is_cut),
            is_read: timeline.is_some(),
            links: JobLinks {
                job: job.map(|job| links.job(job)),
                execution: links.execution(&known.name),
                task: task.and_then(|task| links.task(&task.arn)),
                log: task.and_then(|task| links.log(&task.arn)),
            },
        }
    }
}

/// The page's other numbers.
pub fn summary(watched: &Watched, jobs: &[JobView], now: OffsetDateTime) -> Value {
    let running: Vec<_> = jobs.iter().filter(|job| !job.is_over).collect();
    let in_phase = |phase: Phase| {
        let of_it = running.iter().filter(|job| job.phase == phase.name());
        of_it.count()
    };
    // Of the runners whose tasks are there.
    let tasks = watched.executions.values().filter(|known| {
        let state = known.timeline.as_ref().and_then(|it| it.visits.last());
        status(known) == Status::Running && state.is_some_and(Visit::has_runner)
    });
    let cpus = tasks.filter_map(|known| {
        let timeline = known.timeline.as_ref()?;
        timeline.task().and_then(|task| task.cpu).or(timeline.cpu)
    });
    let cpus: u32 = cpus.sum();
    let (spent, all_read) = watched.spent();
    let dollars: f64 = spent.values().map(|spent| spent.dollars).sum();
    let mut repositories: Vec<_> = spent.into_iter().collect();
    repositories.sort_by(|(_, a), (_, b)| {
        b.dollars
            .total_cmp(&a.dollars)
            .then(b.seconds.total_cmp(&a.seconds))
    });
    let stock = watched.stock.as_ref().map(|families| {
        let families = families.iter().map(|(family, stock)| {
            json!({ "family": family, "ready": stock.ready, "starting": stock.starting })
        });
        families.collect::<Vec<_>>()
    });
    let of_outcome = |name: &str| {
        let named = running.iter().filter(|job| job.reason.starts_with(name));
        named.count()
    };
    json!({
        "now": millis(now),
        "phases": {
            "queued": in_phase(Phase::Queued), "starting": in_phase(Phase::Starting),
            "up": in_phase(Phase::Up), "waiting": in_phase(Phase::Waiting),
            "ending": in_phase(Phase::Ending),
        },
        "leftOut": watched.left_out,
        "unread": watched.unread(),
        "stock": stock,
        "tasks": watched.tasks.map(|(running, pending)| json!({ "running": running, "pending": pending })),
        "vcpus": f64::from(cpus) / 1_024.0,
        "withoutCapacity": of_outcome(decisions::Outcome::NoCapacity.name()),
        "rate": watched.rate.map(|(left, at)| json!({ "left": left, "at": millis(at) })),
        "cost": {
            "dollars": dollars,
            "isRead": all_read,
            "hours": look::SPENT.whole_hours(),
            "repositories": repositories.iter().take(REPOSITORIES).map(|(name, spent)| json!({
                "name": name, "dollars": spent.dollars, "seconds": spent.seconds,
            })).collect::<Vec<_>>(),
            "others": repositories.len().saturating_sub(REPOSITORIES),
        },
        "calls": watched.calls,
        "problems": watched.problems.iter()
            .map(|(part, why)| format!("{part}: {why}")).collect::<Vec<_>>(),
    })
}

/// Repositories in the plot of the cost.
const REPOSITORIES: usize = 12;

/// How it ended, if its history tells already; the list tells later.
fn status(known: &Known) -> Status {
    match &known.timeline {
        Some(timeline) if timeline.ended.is_some() && known.status == Status::Running => {
            if timeline.failure.is_some() {
                Status::Failed
            } else {
                Status::Succeeded
            }
        }
        _ => known.status,
    }
}

/// What `why` would find at AWS.
fn evidence(
    known: &Known,
    status: Status,
    deployment: &Deployment,
    now: OffsetDateTime,
) -> Evidence {
    let mut evidence = Evidence::new(now, deployment.id.clone(), &deployment.stack, known.job());
    let timeline = known.timeline.as_ref();
    if let Some(order) = &known.order {
        let job = &mut evidence.job;
        job.repository = Some(order.job.repository.clone());
        job.name = Some(order.job.name.clone());
        job.labels = Some(order.job.labels.clone());
        job.queued_at = Some(order.job.queued_at);
    }
    let failure = timeline.and_then(|timeline| timeline.failure.clone());
    let output = timeline.and_then(|timeline| timeline.output.as_ref());
    evidence.github = match output.and_then(ended_with) {
        Some(status) => Seen::Found(status),
        None => Seen::Unknown("the console asks AWS only".to_owned()),
    };
    evidence.executions = Seen::Found(vec![ExecutionSeen {
        name: known.name.clone(),
        status,
        started_at: Some(known.started_at),
        ended_at: known.ended_at,
        error: failure.as_ref().map(|failure| failure.error.clone()),
        cause: failure.map(|failure| failure.message),
        output: timeline.and_then(|timeline| timeline.output.clone()),
        input: String::new(),
    }]);
    if timeline.is_some() {
        evidence.course = Seen::Found(known.course.clone());
    }
    if let Some(task) = &known.task {
        evidence.task = Seen::Found(task.clone());
    }
    evidence
}

/// What GitHub told `cleanup` of a job that had ended, which does not change any more.
fn ended_with(output: &ExecutionOutput) -> Option<JobStatus> {
    let conclusion = output.job.as_deref()?.strip_prefix("completed")?;
    Some(JobStatus::Completed {
        conclusion: conclusion.strip_prefix(": ").map(str::to_owned),
        runner: output.served_by.clone(),
        started_at: None,
        completed_at: None,
    })
}

/// What became of a job: GitHub's conclusion, or why the execution ended without one.
fn outcome(known: &Known, status: Status) -> String {
    let Some(timeline) = &known.timeline else {
        return String::new();
    };
    match (status, &timeline.output, &timeline.failure) {
        (Status::Running, ..) => String::new(),
        (Status::Succeeded, Some(output), _) => {
            let job = output.job.as_deref().unwrap_or_default();
            match job.strip_prefix("completed: ") {
                Some("success") => "job succeeded".to_owned(),
                Some("failure") => "job failed".to_owned(),
                Some(conclusion) => format!("job {conclusion}"),
                None if job == "in progress" => "another runner has it".to_owned(),
                None => output.outcome.name().to_owned(),
            }
        }
        (Status::Aborted, ..) => "aborted".to_owned(),
        (Status::TimedOut, ..) => "timed out".to_owned(),
        (_, _, Some(failure)) if !failure.error.is_empty() => failure.error.clone(),
        _ => status.name().to_lowercase(),
    }
}

fn bar(visit: &Visit, known: &Known) -> Bar {
    let task = visit.task.as_ref();
    // ECS's description knows earlier than the history.
    let seen = known
        .task
        .as_ref()
        .filter(|seen| task.is_some_and(|task| task.arn == seen.arn));
    let up = task
        .and_then(|task| task.up)
        .or_else(|| seen.and_then(|seen| seen.started_at).map(millis));
    Bar {
        state: visit.state.clone(),
        attempt: visit.attempt,
        from: visit.from,
        to: visit.to,
        // The clocks differ a little.
        up: up
            .filter(|_| visit.has_runner())
            .map(|up| up.clamp(visit.from, visit.to.unwrap_or(Millis::MAX))),
        tries: visit.tries,
        failed: visit.failure.as_ref().is_some_and(is_fault),
        said: visit.failure.as_ref().map(told).unwrap_or_default(),
    }
}

/// When a runner came up, and how. A warm task is up already, so it counts from when it took the
/// registration.
fn came_up(bar: &Bar) -> Option<(Kind, Millis)> {
    match bar.state.parse() {
        Ok(State::WarmRunner) => Some((Kind::Warm, bar.from)),
        Ok(State::Runner) => Some((Kind::Cold, bar.up?)),
        _ => None,
    }
}

fn is_warm((kind, _): (Kind, Millis)) -> bool {
    kind == Kind::Warm
}

/// Whether a step failed; a verdict is an error by name only.
fn is_fault(failure: &StepFailure) -> bool {
    Fault::from_name(&failure.error).is_none_or(|fault| fault.class() != Class::Verdict)
}

/// A step's error in words: verdicts of `cleanup` are JSON.
fn told(failure: &StepFailure) -> String {
    let StepFailure { error, message } = failure;
    match error.as_str() {
        "StillQueued" => {
            if let Ok(next) = serde_json::from_str::<NextAttempt>(message) {
                return format!(
                    "still queued after {}; attempt {} in {} s",
                    next.outcome.name(),
                    next.attempt.number,
                    next.wait_seconds
                );
            }
        }
        "NoFreeSlot" => {
            if let Ok(slot) = serde_json::from_str::<SlotAwaited>(message) {
                return slot.detail;
            }
        }
        "Deferred" => return format!("starts in {message} s, if the job is still queued"),
        "GitHubRateLimited" => return format!("GitHub's rate limit: {message} s"),
        _ => {}
    }
    if message.is_empty() {
        return error.clone();
    }
    short(&format!("{error}: {message}"))
}

/// A text without what AWS's SDK for Java adds to an error, and not too long.
fn short(text: &str) -> String {
    let Some((start, rest)) = text.split_once(" (Service: ") else {
        return cut(text);
    };
    let end = rest.split_once("Proxy: null)").map_or("", |(_, end)| end);
    cut(&format!("{start}{end}"))
}

fn cut(text: &str) -> String {
    if text.chars().count() <= MESSAGE {
        return text.to_owned();
    }
    let mut text: String = text.chars().take(MESSAGE).collect();
    text.push('…');
    text
}

/// Milliseconds since 1970.
pub fn millis(at: OffsetDateTime) -> Millis {
    at.unix_timestamp() * 1_000 + i64::from(at.millisecond())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "durations are far below 2^53 ms"
)]
fn seconds(millis: Millis) -> f64 {
    millis.max(0) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_of(error: &str, message: &str) -> String {
        told(&StepFailure {
            error: error.to_owned(),
            message: message.to_owned(),
        })
    }

    #[test]
    fn an_error_is_told_without_what_an_sdk_adds() {
        let message = "Capacity is unavailable at this time. (Service: AmazonECS; Status Code: 400; Error Code: \
                       AmazonECSException; Request ID: 1; Proxy: null)";
        assert_eq!(
            told_of("ECS.AmazonECSException", message),
            "ECS.AmazonECSException: Capacity is unavailable at this time."
        );
        assert_eq!(
            short("a (Service: b; Proxy: null); goes on in 9 s"),
            "a; goes on in 9 s"
        );
        assert_eq!(
            told_of("Deferred", "75"),
            "starts in 75 s, if the job is still queued"
        );
        assert_eq!(
            told_of("StillQueued", "of a newer version"),
            "StillQueued: of a newer version"
        );
        assert_eq!(told_of("Lambda.Unknown", ""), "Lambda.Unknown");
    }

    #[test]
    fn a_verdict_is_no_fault() {
        for (error, fault) in [
            ("StillQueued", false),
            ("Deferred", false),
            ("NoCapacity", true),
            ("States.TaskFailed", true),
            ("AppNotInstalled", true),
        ] {
            let failure = StepFailure {
                error: error.to_owned(),
                message: String::new(),
            };
            assert_eq!(is_fault(&failure), fault, "{error}");
        }
    }

    #[test]
    fn a_warm_start_counts_from_its_registration_and_a_cold_one_from_its_task() {
        let bar = |state: &str, up| Bar {
            state: state.to_owned(),
            attempt: 1,
            from: 100,
            to: None,
            up,
            tries: 1,
            failed: false,
            said: String::new(),
        };
        assert_eq!(came_up(&bar("WarmRunner", None)), Some((Kind::Warm, 100)));
        assert_eq!(came_up(&bar("Runner", Some(300))), Some((Kind::Cold, 300)));
        assert_eq!(came_up(&bar("Runner", None)), None);
        assert_eq!(came_up(&bar("Cleanup", Some(300))), None);
    }
}
