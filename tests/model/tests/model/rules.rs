//! Each rule is needed: without it, what it is for no longer holds.

use model::{FaultKind, Mutation, Scope};

use crate::check::{ONE_FAULT, check, explore};

const ATTENDED: &str = "somebody works for every queued job";
const NOT_LEFT: &str = "no queued job is left when nothing more is due";
const NOT_STOPPED: &str = "no runner that runs a job is stopped by us";
const LET_GO_FIRST: &str = "GitHub lets a runner go before its task is stopped";
const NOT_TAKEN: &str = "an event takes nothing that a living execution's runner needs";
const NOT_DEFIED: &str = "an aborted execution is never restarted";
const NOT_OUTLIVED: &str = "an execution ends once its job's day in the queue is over";
const NOT_UNASKED: &str = "another attempt follows only a job that GitHub shows as queued";
const NOTHING_LEFT: &str = "nothing is left when nothing more happens";

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

const ONE_JOB_HIDDEN: Scope = Scope {
    name: "one job, one outage and another fault",
    faults: 2,
    kinds: &[FaultKind::Outages, FaultKind::Steps],
    ..ONE_JOB
};
const ONE_JOB_THREE_PASSING: Scope = Scope {
    name: "one job, three things that pass, the end of its day in the queue",
    faults: 3,
    days: 1,
    kinds: &[FaultKind::Transient],
    ..ONE_JOB
};
const ONE_JOB_NOTED: Scope = Scope {
    name: "one job, its end noted, the job taken back from its runner",
    kinds: &[FaultKind::TakenBack],
    notes: true,
    ..ONE_JOB
};
const ONE_JOB_NOTED_AND_QUEUED: Scope = Scope {
    name: "one job, its end noted, a hanging task and the ended job queued again",
    faults: 2,
    kinds: &[FaultKind::Hangs, FaultKind::QueuedAfterTheEnd],
    notes: true,
    ..ONE_JOB
};
const TWO_JOBS_NOTED_AND_QUEUED: Scope = Scope {
    name: "two like jobs, their ends noted, an ended one queued again",
    kinds: &[FaultKind::QueuedAfterTheEnd],
    notes: true,
    ..ONE_FAULT
};
const ONE_JOB_HANGS: Scope = Scope {
    name: "one job, one thing hangs",
    kinds: &[FaultKind::Hangs],
    ..ONE_JOB
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
fn rule_1_that_a_runner_began_a_job_is_not_noted() {
    is_needed(
        Mutation::NotesTheStart,
        ONE_JOB_NOTED,
        &[ATTENDED, NOT_LEFT],
    );
}

#[test]
fn rule_1_a_note_spares_the_question_only_after_the_runner_ran_a_job_to_its_end() {
    is_needed(
        Mutation::BelievesTheNoteAlone,
        ONE_JOB_NOTED_AND_QUEUED,
        &[ATTENDED, NOT_LEFT],
    );
}

#[test]
fn rule_1_a_note_of_another_runner_spares_no_question() {
    is_needed(
        Mutation::BelievesAnothersNote,
        TWO_JOBS_NOTED_AND_QUEUED,
        &[ATTENDED, NOT_LEFT],
    );
}

#[test]
fn rule_1_no_note_is_no_reason_to_launch() {
    is_needed(
        Mutation::LaunchesWithoutANote,
        ONE_JOB_NOTED,
        &[NOT_UNASKED],
    );
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
fn rule_2_sweep_finds_a_job_that_no_webhook_told_of() {
    let scope = Scope {
        name: "one job, one webhook that never comes",
        kinds: &[FaultKind::Webhooks],
        reconciles: true,
        ..ONE_JOB
    };
    is_needed(Mutation::NoReconciling, scope, &[ATTENDED, NOT_LEFT]);
}

#[test]
fn rule_2_sweep_doesnt_start_what_a_person_aborted() {
    let scope = Scope {
        name: "one job, one abort, jobs are looked for",
        kinds: &[FaultKind::Aborts],
        reconciles: true,
        ..ONE_JOB
    };
    is_needed(Mutation::ReconcilesTheAborted, scope, &[NOT_DEFIED]);
}

#[test]
fn rule_2_an_outage_spends_no_restart() {
    let scope = Scope {
        name: "one job, three failed steps",
        faults: 3,
        kinds: &[FaultKind::Steps],
        ..ONE_JOB
    };
    is_needed(Mutation::CountsOutages, scope, &[ATTENDED, NOT_LEFT]);
}

#[test]
fn rule_2_what_nobody_picked_up_is_restarted_once_a_runner_has_had_a_job() {
    let scope = Scope {
        name: "two unlike jobs, three dropped runners, the end of a day in the queue",
        labels: &[1, 2],
        faults: 3,
        days: 1,
        kinds: &[FaultKind::Drops],
        ..ONE_FAULT
    };
    is_needed(Mutation::NeverPickedUpForGood, scope, &[ATTENDED, NOT_LEFT]);
}

#[test]
fn rule_3_one_answer_that_a_runner_is_unknown_is_not_enough() {
    let scope = Scope {
        name: "two like jobs, one runner missing from what GitHub answers",
        kinds: &[FaultKind::Registrations],
        ..ONE_FAULT
    };
    is_needed(
        Mutation::TrustsOneAnswer,
        scope,
        &[NOT_STOPPED, LET_GO_FIRST],
    );
}

#[test]
fn rule_5_a_listener_that_github_does_not_know_is_ended_though_its_agent_hangs() {
    is_needed(
        Mutation::LeavesGhosts,
        ONE_JOB_HANGS,
        &[NOT_LEFT, NOTHING_LEFT],
    );
}

#[test]
fn rule_5_a_task_that_hangs_after_its_job_is_ended() {
    is_needed(Mutation::LeavesTheHung, ONE_JOB_HANGS, &[NOTHING_LEFT]);
}

#[test]
fn rule_7_a_new_stay_in_the_queue_has_a_day_of_its_own() {
    let scope = Scope {
        name: "one job, two things that pass, the end of its day, an approval",
        faults: 2,
        holds: 1,
        days: 1,
        kinds: &[FaultKind::Transient],
        ..ONE_JOB
    };
    is_needed(Mutation::IgnoresANewStay, scope, &[ATTENDED, NOT_LEFT]);
}

#[test]
fn rule_14_a_404_is_no_answer_about_a_job() {
    is_needed(Mutation::Trusts404, ONE_JOB_HIDDEN, &[ATTENDED, NOT_LEFT]);
}

#[test]
fn rule_14_a_404_that_repeats_is_none_either_while_the_jobs_run_is_shown() {
    is_needed(
        Mutation::TrustsARepeated404,
        ONE_JOB_HIDDEN,
        &[ATTENDED, NOT_LEFT],
    );
}

#[test]
fn rule_15_what_passes_is_not_bounded_by_count() {
    is_needed(
        Mutation::CountsWhatPasses,
        ONE_JOB_THREE_PASSING,
        &[ATTENDED, NOT_LEFT],
    );
}

#[test]
fn rule_15_what_passes_is_bounded_by_the_jobs_day_in_the_queue() {
    is_needed(
        Mutation::OutlivesTheDay,
        ONE_JOB_THREE_PASSING,
        &[NOT_OUTLIVED],
    );
}

#[test]
fn the_reductions_hide_nothing() {
    for scope in [
        ONE_JOB,
        ONE_JOB_HELD_BACK,
        ONE_JOB_TWO_FAULTS,
        ONE_JOB_HIDDEN,
        ONE_JOB_THREE_PASSING,
        ONE_JOB_HANGS,
        ONE_JOB_NOTED,
    ] {
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
        (Mutation::Trusts404, ONE_JOB_HIDDEN),
        (Mutation::TrustsARepeated404, ONE_JOB_HIDDEN),
        (Mutation::CountsWhatPasses, ONE_JOB_THREE_PASSING),
        (Mutation::LeavesTheHung, ONE_JOB_HANGS),
        (Mutation::NotesTheStart, ONE_JOB_NOTED),
    ] {
        let whole = Scope {
            reduced: false,
            ..scope
        };
        assert!(!check(whole, Some(rule)).failures.is_empty(), "{rule:?}");
    }
}
