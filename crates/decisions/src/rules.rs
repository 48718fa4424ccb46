//! What follows an attempt.

use std::time::Duration;

use protocol::Fault;

use crate::attempt::{Attempt, UNPICKED_SIGN};
use crate::outcome::{Ended, Outcome, OutcomeClass};

/// The longest back-off after runners that nobody gave a job. Each of them costs some minutes of a
/// task, and trouble at GitHub lasts for hours (actions/runner issues 3857, 4076 and 4726).
const UNPICKED_BACKOFF: Duration = Duration::from_mins(15);
/// The longest back-off for want of capacity. Fargate's bottlenecks pass within minutes.
const CAPACITY_BACKOFF: Duration = Duration::from_mins(10);
/// The longest back-off after a fault.
const FAULT_BACKOFF: Duration = Duration::from_mins(15);

/// Where a job stands at GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobStatus {
    /// It wants a runner.
    Queued,
    /// It waits for an approval or for its concurrency group; a new `queued` event will follow.
    Waiting,
    /// A runner runs it.
    InProgress {
        /// That runner's name.
        runner: Option<String>,
    },
    /// It is over.
    Completed {
        /// The runner that ran it; none where it was cancelled before one took it.
        runner: Option<String>,
    },
    /// It is gone: its run was deleted. A 404 alone does not say so, see
    /// [`on_not_found`](crate::on_not_found).
    Absent,
}

impl JobStatus {
    /// The name of the runner that took the job.
    pub fn runner(&self) -> Option<&str> {
        match self {
            Self::InProgress { runner } | Self::Completed { runner } => runner.as_deref(),
            Self::Queued | Self::Waiting | Self::Absent => None,
        }
    }
}

/// How much an execution may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Attempts that end in a fault.
    pub faults: u32,
    /// How long a job may stay in GitHub's queue; GitHub drops it after 24 hours.
    pub queue: Duration,
    /// The least pause before a job is launched for again: an idle runner and a queued job can
    /// coexist at GitHub for about a minute.
    pub grace: Duration,
}

/// What [`judge`] looks at.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What became of the attempt.
    pub ended: &'a Ended,
    /// Which attempt that was.
    pub attempt: &'a Attempt,
    /// Where the job stands; `None` where GitHub was not asked or did not say. A 404 that nothing
    /// else confirms is no answer either, and an execution never ends well on it.
    pub job: Option<&'a JobStatus>,
    /// How long the job has been in the queue, this time: an approval begins a new stay.
    pub queued_for: Duration,
    /// Whether other jobs of the runner's scope were picked up while this one waited; `None` where
    /// nobody looked.
    pub others_picked_up: Option<bool>,
    /// Whether a later execution of the same job is already at work.
    pub successor: bool,
    /// What may be spent.
    pub budget: Budget,
}

/// What follows an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The job left the queue, or another execution works for it: this one is done.
    End,
    /// The job still waits: launch again.
    Relaunch {
        /// After this long.
        after: Duration,
        /// As this attempt.
        attempt: Attempt,
    },
    /// Launching again would not help.
    GiveUp {
        /// The execution's error name.
        error: String,
        /// What happened and what to change.
        cause: String,
    },
}

/// Decides what follows an attempt. *Whether* depends on GitHub's word about the job alone, never on
/// what the runner did; *how* and *when* depend on the outcome. `jitter` is a random number in `0..1`.
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
        // The job may be given to another runner while we wait: a runner that nobody needs would idle.
        recheck: true,
        ..attempt.clone()
    };
    // What passes by itself is bounded by the job's stay in the queue. A count would lose every job
    // that waits while GitHub or AWS has trouble for longer than a few attempts take.
    let backoff = match kind {
        OutcomeClass::Permanent => {
            return give_up(
                ended.fault.map_or(ended.outcome.name(), Fault::name),
                permanent_cause(ended),
            );
        }
        OutcomeClass::Capacity => {
            next.refusals = next.refusals.saturating_add(1);
            next.capacity_step = next.capacity_step.saturating_add(1);
            next.subnet_step = next.subnet_step.saturating_add(1);
            doubled(budget.grace, next.refusals, CAPACITY_BACKOFF)
        }
        // GitHub has said for how long.
        OutcomeClass::External if ended.fault == Some(Fault::GitHubRateLimited) => {
            Duration::from_secs(30)
        }
        OutcomeClass::External => {
            next.refusals = next.refusals.saturating_add(1);
            // Another subnet may have a way to GitHub; for a rate limit the subnet is all the same.
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
                return give_up("BudgetSpent", spent_cause(next.faults, ended));
            }
            doubled(budget.grace, next.faults, FAULT_BACKOFF)
        }
    };
    // GitHub asks for an hour at most; a wait beyond the job's stay in the queue would help nobody.
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

