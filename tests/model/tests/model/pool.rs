//! Small pools of warm tasks: what holds in each, and that each rule is needed.

use model::pool::{FaultKind, Mutation, Pool, Scope};

use crate::check::{Found, search};

const NOT_STOPPED: &str = "no task that runs a job is stopped by us";
const ONE_OWNER: &str = "a task has one owner";
const ONE_TICKET: &str = "a slot has one ticket";
const ONE_TASK: &str = "a ticket has one task";
const ONE_TAKER: &str = "a registration has one taker";
const NOT_ENDED: &str = "no execution waits for a task whose end was handled";
const ANSWERED: &str = "an execution waits for a task that answered";
const UP_TO_DATE: &str = "no job gets a task of an older revision";
const OWN_SIZE: &str = "no job gets a task of another size or role";
const ONE_CLAIM: &str = "an execution claims at most once";
const AT_ONCE: &str = "no queued job waits for a sweep after a lost answer";
const SERVED: &str = "no queued job is left when nothing more is due";
const ALL_END: &str = "an execution ends when nothing more happens";
const NO_STRAYS: &str = "a task is in stock, has a runner or ends";
const NO_DEAD_TICKETS: &str = "a ticket has a task when nothing more is due";
const NO_FORMER_STOCK: &str = "nothing waits for jobs in a pool that was removed";
const TAKEN_ALONG: &str = "an adopted task ends with an aborted or timed-out execution";

/// One of each, and one thing of any kind goes wrong. The slot is filled once more.
const REFILLED: Scope = Scope {
    name: "one job, one slot that is refilled, one fault",
    jobs: 1,
    slots: 1,
    tasks: 2,
    stocked: true,
    revisions: 0,
    removed: false,
    faults: 1,
    kinds: FaultKind::ALL,
    differs: false,
    reduced: true,
};
const EMPTY: Scope = Scope {
    name: "one job, one slot that is empty at first, one fault",
    stocked: false,
    ..REFILLED
};
const THREE_FAULTS: Scope = Scope {
    name: "one job, one warm task, three faults",
    tasks: 1,
    faults: 3,
    ..REFILLED
};
const DEPLOYED: Scope = Scope {
    name: "one job, one warm task, one deployment, two faults",
    tasks: 1,
    faults: 2,
    revisions: 1,
    ..REFILLED
};
const REMOVED: Scope = Scope {
    name: "one job, one warm task, the pool is removed, two faults",
    tasks: 1,
    faults: 2,
    removed: true,
    ..REFILLED
};
const TWO_JOBS: Scope = Scope {
    name: "two jobs, one slot that is refilled, no fault",
    jobs: 2,
    faults: 0,
    ..REFILLED
};
const TWO_JOBS_TWO_FAULTS: Scope = Scope {
    name: "two jobs, one warm task, two faults",
    jobs: 2,
    tasks: 1,
    faults: 2,
    ..REFILLED
};
const ONE_DIFFERS: Scope = Scope {
    name: "two jobs, one of another size, one warm task, one fault",
    jobs: 2,
    tasks: 1,
    faults: 1,
    differs: true,
    ..REFILLED
};
const TWO_SLOTS: Scope = Scope {
    name: "two jobs, two slots, one answer lost",
    jobs: 2,
    slots: 2,
    faults: 1,
    kinds: &[FaultKind::Answers],
    ..REFILLED
};

fn check(scope: Scope, mutation: Option<Mutation>) -> Found {
    search(Pool { scope, mutation }, scope.name, mutation)
}

/// Explores all of a pool, where every property has to hold.
fn explore(scope: Scope) -> usize {
    let found = check(scope, None);
    assert!(found.failures.is_empty(), "{}: see above", scope.name);
    assert!(found.missed.is_empty(), "never: {:?}", found.missed);
    found.states
}

/// Checks that without a rule one of these properties fails. With all rules they hold in the same
/// pool: a test above explores it.
fn is_needed(rule: Mutation, scope: Scope, properties: &[&str]) {
    let failed = check(scope, Some(rule)).failures;
    assert!(
        failed.iter().any(|property| properties.contains(property)),
        "without it one of {properties:?} has to fail; what fails is {failed:?}"
    );
}

