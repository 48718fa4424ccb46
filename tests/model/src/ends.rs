//! Ends of an attempt, as ECS and the handlers report them. The production code parses them.

use std::sync::LazyLock;

use decisions::{AgentExit, Ended, EndedContainer, EndedTask, StepError};

/// The end of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// A job ran to its end on the runner.
    RanJob,
    /// The task was stopped during a job.
    LostInJob,
    /// The agent's watchdog ended an idle runner.
    Idle,
    /// GitHub deleted the runner.
    LetGo,
    /// The task was stopped.
    Stopped,
    /// Spot took the task back.
    Interrupted,
    /// The listener failed.
    Broke,
    /// The registration was missing from SSM.
    NoParameter,
    /// GitHub rejected the registration.
    Refused,
    /// RunTask found no capacity.
    NoCapacity,
    /// GitHub failed during `token`.
    TokenFailed,
    /// `token` was rate limited by GitHub.
    RateLimited,
    /// The listener never reached GitHub.
    NoConnection,
    /// RunTask was throttled for longer than its retries.
    Throttled,
    /// `token` found that the job left the queue.
    NotNeeded,
    /// A warm task ended without a registration.
    Released,
    /// The wait for a warm task could not be written.
    WaitFailed,
    /// The wait for a warm task exceeded its timeout.
    WaitTimedOut,
    /// `token` crashed.
    TokenCrashed,
    /// ECS no longer knows how a warm task ended.
    Forgotten,
}

const ALL: [End; 20] = [
    End::RanJob,
    End::LostInJob,
    End::Idle,
    End::LetGo,
    End::Stopped,
    End::Interrupted,
    End::Broke,
    End::NoParameter,
    End::Refused,
    End::NoCapacity,
    End::TokenFailed,
    End::RateLimited,
    End::NoConnection,
    End::Throttled,
    End::NotNeeded,
    End::Released,
    End::WaitFailed,
    End::WaitTimedOut,
    End::TokenCrashed,
    End::Forgotten,
];

static READ: LazyLock<Vec<Ended>> = LazyLock::new(|| ALL.iter().map(|end| read(*end)).collect());

impl End {
    /// The outcome that the `decisions` crate reads from it.
    pub fn ended(self) -> &'static Ended {
        let at = ALL.iter().position(|end| *end == self).unwrap_or_default();
        &READ[at]
    }
}

fn read(end: End) -> Ended {
    match end {
        End::RanJob => exited(AgentExit::RanJob, "EssentialContainerExited"),
        End::LostInJob => exited(AgentExit::StoppedInJob, "SpotInterruption"),
        End::Idle => exited(AgentExit::Idle, "EssentialContainerExited"),
        End::LetGo => exited(AgentExit::EndedWithoutJob, "EssentialContainerExited"),
        End::Stopped => exited(AgentExit::Stopped, "UserInitiated"),
        End::Interrupted => exited(AgentExit::Stopped, "SpotInterruption"),
        End::Broke => exited(AgentExit::ListenerFailed, "EssentialContainerExited"),
        End::NoParameter => exited(
            AgentExit::RegistrationUnavailable,
            "EssentialContainerExited",
        ),
        End::Refused => exited(AgentExit::Refused, "EssentialContainerExited"),
        End::NoCapacity => failed("ECS.AmazonECSException", "Capacity is unavailable"),
        End::TokenFailed => failed("GitHubUnavailable", "{\"errorMessage\":\"502\"}"),
        End::RateLimited => failed("GitHubRateLimited", "{\"errorMessage\":\"60\"}"),
        End::NoConnection => exited(AgentExit::NoConnection, "EssentialContainerExited"),
        End::Throttled => failed("Throttled", "{\"errorMessage\":\"Rate exceeded\"}"),
        End::NotNeeded => failed("JobNotQueued", "{\"errorMessage\":\"in progress\"}"),
        End::Released => exited(AgentExit::Released, "EssentialContainerExited"),
        End::WaitFailed => failed(
            "DynamoDb.ConditionalCheckFailedException",
            "the condition failed",
        ),
        End::WaitTimedOut => failed("States.Timeout", ""),
        End::Forgotten => failed("AwsUnavailable", "{\"errorMessage\":\"unknown\"}"),
        End::TokenCrashed => failed("Runtime.ExitError", "{\"errorMessage\":\"exited\"}"),
    }
}

fn exited(exit: AgentExit, stop_code: &str) -> Ended {
    Ended::from_task(&EndedTask {
        stop_code: Some(stop_code.to_owned()),
        containers: vec![EndedContainer {
            name: "runner".to_owned(),
            exit_code: Some(i32::from(exit.code())),
            reason: None,
        }],
        ..EndedTask::default()
    })
}

fn failed(error: &str, cause: &str) -> Ended {
    Ended::from_error(&StepError {
        error: error.to_owned(),
        cause: cause.to_owned(),
    })
}
