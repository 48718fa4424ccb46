//! Every interleaving of small worlds is explored, and what holds in each is in `properties`.
//!
//! The numbers of states are printed: `cargo nextest run -p model --no-capture`.

use crate::check::{ONE_FAULT, explore};
use model::{FaultKind, Scope};

#[test]
fn one_job_with_two_faults_and_a_cancellation_is_served_and_leaves_nothing() {
    explore(Scope {
        name: "one job, two faults, one cancellation",
        labels: &[1],
        faults: 2,
        cancels: 1,
        ..ONE_FAULT
    });
}

#[test]
fn one_job_held_back_for_an_approval_is_served_whatever_fails_once() {
    explore(Scope {
        name: "one job, one fault, one approval",
        labels: &[1],
        holds: 1,
        ..ONE_FAULT
    });
}

#[test]
fn two_like_jobs_are_served_whoever_takes_whose_runner_and_whatever_fails_once() {
    explore(Scope {
        name: "two like jobs, one fault",
        ..ONE_FAULT
    });
}

#[test]
fn a_job_whose_runner_suits_another_but_not_the_other_way_round_is_served() {
    explore(Scope {
        name: "two jobs, one's labels contain the other's, one fault",
        labels: &[3, 1],
        ..ONE_FAULT
    });
}

#[test]
fn of_two_jobs_the_cancelled_one_leaves_nothing_and_the_other_is_served() {
    explore(Scope {
        name: "two like jobs, one cancellation, events go wrong once",
        cancels: 1,
        kinds: &[FaultKind::Webhooks, FaultKind::Events],
        ..ONE_FAULT
    });
}

#[test]
fn jobs_whose_ends_are_noted_are_served_whatever_note_is_lost_late_or_repeated() {
    explore(Scope {
        name: "two like jobs, their ends noted, one fault",
        notes: true,
        ..ONE_FAULT
    });
    explore(Scope {
        name: "one job, its end noted, one fault, one approval",
        labels: &[1],
        holds: 1,
        notes: true,
        ..ONE_FAULT
    });
}

#[test]
fn three_jobs_with_two_sets_of_labels_are_served() {
    explore(Scope {
        name: "three jobs, two sets of labels, no fault",
        labels: &[3, 1, 1],
        faults: 0,
        ..ONE_FAULT
    });
}

#[test]
fn of_three_jobs_one_is_cancelled_and_the_others_are_served() {
    explore(Scope {
        name: "three jobs, two sets of labels, one cancellation, no fault",
        labels: &[3, 1, 1],
        faults: 0,
        cancels: 1,
        ..ONE_FAULT
    });
}

#[test]
fn a_job_that_github_hides_is_served_once_it_is_shown_whatever_else_fails() {
    explore(Scope {
        name: "one job, an outage and any other fault, one cancellation",
        labels: &[1],
        faults: 2,
        cancels: 1,
        ..ONE_FAULT
    });
}

#[test]
fn jobs_are_served_or_given_up_at_the_end_of_their_day_whatever_passes() {
    explore(Scope {
        name: "two like jobs, two things that pass, the end of a day in the queue",
        faults: 2,
        days: 1,
        kinds: &[FaultKind::Transient],
        ..ONE_FAULT
    });
}
