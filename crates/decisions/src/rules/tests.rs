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
            started_at: None,
        },
        JobStatus::COMPLETED,
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
            Verdict::GiveUp { reason, cause } => {
                assert_eq!((launches, reason), (5, GiveUp::BudgetSpent));
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
        let Verdict::Relaunch { attempt, .. } = verdict(*outcome, &long, &JobStatus::Queued) else {
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

/// What follows a runner that GitHub never assigned a job, at the end of the job's day in the
/// queue.
fn unpicked_for_a_day(others_picked_up: Option<bool>) -> (GiveUp, String) {
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
        Verdict::GiveUp { reason, cause } => (reason, cause),
        other => panic!("the day is over: {other:?}"),
    }
}

#[test]
fn unpicked_runners_blame_the_group_only_where_others_were_picked_up_meanwhile() {
    for others in [Some(true), Some(false), None] {
        let (reason, cause) = unpicked_for_a_day(others);
        assert_eq!(reason, GiveUp::NeverPickedUp, "{others:?}");
        let blames = cause.contains("most likely the runner group");
        assert_eq!(blames, others == Some(true), "{cause}");
        assert!(
            cause.contains("61 consecutive runners") && cause.contains("24 h"),
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
    assert!(matches!(
        judge(&situation, 0.0),
        Verdict::GiveUp {
            reason: GiveUp::QueueLimit,
            ..
        }
    ));
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
    assert!(matches!(
        judge(&situation, 0.0),
        Verdict::GiveUp {
            reason: GiveUp::QueueLimit,
            ..
        }
    ));
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
    assert!(attempt.rechecks());
    assert_eq!(attempt.faults, 0);
}

#[test]
fn every_later_attempt_asks_github_first() {
    for outcome in [Outcome::RanJob, Outcome::NoCapacity, Outcome::StepFailed] {
        let next = verdict(outcome, &Attempt::first(), &JobStatus::Queued);
        let Verdict::Relaunch { attempt, .. } = next else {
            panic!("{outcome:?} passes")
        };
        assert!(attempt.rechecks(), "{outcome:?}");
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
