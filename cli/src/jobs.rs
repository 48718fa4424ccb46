//! `jobs`: every running execution, where it is and why.
//!
//! Only AWS is asked. So `up` means that a job's runner is up; whether it has the job, GitHub knows
//! (`why`).

use futures_util::StreamExt as _;
use futures_util::stream;
use protocol::{ExecutionName, RunnerName, State};
use serde::Serialize;
use time::OffsetDateTime;

use crate::cloud::Cloud;
use crate::why::{Course, Pause, Seen, TaskSeen, span};
use crate::{Deployment, Error};

/// Histories that are read at a time: `GetExecutionHistory` has a small bucket for the account.
const IN_FLIGHT: usize = 5;

/// What an execution is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Its runner is being chosen, planned or registered.
    Queued,
    /// Its task is coming up.
    Starting,
    /// Its runner's task is up.
    Up,
    /// It pauses before its next attempt, or for GitHub's rate limit.
    Waiting,
    /// An attempt has ended.
    Ending,
    /// Its history cannot be read.
    Unknown,
}

impl Phase {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Waiting => "waiting",
            Self::Ending => "ending",
            Self::Unknown => "unknown",
        }
    }
}

/// A running execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub execution: ExecutionName,
    pub phase: Phase,
    /// Since its execution started.
    pub age_seconds: i64,
    pub attempt: u32,
    /// Why it is there, and what comes next.
    pub reason: String,
}

/// All rows, and how many executions were left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Jobs {
    pub jobs: Vec<Row>,
    pub left_out: usize,
}

/// Looks at the `limit` running executions that started last.
pub async fn look(
    cloud: &Cloud,
    deployment: &Deployment,
    limit: usize,
    now: OffsetDateTime,
) -> Result<Jobs, Error> {
    let running = cloud
        .executions
        .list(decisions::Status::Running, 1_000)
        .await?;
    let left_out = running.len().saturating_sub(limit);
    let read = running.into_iter().take(limit).map(|listed| async move {
        let course = match cloud.course(&listed.name).await {
            Seen::Found(course) => Ok(course),
            Seen::Nothing => Ok(Course::default()),
            Seen::Unknown(why) => Err(why),
        };
        (listed, course)
    });
    let read: Vec<_> = stream::iter(read).buffered(IN_FLIGHT).collect().await;
    let courses = read.iter().filter_map(|(_, course)| course.as_ref().ok());
    let arns: Vec<_> = courses
        .filter(|course| has_task(course))
        .filter_map(|course| course.task.clone())
        .collect();
    let tasks = cloud.tasks(&deployment.cluster, &arns).await?;
    let rows = read.into_iter().map(|(listed, course)| match course {
        Ok(course) => {
            let task = tasks
                .iter()
                .find(|task| Some(&task.arn) == course.task.as_ref());
            row(listed.name, listed.started_at, &course, task, now)
        }
        Err(why) => Row {
            execution: listed.name,
            phase: Phase::Unknown,
            age_seconds: (now - listed.started_at).whole_seconds().max(0),
            attempt: 1,
            reason: format!("its history cannot be read: {why}"),
        },
    });
    let mut jobs: Vec<_> = rows.collect();
    jobs.sort_by_key(|row| (row.phase, -row.age_seconds));
    Ok(Jobs { jobs, left_out })
}

fn has_task(course: &Course) -> bool {
    matches!(
        course.known_state(),
        Some(State::Runner | State::WarmRunner)
    )
}

/// Tells where an execution is. Pure.
pub fn row(
    execution: ExecutionName,
    started_at: OffsetDateTime,
    course: &Course,
    task: Option<&TaskSeen>,
    now: OffsetDateTime,
) -> Row {
    let planned = course.runner.as_ref().map_or(1, RunnerName::attempt);
    let (phase, attempt, reason) = match (course.known_state(), task) {
        (Some(State::Runner | State::WarmRunner), Some(task)) if task.status == "RUNNING" => {
            let up = task.started_at.map(|at| format!(" for {}", span(now - at)));
            let reason = format!("its runner is up{}", up.unwrap_or_default());
            (Phase::Up, planned, reason)
        }
        (Some(State::Runner | State::WarmRunner), Some(task)) => {
            let on = task.capacity.as_ref().map(|on| format!(" on {on}"));
            let reason = format!("its task is {}{}", task.status, on.unwrap_or_default());
            (Phase::Starting, planned, reason)
        }
        (Some(State::Runner | State::WarmRunner), None) => (
            Phase::Starting,
            planned,
            "ECS is asked for its task".to_owned(),
        ),
        (Some(State::Wait | State::WaitForGitHub | State::WaitForSlot), _) => {
            waiting(course, planned, now)
        }
        (Some(State::Cleanup | State::Failed | State::Unmatched), _) => {
            (Phase::Ending, planned, failure(course))
        }
        (Some(state), _) => {
            let said = failure(course);
            let said = if said.is_empty() {
                said
            } else {
                format!("; {said}")
            };
            (Phase::Queued, planned, format!("in state {state}{said}"))
        }
        (None, _) => {
            let state = course.state.as_deref().unwrap_or("none yet");
            (Phase::Queued, planned, format!("in state {state}"))
        }
    };
    Row {
        execution,
        phase,
        age_seconds: (now - started_at).whole_seconds().max(0),
        attempt,
        reason,
    }
}