#[test]
fn a_job_is_served_and_the_slot_refilled_whatever_fails_once() {
    explore(REFILLED);
}

#[test]
fn an_empty_slot_is_filled_and_the_job_served_whatever_fails_once() {
    explore(EMPTY);
}

#[test]
fn a_job_is_served_whatever_fails_three_times() {
    explore(THREE_FAULTS);
}

#[test]
fn a_job_is_served_by_its_own_revision_whatever_fails_twice() {
    explore(DEPLOYED);
}

#[test]
fn a_job_is_served_and_the_stock_ends_when_its_pool_is_removed() {
    explore(REMOVED);
}

#[test]
fn a_stock_ends_with_its_pool() {
    is_needed(Mutation::LeavesFormerStock, REMOVED, &[NO_FORMER_STOCK]);
}

#[test]
fn two_jobs_share_a_slot() {
    explore(TWO_JOBS);
}

#[test]
fn two_jobs_share_a_warm_task_whatever_fails_twice() {
    explore(TWO_JOBS_TWO_FAULTS);
}

#[test]
fn two_jobs_have_a_slot_each_though_an_answer_is_lost() {
    explore(TWO_SLOTS);
}

#[test]
fn a_ticket_is_put_only_into_a_free_slot() {
    is_needed(Mutation::ReplacesATicket, EMPTY, &[ONE_TICKET]);
}

#[test]
fn a_claim_deletes_its_ticket_conditionally() {
    is_needed(Mutation::ClaimsWhatIsGone, TWO_JOBS, &[ONE_OWNER]);
}

#[test]
fn a_retirement_deletes_its_ticket_conditionally() {
    is_needed(Mutation::RetiresWhatIsGone, DEPLOYED, &[ONE_OWNER]);
}

#[test]
fn the_keeper_stops_no_task() {
    is_needed(Mutation::StopsWhatItSees, DEPLOYED, &[NOT_STOPPED]);
}

#[test]
fn a_claim_takes_no_older_revision() {
    is_needed(Mutation::ClaimsOlderRevisions, DEPLOYED, &[UP_TO_DATE]);
}

#[test]
fn a_job_of_another_size_leaves_the_warm_task_to_the_other_whatever_fails_once() {
    explore(ONE_DIFFERS);
}

#[test]
fn a_claim_takes_no_task_of_another_size_or_role() {
    is_needed(Mutation::ClaimsOtherSizes, ONE_DIFFERS, &[OWN_SIZE]);
}

#[test]
fn only_a_first_attempt_claims() {
    is_needed(Mutation::ClaimsAgain, REFILLED, &[ONE_CLAIM]);
}

#[test]
fn a_start_that_was_not_answered_is_repeated() {
    is_needed(Mutation::LeavesHalfStarted, EMPTY, &[NO_DEAD_TICKETS]);
}

#[test]
fn a_start_is_repeated_with_the_same_client_token() {
    is_needed(Mutation::StartsWithANewToken, EMPTY, &[ONE_TASK]);
}

#[test]
fn a_ticket_ends_with_its_task() {
    is_needed(Mutation::KeepsDeadTickets, REFILLED, &[NO_DEAD_TICKETS]);
}

#[test]
fn a_task_is_tagged_before_it_is_rung() {
    let scope = Scope {
        name: "one job, one warm task, a crash, and the table loses its items",
        faults: 2,
        kinds: &[FaultKind::Crashes, FaultKind::Losses],
        ..THREE_FAULTS
    };
    is_needed(Mutation::RingsFirst, scope, &[NOT_STOPPED]);
}

#[test]
fn a_ring_replaces_no_bell() {
    is_needed(Mutation::RingsOverABell, REFILLED, &[NOT_STOPPED]);
}

#[test]
fn leave_replaces_no_bell() {
    is_needed(Mutation::LeavesOverABell, REFILLED, &[ONE_TAKER]);
}

#[test]
fn a_withdrawal_replaces_no_answer() {
    is_needed(
        Mutation::WithdrawsAnAnswer,
        REFILLED,
        &[ONE_TAKER, NOT_STOPPED],
    );
}

