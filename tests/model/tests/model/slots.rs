//! Small deployments with caps: what holds in each, and that each rule is needed.

use model::slots::{Mutation, Of, Scope, Slots};

use crate::check::{Found, search};

const NEVER_EXCEEDED: &str = "no cap is exceeded";
const NOT_ROBBED: &str = "nobody takes a slot that another has the right to";
const ONCE: &str = "nobody stands in line who has a slot";
const NEVER_STUCK: &str = "somebody goes on when all wait";
const NOTHING_LEFT: &str = "nothing is left when nothing more happens";

const fn of(execution: &'static str, repository: &'static str, queued: u64) -> Of {
    Of {
        execution,
        repository,
        offer: "small",
        queued,
    }
}

const FIRST: Of = of("a-1", "octo/a", 1);
const SECOND: Of = of("a-2", "octo/a", 2);
const THIRD: Of = of("a-3", "octo/a", 3);
const OTHER: Of = of("b-4", "octo/b", 4);
/// The second execution of the first job, while the first may still run.
const AGAIN: Of = of("a-1-r2", "octo/a", 1);

/// One slot for two jobs, two attempts each, and two things of any kind go wrong.
const ONE_SLOT: Scope = Scope {
    name: "two jobs, one slot, two faults",
    executions: &[FIRST, SECOND],
    caps: [Some(1), None, None],
    attempts: 2,
    faults: 2,
    removed: false,
    lowered: None,
};
const SAME_JOB: Scope = Scope {
    name: "two executions of a job, one slot, two faults",
    executions: &[FIRST, AGAIN],
    ..ONE_SLOT
};
const TWO_REPOSITORIES: Scope = Scope {
    name: "three jobs of two repositories, one slot, one fault",
    executions: &[FIRST, SECOND, OTHER],
    attempts: 1,
    faults: 1,
    ..ONE_SLOT
};
const TWO_SLOTS: Scope = Scope {
    name: "four jobs of two repositories, two slots, no fault",
    executions: &[FIRST, SECOND, THIRD, OTHER],
    caps: [Some(2), None, None],
    attempts: 1,
    faults: 0,
    ..ONE_SLOT
};
const ALL_CAPS: Scope = Scope {
    name: "three jobs, a cap of each kind, one fault",
    executions: &[
        FIRST,
        Of {
            offer: "large",
            ..SECOND
        },
        Of {
            offer: "large",
            ..OTHER
        },
    ],
    caps: [Some(2), Some(1), Some(1)],
    attempts: 1,
    faults: 1,
    ..ONE_SLOT
};
const REMOVED: Scope = Scope {
    name: "two jobs, one slot, the cap is removed, one fault",
    removed: true,
    faults: 1,
    ..ONE_SLOT
};

/// The retry of an execution that began under the higher cap comes after the sweep that records the lower.
const LOWERED: Scope = Scope {
    name: "three jobs, two slots, of which one is taken away",
    executions: &[FIRST, SECOND, THIRD],
    caps: [Some(2), None, None],
    faults: 0,
    lowered: Some(1),
    ..ONE_SLOT
};

fn check(scope: Scope, mutation: Option<Mutation>) -> Found {
    search(Slots { scope, mutation }, scope.name, mutation)
}

fn explore(scope: Scope) {
    let found = check(scope, None);
    assert!(found.failures.is_empty(), "{}: see above", scope.name);
    assert!(found.missed.is_empty(), "never: {:?}", found.missed);
}

/// Checks that without a rule one of these properties fails. With all rules they hold in the same
/// deployment: a test below explores it.
fn is_needed(rule: Mutation, scope: Scope, properties: &[&str]) {
    let failed = check(scope, Some(rule)).failures;
    assert!(
        failed.iter().any(|property| properties.contains(property)),
        "without it one of {properties:?} has to fail; what fails is {failed:?}"
    );
}

#[test]
fn a_cap_holds_and_nobody_is_stuck_whatever_fails_twice() {
    explore(ONE_SLOT);
}

#[test]
fn two_executions_of_a_job_have_a_lease_each() {
    explore(SAME_JOB);
    is_needed(Mutation::SharesByJob, SAME_JOB, &[NEVER_EXCEEDED]);
}

#[test]
fn a_slot_goes_to_whose_turn_it_is() {
    explore(TWO_REPOSITORIES);
}

#[test]
fn those_next_take_their_slots_in_any_order() {
    explore(TWO_SLOTS);
}

#[test]
fn every_cap_holds() {
    explore(ALL_CAPS);
}

#[test]
fn a_removed_cap_frees_who_waits() {
    explore(REMOVED);
}

#[test]
fn a_lowered_cap_holds_once_it_is_recorded_and_met() {
    explore(LOWERED);
}

#[test]
fn a_slot_is_not_taken_by_the_caps_of_a_former_deployment() {
    is_needed(Mutation::TakesByFormerCaps, LOWERED, &[NEVER_EXCEEDED]);
}

#[test]
fn a_slot_is_taken_only_where_there_is_room() {
    is_needed(Mutation::TakesWithoutRoom, ONE_SLOT, &[NEVER_EXCEEDED]);
}

#[test]
fn a_slot_is_not_taken_past_the_line() {
    is_needed(Mutation::TakesPastTheLine, TWO_REPOSITORIES, &[NOT_ROBBED]);
}

#[test]
fn a_decision_on_an_old_look_is_not_written() {
    is_needed(Mutation::WritesOverOthers, ONE_SLOT, &[NEVER_EXCEEDED]);
}

#[test]
fn a_late_return_leaves_the_next_attempts_slot() {
    is_needed(Mutation::GivesBackAnyAttempt, ONE_SLOT, &[NEVER_EXCEEDED]);
}

#[test]
fn without_an_answer_a_job_waits() {
    is_needed(Mutation::GoesWithoutAnswer, ONE_SLOT, &[NEVER_EXCEEDED]);
}

#[test]
fn what_no_event_told_is_swept() {
    is_needed(
        Mutation::LeavesTheClosed,
        ONE_SLOT,
        &[NEVER_STUCK, NOTHING_LEFT],
    );
}

#[test]
fn a_sweep_takes_nothing_from_whoever_runs() {
    is_needed(Mutation::TakesFromTheRunning, ONE_SLOT, &[NEVER_EXCEEDED]);
}

#[test]
fn an_execution_knows_its_own_lease() {
    is_needed(
        Mutation::ForgetsItsLease,
        ONE_SLOT,
        &[NEVER_STUCK, NEVER_EXCEEDED],
    );
}

#[test]
fn whoever_has_a_slot_leaves_the_line() {
    is_needed(Mutation::StaysInLine, ONE_SLOT, &[ONCE]);
}
