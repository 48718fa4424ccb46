//! Each rule is needed: without it, what it is for no longer holds.

use model::{FaultKind, Mutation, Scope};

use crate::check::{ONE_FAULT, check, explore};

const ATTENDED: &str = "somebody works for every queued job";
const NOT_LEFT: &str = "no queued job is left when nothing more is due";
const NOT_STOPPED: &str = "no runner that runs a job is stopped by us";
const LET_GO_FIRST: &str = "GitHub lets a runner go before its task is stopped";
const NOT_TAKEN: &str = "an event takes nothing that a living execution's runner needs";
const NOT_DEFIED: &str = "what a person aborted is not begun again by us";

const ONE_JOB: Scope = Scope {
    name: "one job, one fault",
    labels: &[1],
    ..ONE_FAULT
};
const ONE_JOB_HELD_BACK: Scope = Scope {
    name: "one job, one approval",
    faults: 0,
    holds: 1,
    ..ONE_JOB
};
const ONE_JOB_TWO_FAULTS: Scope = Scope {
    name: "one job, two faults",
    faults: 2,
    ..ONE_JOB
};
const TWO_JOBS: Scope = Scope {
    name: "two like jobs, one fault",
    ..ONE_FAULT
};
const TWO_JOBS_TWO_FAILED_STEPS: Scope = Scope {
    name: "two like jobs, two failed steps",
    faults: 2,
    kinds: &[FaultKind::Steps],
    ..ONE_FAULT
};

/// Checks that a world is well with all rules, and that without one of them it no longer is.
fn is_needed(rule: Mutation, scope: Scope, properties: &[&str]) {
    explore(scope);
    let failed = check(scope, Some(rule)).failures;
    assert!(
        failed.iter().any(|property| properties.contains(property)),
        "without it one of {properties:?} has to fail; what fails is {failed:?}"
    );
}

#[test]
fn rule_1_an_execution_asks_github_before_it_ends() {
    is_needed(Mutation::EndsWithoutAsking, ONE_JOB, &[ATTENDED, NOT_LEFT]);
}

#[test]
fn rule_2_somebody_checks_on_a_job_whose_runner_was_given_another() {
    let no_fault = Scope {
        name: "two like jobs, no fault",
        faults: 0,
        ..TWO_JOBS
    };
    is_needed(Mutation::NoDisplacedCheck, no_fault, &[ATTENDED, NOT_LEFT]);
}

#[test]
fn rule_2_an_execution_that_failed_for_a_passing_reason_is_followed_by_another() {
    is_needed(Mutation::NoRestart, ONE_JOB, &[ATTENDED, NOT_LEFT]);
}

#[test]
fn rule_2_a_job_whose_execution_a_person_aborted_is_not_checked() {
    is_needed(Mutation::ChecksTheAborted, TWO_JOBS, &[NOT_DEFIED]);
}

#[test]
fn rule_2_the_bound_on_restarts_counts_failures_alone() {
    is_needed(
        Mutation::CountsEveryExecution,
        TWO_JOBS_TWO_FAILED_STEPS,
        &[ATTENDED, NOT_LEFT],
    );
}

#[test]
fn rule_2_sweep_doesnt_trust_that_every_event_was_heard() {
    is_needed(
        Mutation::TrustsTheEvents,
        ONE_JOB_TWO_FAULTS,
        &[ATTENDED, NOT_LEFT],
    );
}

#[test]
fn rule_2_sweep_asks_github_about_waiting_jobs() {
    is_needed(Mutation::NoSweepOfWaiting, TWO_JOBS, &[ATTENDED, NOT_LEFT]);
}

#[test]
fn rule_3_a_task_is_stopped_only_after_github_let_its_runner_go() {
    is_needed(
        Mutation::StopsWhateverTheAnswer,
        ONE_JOB,
        &[NOT_STOPPED, LET_GO_FIRST],
    );
}

#[test]
fn rule_3_a_runner_missing_from_a_listing_was_not_let_go() {
    is_needed(
        Mutation::TrustsTheListing,
        ONE_JOB_TWO_FAULTS,
        &[NOT_STOPPED, LET_GO_FIRST],
    );
}

#[test]
fn rule_7_a_queued_event_that_meets_a_closed_execution_starts_another() {
    is_needed(
        Mutation::ClosedStaysClosed,
        ONE_JOB_HELD_BACK,
        &[ATTENDED, NOT_LEFT],
    );
}

#[test]
fn rule_7_a_queued_event_that_meets_a_running_execution_is_looked_after() {
    is_needed(
        Mutation::TrustsWhatRuns,
        ONE_JOB_HELD_BACK,
        &[ATTENDED, NOT_LEFT],
    );
}

#[test]
fn rule_11_a_tasks_end_cleans_up_after_its_own_runner_alone() {
    is_needed(Mutation::CleansByExecution, ONE_JOB, &[NOT_TAKEN]);
}

#[test]
fn the_reductions_hide_nothing() {
    for scope in [ONE_JOB, ONE_JOB_HELD_BACK, ONE_JOB_TWO_FAULTS] {
        let reduced = explore(scope);
        let whole = explore(Scope {
            reduced: false,
            ..scope
        });
        assert!(reduced < whole, "{reduced} of {whole} states");
    }
    for (rule, scope) in [
        (Mutation::EndsWithoutAsking, ONE_JOB),
        (Mutation::NoRestart, ONE_JOB),
        (Mutation::StopsWhateverTheAnswer, ONE_JOB),
        (Mutation::CleansByExecution, ONE_JOB),
        (Mutation::ClosedStaysClosed, ONE_JOB_HELD_BACK),
        (Mutation::TrustsWhatRuns, ONE_JOB_HELD_BACK),
        (Mutation::TrustsTheEvents, ONE_JOB_TWO_FAULTS),
    ] {
        let whole = Scope {
            reduced: false,
            ..scope
        };
        assert!(!check(whole, Some(rule)).failures.is_empty(), "{rule:?}");
    }
}
