//! `outcome`: what AWS says of an attempt's end, and what is decided from it.

use std::time::Duration;

use decisions::{
    AgentExit, Attempt, Budget, Ended, EndedTask, GiveUp, JobStatus, Outcome, OutcomeClass,
    Situation, StepError, Verdict, judge,
};

const BUDGET: Budget = Budget {
    faults: 5,
    queue: Duration::from_hours(24),
    grace: Duration::from_secs(90),
};
/// The longest that a Wait state takes ([quota]).
///
/// [quota]: https://docs.aws.amazon.com/step-functions/latest/dg/state-wait.html
const LONGEST_WAIT: u64 = 99_999_999;

/// The first line is an error's name, the rest its cause. The whole is a task, and an attempt.
pub fn outcome(data: &[u8]) {
    let Some((error, cause)) = crate::lines(data) else {
        return;
    };
    let error = StepError {
        error: error.to_owned(),
        cause: cause.to_owned(),
    };
    judged(&Ended::from_error(&error), &Attempt::first());
    if let Ok(task) = serde_json::from_slice::<EndedTask>(cause.as_bytes()) {
        let ended = Ended::from_task(&task);
        let exit = task.runner().and_then(|container| container.exit_code);
        if exit == Some(i32::from(AgentExit::RanJob.code())) {
            assert_eq!(ended.outcome, Outcome::RanJob);
        }
        judged(&ended, &Attempt::first());
    }
    if let Ok(attempt) = serde_json::from_str::<Attempt>(cause) {
        judged(&Ended::from_error(&error), &attempt);
    }
}

fn judged(ended: &Ended, attempt: &Attempt) {
    let elsewhere = [JobStatus::Waiting, JobStatus::Absent];
    for jitter in [0.0, 0.5, 1.0] {
        let decide = |job| {
            let situation = Situation {
                ended,
                attempt,
                job,
                queued_for: Duration::from_mins(1),
                others_picked_up: None,
                successor: false,
                budget: BUDGET,
            };
            judge(&situation, jitter)
        };
        for left in &elsewhere {
            assert_eq!(decide(Some(left)), Verdict::End);
        }
        for queued in [Some(&JobStatus::Queued), None] {
            match decide(queued) {
                Verdict::End => assert_eq!(ended.outcome, Outcome::NotNeeded),
                Verdict::Relaunch {
                    after,
                    attempt: next,
                } => {
                    assert!(after >= BUDGET.grace);
                    assert!(after.as_secs() <= LONGEST_WAIT, "{after:?}");
                    assert!(next.number > attempt.number || attempt.number == u32::MAX);
                    assert!(next.faults < BUDGET.faults || next.faults == attempt.faults);
                    assert_ne!(ended.outcome.class(), OutcomeClass::Permanent);
                    let json = serde_json::to_string(&next).unwrap();
                    assert_eq!(serde_json::from_str::<Attempt>(&json).unwrap(), next);
                }
                Verdict::GiveUp { reason, cause } => {
                    assert_eq!(GiveUp::from_name(reason.name()), Some(reason));
                    assert!(!cause.is_empty());
                }
            }
        }
    }
}