/// The job's day in the queue is over. Runners that nobody gave a job have an error of their own,
/// because a person can do something about it and because it may be restarted.
fn queue_limit(situation: &Situation<'_>, kind: OutcomeClass) -> Verdict {
    let hours = situation.queued_for.as_secs() / 3_600;
    let detail = &situation.ended.detail;
    let unpicked = situation.attempt.unpicked.saturating_add(1);
    if kind == OutcomeClass::Unpicked && unpicked >= UNPICKED_SIGN {
        return give_up(
            "NeverPickedUp",
            unpicked_cause(unpicked, hours, situation.others_picked_up),
        );
    }
    give_up(
        "QueueLimit",
        format!(
            "the job has been queued for {hours} h, the limit; last: {detail}. Re-run it once the reason is mended"
        ),
    )
}

fn give_up(error: &str, cause: String) -> Verdict {
    Verdict::GiveUp {
        error: error.to_owned(),
        cause,
    }
}

fn permanent_cause(ended: &Ended) -> String {
    let advice = match ended.outcome {
        Outcome::RunnerTooOld => {
            "GitHub refuses this runner version. Rebuild the runner image with a current actions/runner and deploy it"
        }
        Outcome::ImageRefused => {
            "the image cannot be pulled. Check its name and tag in the task definition, its architecture, and the execution role's ECR permissions"
        }
        Outcome::Misconfigured => {
            "the task's image or environment is not this system's. Check the image's entrypoint and the agent's log"
        }
        Outcome::TaskRefused => {
            "ECS refuses the task. Check the subnets, security groups and capacity providers, the execution role's permissions, and the state machine role's ecs:RunTask, ecs:TagResource and iam:PassRole"
        }
        _ => return ended.detail.clone(),
    };
    format!("{advice}. ECS or the agent said: {}", ended.detail)
}

/// The runner group is blamed only where other jobs of the scope were picked up meanwhile: where
/// none was, the trouble is GitHub's and has hit everybody.
fn unpicked_cause(unpicked: u32, hours: u64, others: Option<bool>) -> String {
    let reason = match others {
        Some(true) => {
            "Other jobs of this scope were picked up meanwhile, so most likely the runner group is not visible to this job's repository or workflow, or does not allow public repositories: check it under the organization's Actions settings, then re-run the job"
        }
        Some(false) => {
            "No other job of this scope was picked up meanwhile either, so most likely GitHub assigned no jobs: check githubstatus.com. The job is restarted once a runner of this deployment has had a job; if it has left the queue by then, re-run it"
        }
        None => {
            "Check githubstatus.com and whether the runner group is visible to the job's repository, then re-run the job"
        }
    };
    format!(
        "{unpicked} runners in a row listened and got no job, and the job has been queued for {hours} h, the limit. {reason}. If the job is leased to a runner that died, cancel and re-run it"
    )
}

