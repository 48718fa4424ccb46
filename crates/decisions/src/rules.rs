//! Decides what follows an attempt.

use std::time::Duration;

use protocol::Fault;

use crate::attempt::{Attempt, UNPICKED_SIGN};
use crate::give_up::GiveUp;
use crate::job::JobStatus;
use crate::outcome::Ended;
use crate::outcomes::{Outcome, OutcomeClass};

/// Maximum back-off after runners that GitHub never assigned a job. Each costs some minutes of a
/// task, and such trouble lasts for hours (actions/runner issues 3857, 4076 and 4726).
const UNPICKED_BACKOFF: Duration = Duration::from_mins(15);
/// Maximum back-off for missing capacity. Fargate's shortages end within minutes.
const CAPACITY_BACKOFF: Duration = Duration::from_mins(10);
/// Maximum back-off after a fault.
const FAULT_BACKOFF: Duration = Duration::from_mins(15);

/// Limits of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Attempts that may end in a fault.
    pub faults: u32,
    /// How long a job may be queued; GitHub cancels it after 24 hours.
    pub queue: Duration,
    /// Minimum pause before a retry: GitHub can show an idle runner beside a queued job for about a
    /// minute.
    pub grace: Duration,
}

/// The input of [`judge`].
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The attempt's outcome.
    pub ended: &'a Ended,
    pub attempt: &'a Attempt,
    /// The job's status; `None` if GitHub was not asked or did not answer. An unconfirmed 404 is no
    /// answer either: an execution never succeeds because of it.
    pub job: Option<&'a JobStatus>,
    /// Time in the queue in this stay: an approval starts a new stay.
    pub queued_for: Duration,
    /// Whether other jobs of the runner's scope were picked up meanwhile; `None` if unknown.
    pub others_picked_up: Option<bool>,
    /// Whether a later execution of the same job is running.
    pub successor: bool,
    pub budget: Budget,
}

/// What follows an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The job left the queue, or another execution owns it: this one ends.
    End,
    /// The job is still queued: retry.
    Relaunch {
        /// Pause before the retry.
        after: Duration,
        /// The next attempt.
        attempt: Attempt,
    },
    /// A retry would not help.
    GiveUp {
        /// Its name is the execution's error.
        reason: GiveUp,
        /// What happened and what to change.
        cause: String,
    },
}

/// Decides what follows an attempt. *Whether* to retry depends only on the job's status, never on
/// what the runner did; *how* and *when* depend on the outcome. `jitter` is a random number in
/// `0..1`.
pub fn judge(situation: &Situation<'_>, jitter: f64) -> Verdict {
    let Situation {
        ended,
        attempt,
        budget,
        ..
    } = *situation;
    let left_the_queue = situation.job.is_some_and(|job| *job != JobStatus::Queued);
    if left_the_queue || situation.successor || ended.outcome == Outcome::NotNeeded {
        return Verdict::End;
    }
    let kind = ended.class();
    if kind != OutcomeClass::Permanent && situation.queued_for >= budget.queue {
        return queue_limit(situation, kind);
    }
    let mut next = Attempt {
        number: attempt.number.saturating_add(1),
        ..attempt.clone()
    };
    // The job's stay in the queue bounds transient causes. A count would lose every job that waits
    // while GitHub or AWS has trouble for longer than a few attempts.
    let backoff = match kind {
        OutcomeClass::Permanent => {
            return Verdict::GiveUp {
                reason: GiveUp::of(ended.outcome, ended.fault),
                cause: permanent_cause(ended),
            };
        }
        OutcomeClass::Capacity => {
            next.refusals = next.refusals.saturating_add(1);
            next.capacity_step = next.capacity_step.saturating_add(1);
            next.subnet_step = next.subnet_step.saturating_add(1);
            doubled(budget.grace, next.refusals, CAPACITY_BACKOFF)
        }
        // GitHub says how long to wait.
        OutcomeClass::External if ended.fault == Some(Fault::GitHubRateLimited) => {
            Duration::from_secs(30)
        }
        OutcomeClass::External => {
            next.refusals = next.refusals.saturating_add(1);
            // Another subnet may have a route to GitHub; for a rate limit the subnet does not
            // matter.
            next.subnet_step = next.subnet_step.saturating_add(1);
            doubled(budget.grace, next.refusals, CAPACITY_BACKOFF)
        }
        OutcomeClass::Unpicked => {
            next.refusals = 0;
            next.unpicked = next.unpicked.saturating_add(1);
            doubled(budget.grace / 2, next.unpicked, UNPICKED_BACKOFF)
        }
        OutcomeClass::Ran => {
            next.refusals = 0;
            next.unpicked = 0;
            budget.grace / 2
        }
        OutcomeClass::Fault => {
            next.faults = next.faults.saturating_add(1);
            next.refusals = 0;
            next.unpicked = 0;
            if ended.outcome == Outcome::TaskNeverStarted {
                next.subnet_step = next.subnet_step.saturating_add(1);
            }
            if next.faults >= budget.faults {
                return Verdict::GiveUp {
                    reason: GiveUp::BudgetSpent,
                    cause: spent_cause(next.faults, ended),
                };
            }
            doubled(budget.grace, next.faults, FAULT_BACKOFF)
        }
    };
    // GitHub asks for an hour at most; waiting beyond the job's stay in the queue would be useless.
    let asked = Duration::from_secs(ended.retry_after.unwrap_or(0)).min(budget.queue);
    let least = budget.grace.max(asked);
    Verdict::Relaunch {
        after: least + backoff.mul_f64(jitter.clamp(0.0, 1.0)),
        attempt: next,
    }
}