#[test]
fn a_withdrawal_needs_no_ring() {
    is_needed(Mutation::WithdrawsOnlyARing, REFILLED, &[ANSWERED]);
}

#[test]
fn an_undecided_withdrawal_waits_for_the_warm_task() {
    is_needed(Mutation::GoesColdUndecided, REFILLED, &[ONE_TAKER]);
}

#[test]
fn a_task_answers_before_it_takes_the_registration() {
    is_needed(Mutation::TakesUnanswered, REFILLED, &[ONE_TAKER]);
}

#[test]
fn a_task_answers_with_a_bell_that_stays() {
    let scope = Scope {
        name: "one job, one warm task, an answer is lost",
        faults: 1,
        kinds: &[FaultKind::Answers],
        ..THREE_FAULTS
    };
    is_needed(Mutation::AnswersByDeleting, scope, &[AT_ONCE]);
}

#[test]
fn a_task_recognizes_its_own_answer() {
    is_needed(Mutation::ForgetsItsAnswer, REFILLED, &[AT_ONCE]);
}

#[test]
fn a_wait_is_not_written_once_the_end_is_noted() {
    is_needed(Mutation::WaitsForTheEnded, REFILLED, &[NOT_ENDED]);
}

#[test]
fn the_end_of_a_task_is_noted_before_anybody_waits() {
    is_needed(Mutation::NoTombstone, REFILLED, &[NOT_ENDED]);
}

#[test]
fn sweep_tells_who_was_not_told_though_the_end_is_noted() {
    is_needed(Mutation::TrustsTheNote, REFILLED, &[ALL_END]);
}

#[test]
fn sweep_tells_whom_no_event_told() {
    is_needed(Mutation::TrustsTheEvents, REFILLED, &[ALL_END]);
}

#[test]
fn sweep_has_another_execution_serve_a_job_whose_own_nobody_can_tell() {
    let scope = Scope {
        name: "one job, one warm task, it dies and the table loses its items",
        faults: 2,
        kinds: &[FaultKind::Tasks, FaultKind::Losses],
        ..THREE_FAULTS
    };
    explore(scope);
    is_needed(Mutation::LeavesTheStranded, scope, &[SERVED]);
}

#[test]
fn sweep_tells_a_task_without_a_ticket_to_leave() {
    is_needed(Mutation::LeavesOrphans, REFILLED, &[NO_STRAYS]);
}

#[test]
fn sweep_tells_a_tagged_task_to_leave_that_nobody_rang() {
    is_needed(Mutation::LeavesTagged, REFILLED, &[NO_STRAYS]);
}

#[test]
fn sweep_stops_a_task_that_hangs_in_stock() {
    is_needed(Mutation::LeavesMute, DEPLOYED, &[NO_STRAYS]);
}

#[test]
fn sweep_stops_no_task_with_a_tag() {
    let scope = Scope {
        name: "one job, one warm task, the table loses its items",
        faults: 1,
        kinds: &[FaultKind::Losses],
        ..THREE_FAULTS
    };
    is_needed(Mutation::StopsTagged, scope, &[NOT_STOPPED]);
}

#[test]
fn cleanup_asks_github_before_it_stops_a_task_after_a_failed_wait() {
    is_needed(Mutation::StopsAfterAFailedWait, REFILLED, &[NOT_STOPPED]);
}

#[test]
fn the_end_of_a_lost_task_leaves_the_registration_to_the_cold_one() {
    is_needed(Mutation::CleansByTag, REFILLED, &[ONE_TAKER]);
}

#[test]
fn an_abort_ends_the_adopted_task() {
    is_needed(Mutation::OutlivesAnAbort, REFILLED, &[TAKEN_ALONG]);
}

#[test]
fn a_time_limit_ends_the_adopted_task() {
    is_needed(Mutation::OutlivesATimeOut, REFILLED, &[TAKEN_ALONG]);
}

#[test]
fn the_reduction_hides_nothing() {
    let whole = Scope {
        reduced: false,
        ..TWO_JOBS
    };
    let (reduced, all) = (explore(TWO_JOBS), explore(whole));
    assert!(reduced < all, "{reduced} of {all} states");
    is_needed(Mutation::ClaimsWhatIsGone, whole, &[ONE_OWNER]);
}