fn spent_cause(faults: u32, ended: &Ended) -> String {
    if ended.outcome == Outcome::ImageMissing {
        return format!(
            "the image was not found in {faults} attempts. Push it, or check its name and tag in the task definition. ECS said: {}",
            ended.detail
        );
    }
    format!(
        "{faults} attempts were spent on faults and the job is still queued; last: {}. If it is leased to a runner that died, cancel and re-run it",
        ended.detail
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::StepError;

    const BUDGET: Budget = Budget {
        faults: 5,
        queue: Duration::from_hours(24),
        grace: Duration::from_secs(90),
    };

    fn ended(outcome: Outcome) -> Ended {
        Ended {
            outcome,
            fault: None,
            detail: "detail".into(),
            task: None,
            retry_after: None,
        }
    }

    fn verdict(outcome: Outcome, attempt: &Attempt, job: &JobStatus) -> Verdict {
        let situation = Situation {
            ended: &ended(outcome),
            attempt,
            job: Some(job),
            queued_for: Duration::from_mins(1),
            others_picked_up: None,
            successor: false,
            budget: BUDGET,
        };
        judge(&situation, 0.5)
    }

    #[test]
    fn a_job_that_left_the_queue_ends_well_whatever_the_runner_did() {
        let left = [
            JobStatus::Waiting,
            JobStatus::InProgress {
                runner: Some("other".into()),
            },
            JobStatus::Completed { runner: None },
            JobStatus::Absent,
        ];
        for outcome in Outcome::ALL {
            for job in &left {
                assert_eq!(
                    verdict(*outcome, &Attempt::first(), job),
                    Verdict::End,
                    "{outcome:?} {job:?}"
                );
            }
        }
    }

    #[test]
    fn a_queued_job_is_never_ended_well() {
        for outcome in Outcome::ALL
            .iter()
            .filter(|outcome| **outcome != Outcome::NotNeeded)
        {
            assert_ne!(
                verdict(*outcome, &Attempt::first(), &JobStatus::Queued),
                Verdict::End,
                "{outcome:?}"
            );
        }
    }

    #[test]
    fn no_relaunch_comes_before_the_grace() {
        for outcome in Outcome::ALL {
            if let Verdict::Relaunch { after, attempt } =
                verdict(*outcome, &Attempt::first(), &JobStatus::Queued)
            {
                assert!(after >= BUDGET.grace, "{outcome:?}");
                assert_eq!(attempt.number, 2);
            }
        }
    }

    #[test]
    fn spot_goes_on_demand_next_and_costs_no_fault() {
        let Verdict::Relaunch { attempt, .. } = verdict(
            Outcome::SpotInterruption,
            &Attempt::first(),
            &JobStatus::Queued,
        ) else {
            panic!("a spot interruption passes");
        };
        assert_eq!((attempt.capacity_step, attempt.faults), (1, 0));
    }

    #[test]
    fn faults_are_bounded_by_count_and_say_so() {
        let mut attempt = Attempt::first();
        for launches in 1.. {
            match verdict(Outcome::ListenerFailed, &attempt, &JobStatus::Queued) {
                Verdict::Relaunch { attempt: next, .. } => attempt = next,
                Verdict::GiveUp { error, cause } => {
                    assert_eq!((launches, error.as_str()), (5, "BudgetSpent"));
                    assert!(cause.contains("cancel and re-run"));
                    break;
                }
                Verdict::End => panic!("the job is queued"),
            }
        }
    }

    #[test]
    fn what_passes_by_itself_costs_no_fault_and_no_count_ends_it() {
        let long = Attempt {
            number: 501,
            refusals: 500,
            unpicked: 500,
            ..Attempt::first()
        };
        let bounded_by_count = [OutcomeClass::Fault, OutcomeClass::Permanent];
        for outcome in Outcome::ALL.iter().filter(|outcome| {
            **outcome != Outcome::NotNeeded && !bounded_by_count.contains(&outcome.class())
        }) {
            let Verdict::Relaunch { attempt, .. } = verdict(*outcome, &long, &JobStatus::Queued)
            else {
                panic!("{outcome:?} passes")
            };
            assert_eq!(attempt.faults, 0, "{outcome:?}");
        }
    }

    #[test]
    fn an_outage_that_a_step_met_costs_no_fault() {
        for error in [
            "GitHubUnavailable",
            "GitHubRateLimited",
            "AwsUnavailable",
            "Throttled",
        ] {
            let ended = Ended::from_error(&StepError {
                error: error.into(),
                cause: r#"{"errorMessage":"1"}"#.into(),
            });
            let attempt = Attempt {
                refusals: 500,
                faults: 4,
                ..Attempt::first()
            };
            let situation = Situation {
                ended: &ended,
                attempt: &attempt,
                job: None,
                queued_for: Duration::from_hours(23),
                others_picked_up: None,
                successor: false,
                budget: BUDGET,
            };
            let Verdict::Relaunch { attempt, .. } = judge(&situation, 0.5) else {
                panic!("{error} passes")
            };
            assert_eq!(attempt.faults, 4, "{error}");
        }
    }

    /// What follows a runner that nobody gave a job, at the end of the job's day in the queue.
    fn unpicked_for_a_day(others_picked_up: Option<bool>) -> (String, String) {
        let situation = Situation {
            ended: &ended(Outcome::NeverPickedUp),
            attempt: &Attempt {
                unpicked: 60,
                ..Attempt::first()
            },
            job: Some(&JobStatus::Queued),
            queued_for: Duration::from_hours(24),
            others_picked_up,
            successor: false,
            budget: BUDGET,
        };
        match judge(&situation, 0.0) {
            Verdict::GiveUp { error, cause } => (error, cause),
            other => panic!("the day is over: {other:?}"),
        }
    }

    #[test]
    fn unpicked_runners_blame_the_group_only_where_others_were_picked_up_meanwhile() {
        for others in [Some(true), Some(false), None] {
            let (error, cause) = unpicked_for_a_day(others);
            assert_eq!(error, "NeverPickedUp", "{others:?}");
            let blames = cause.contains("most likely the runner group");
            assert_eq!(blames, others == Some(true), "{cause}");
            assert!(
                cause.contains("61 runners") && cause.contains("24 h"),
                "{cause}"
            );
            assert!(cause.contains("re-run"), "says what to do: {cause}");
        }
    }

    #[test]
    fn a_job_that_few_runners_waited_for_ends_at_the_queues_limit() {
        let situation = Situation {
            ended: &ended(Outcome::NeverPickedUp),
            attempt: &Attempt::first(),
            job: Some(&JobStatus::Queued),
            queued_for: Duration::from_hours(24),
            others_picked_up: None,
            successor: false,
            budget: BUDGET,
        };
        assert!(
            matches!(judge(&situation, 0.0), Verdict::GiveUp { error, .. } if error == "QueueLimit")
        );
    }

    #[test]
    fn runners_that_nobody_gives_a_job_come_less_and_less_often() {
        let longest = |unpicked| {
            let attempt = Attempt {
                unpicked,
                ..Attempt::first()
            };
            let situation = Situation {
                ended: &ended(Outcome::NeverPickedUp),
                attempt: &attempt,
                job: Some(&JobStatus::Queued),
                queued_for: Duration::from_mins(1),
                others_picked_up: None,
                successor: false,
                budget: BUDGET,
            };
            match judge(&situation, 1.0) {
                Verdict::Relaunch { after, .. } => after,
                other => panic!("it passes: {other:?}"),
            }
        };
        assert!(longest(0) < longest(1) && longest(1) < longest(3));
        assert_eq!(longest(100), BUDGET.grace + UNPICKED_BACKOFF);
    }

    #[test]
    fn a_job_that_github_does_not_show_is_never_ended_well() {
        for outcome in Outcome::ALL
            .iter()
            .filter(|outcome| **outcome != Outcome::NotNeeded)
        {
            let situation = Situation {
                ended: &ended(*outcome),
                attempt: &Attempt::first(),
                job: None,
                queued_for: Duration::from_mins(1),
                others_picked_up: None,
                successor: false,
                budget: BUDGET,
            };
            assert_ne!(judge(&situation, 0.0), Verdict::End, "{outcome:?}");
        }
    }

    #[test]
    fn capacity_is_bounded_by_the_stay_in_the_queue_not_by_count() {
        let attempt = Attempt {
            refusals: 500,
            number: 501,
            ..Attempt::first()
        };
        assert!(matches!(
            verdict(Outcome::NoCapacity, &attempt, &JobStatus::Queued),
            Verdict::Relaunch { .. }
        ));
        let situation = Situation {
            ended: &ended(Outcome::NoCapacity),
            attempt: &attempt,
            job: Some(&JobStatus::Queued),
            queued_for: Duration::from_hours(24),
            others_picked_up: None,
            successor: false,
            budget: BUDGET,
        };
        assert!(
            matches!(judge(&situation, 0.0), Verdict::GiveUp { error, .. } if error == "QueueLimit")
        );
    }

    #[test]
    fn a_rate_limit_is_waited_out_and_the_job_checked_first() {
        let error = StepError {
            error: "GitHubRateLimited".into(),
            cause: r#"{"errorMessage":"1200"}"#.into(),
        };
        let situation = Situation {
            ended: &Ended::from_error(&error),
            attempt: &Attempt::first(),
            job: None,
            queued_for: Duration::ZERO,
            others_picked_up: None,
            successor: false,
            budget: BUDGET,
        };
        let Verdict::Relaunch { after, attempt } = judge(&situation, 0.0) else {
            panic!("it passes")
        };
        assert_eq!(after, Duration::from_mins(20));
        assert!(attempt.recheck);
        assert_eq!(attempt.faults, 0);
    }

    #[test]
    fn every_later_attempt_asks_github_first() {
        for outcome in [Outcome::RanJob, Outcome::NoCapacity, Outcome::StepFailed] {
            let next = verdict(outcome, &Attempt::first(), &JobStatus::Queued);
            let Verdict::Relaunch { attempt, .. } = next else {
                panic!("{outcome:?} passes")
            };
            assert!(attempt.recheck, "{outcome:?}");
        }
    }

    #[test]
    fn a_job_that_a_later_execution_serves_is_handed_over() {
        let situation = Situation {
            ended: &ended(Outcome::RanJob),
            attempt: &Attempt::first(),
            job: Some(&JobStatus::Queued),
            queued_for: Duration::ZERO,
            others_picked_up: None,
            successor: true,
            budget: BUDGET,
        };
        assert_eq!(judge(&situation, 0.0), Verdict::End);
    }
}