fn doubled(base: Duration, times: u32, most: Duration) -> Duration {
    base.saturating_mul(1 << times.saturating_sub(1).min(16))
        .min(most)
}

/// The job's day in the queue is over. Runners that got no job have their own error, because an
/// operator can act on it and because the job may be restarted.
fn queue_limit(situation: &Situation<'_>, kind: OutcomeClass) -> Verdict {
    let hours = situation.queued_for.as_secs() / 3_600;
    let detail = &situation.ended.detail;
    let unpicked = situation.attempt.unpicked.saturating_add(1);
    if kind == OutcomeClass::Unpicked && unpicked >= UNPICKED_SIGN {
        return Verdict::GiveUp {
            reason: GiveUp::NeverPickedUp,
            cause: unpicked_cause(unpicked, hours, situation.others_picked_up),
        };
    }
    Verdict::GiveUp {
        reason: GiveUp::QueueLimit,
        cause: format!(
            "the job has been queued for {hours} h, the limit; last outcome: {detail}. Fix the cause, then re-run the job"
        ),
    }
}

fn permanent_cause(ended: &Ended) -> String {
    let advice = match ended.outcome {
        Outcome::RunnerTooOld => {
            "GitHub rejects this runner version. Rebuild the runner image with a current actions/runner and deploy it"
        }
        Outcome::ImageRefused => {
            "cannot pull the image. Check its name and tag in the task definition, its architecture, and the execution role's ECR permissions"
        }
        Outcome::Misconfigured => {
            "the task's image or environment is wrong. Check the image's entrypoint and the agent's log"
        }
        Outcome::TaskRefused => {
            "ECS rejects the task. Check the subnets, security groups and capacity providers, the execution role's permissions, and the state machine role's ecs:RunTask, ecs:TagResource and iam:PassRole"
        }
        _ => return ended.detail.clone(),
    };
    format!("{advice}. ECS or the agent reported: {}", ended.detail)
}

/// Blames the runner group only if other jobs of the scope were picked up meanwhile; otherwise the
/// trouble is GitHub's and affects everyone.
fn unpicked_cause(unpicked: u32, hours: u64, others: Option<bool>) -> String {
    let reason = match others {
        Some(true) => {
            "Other jobs of this scope were picked up meanwhile, so most likely the runner group is not visible to this job's repository or workflow, or does not allow public repositories: check it under the organization's Actions settings, then re-run the job"
        }
        Some(false) => {
            "No other job of this scope was picked up meanwhile, so most likely GitHub assigned no jobs: check githubstatus.com. The job is restarted once a runner of this deployment has had a job; if it has left the queue by then, re-run it"
        }
        None => {
            "Check githubstatus.com and whether the runner group is visible to the job's repository, then re-run the job"
        }
    };
    format!(
        "{unpicked} consecutive runners listened and got no job, and the job has been queued for {hours} h, the limit. {reason}. If the job is leased to a dead runner, cancel and re-run it"
    )
}

fn spent_cause(faults: u32, ended: &Ended) -> String {
    if ended.outcome == Outcome::ImageMissing {
        return format!(
            "the image was not found in {faults} attempts. Push it, or check its name and tag in the task definition. ECS reported: {}",
            ended.detail
        );
    }
    format!(
        "{faults} attempts failed and the job is still queued; last outcome: {}. If the job is leased to a dead runner, cancel and re-run it",
        ended.detail
    )
}

#[cfg(test)]
mod tests;