fn waiting(course: &Course, planned: u32, now: OffsetDateTime) -> (Phase, u32, String) {
    let pause = course.pause();
    let left = pause
        .as_ref()
        .zip(course.entered_at)
        .and_then(|(pause, at)| {
            let length = time::Duration::seconds(i64::try_from(pause.seconds()).ok()?);
            Some(at.checked_add(length)? - now)
        });
    let goes_on = left.map_or_else(String::new, |left| format!("; goes on in {}", span(left)));
    let (attempt, why) = match pause {
        Some(Pause::Retry(next)) => (
            next.attempt.number,
            format!("{}: {}", next.outcome.name(), next.detail),
        ),
        Some(Pause::Deferred { .. }) => (planned, "another runner may take it".to_owned()),
        Some(Pause::RateLimit { .. }) => (planned, "GitHub's rate limit".to_owned()),
        Some(Pause::Slot(slot)) => (planned, slot.detail),
        None => (planned, failure(course)),
    };
    (Phase::Waiting, attempt, format!("{why}{goes_on}"))
}

fn failure(course: &Course) -> String {
    course.failure.as_ref().map_or_else(String::new, |failure| {
        let message: String = failure.message.chars().take(160).collect();
        format!("{}: {message}", failure.error)
    })
}

#[cfg(test)]
mod tests {
    use decisions::{Attempt, NextAttempt, Outcome};
    use time::macros::datetime;

    use super::*;
    use crate::why::StepFailure;

    const NOW: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

    fn course(state: &str, error: &str, message: &str) -> Course {
        Course {
            state: Some(state.to_owned()),
            entered_at: Some(NOW - time::Duration::seconds(30)),
            runner: Some("fr-hello-7".parse().unwrap()),
            task: Some("arn".to_owned()),
            slot: None,
            failure: (!error.is_empty()).then(|| StepFailure {
                error: error.to_owned(),
                message: message.to_owned(),
            }),
        }
    }

    fn task(status: &str) -> TaskSeen {
        TaskSeen {
            arn: "arn".to_owned(),
            status: status.to_owned(),
            created_at: None,
            started_at: (status == "RUNNING").then(|| NOW - time::Duration::minutes(5)),
            stopped_at: None,
            capacity: Some("FARGATE".to_owned()),
            stop_code: None,
            stopped_reason: None,
            exit_code: None,
            reason: None,
        }
    }

    #[test]
    fn each_state_is_a_phase_with_its_reason() {
        let retry = serde_json::to_string(&NextAttempt {
            outcome: Outcome::NoCapacity,
            detail: "no room".to_owned(),
            wait_seconds: 90,
            attempt: Attempt {
                number: 2,
                ..Attempt::first()
            },
        })
        .unwrap();
        for (course, task, phase, attempt, reason) in [
            (
                course("Match", "", ""),
                None,
                Phase::Queued,
                1,
                "in state Match",
            ),
            (
                course("Token", "GitHubUnavailable", "502"),
                None,
                Phase::Queued,
                1,
                "in state Token; GitHubUnavailable: 502",
            ),
            (
                course("Runner", "", ""),
                None,
                Phase::Starting,
                1,
                "ECS is asked for its task",
            ),
            (
                course("Runner", "", ""),
                Some(task("PENDING")),
                Phase::Starting,
                1,
                "its task is PENDING on FARGATE",
            ),
            (
                course("WarmRunner", "", ""),
                Some(task("RUNNING")),
                Phase::Up,
                1,
                "its runner is up for 5 min",
            ),
            (
                course("Wait", "StillQueued", &retry),
                None,
                Phase::Waiting,
                2,
                "NoCapacity: no room; goes on in 60 s",
            ),
            (
                course("WaitForGitHub", "GitHubRateLimited", "90"),
                None,
                Phase::Waiting,
                1,
                "GitHub's rate limit; goes on in 60 s",
            ),
            (
                course("Cleanup", "States.TaskFailed", "x"),
                None,
                Phase::Ending,
                1,
                "States.TaskFailed: x",
            ),
            (
                course("Dreaming", "", ""),
                None,
                Phase::Queued,
                1,
                "in state Dreaming",
            ),
        ] {
            let row = row(
                "hello-7".parse().unwrap(),
                NOW - time::Duration::minutes(10),
                &course,
                task.as_ref(),
                NOW,
            );
            let told = (row.phase, row.attempt, row.reason.as_str());
            assert_eq!(told, (phase, attempt, reason), "{course:?}");
            assert_eq!(row.age_seconds, 600);
        }
    }
}
