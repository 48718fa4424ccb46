//! Faults at every step, ordered from the engine and from GitHub: one test for each `Retry` and
//! `Catch` of the state machine, and one test that finds clauses without a test.

use std::collections::BTreeSet;
use std::fs;

use github_standin::{Fault, FaultKind, Job, JobStatus};
use local_stack::{Execution, Visit};
use protocol::State;
use reqwest::Method;
use serde_json::{Value, json};
use tooling::{Checkout, Tasks};

use crate::harness::{Harness, LIMIT, Site, assert_succeeded, run, script};

/// How often `Runner` calls RunTask with one registration: once, plus five retries.
pub(crate) const RUNNER_TRIES: u32 = 6;

/// The tests of each clause of the state machine, by its state, its kind and the first of its
/// errors.
const TAKEN_BY: &[(State, &str, &str, &str)] = &[
    (
        State::Token,
        "Catch",
        "NoFreeSlot",
        "caps::of_eight_jobs_never_more_than_two_run_and_a_repository_has_a_cap_of_its_own",
    ),
    (
        State::Match,
        "Retry",
        "Throttled",
        "faults::a_throttled_match_is_tried_again",
    ),
    (
        State::Match,
        "Catch",
        "Unmatched",
        "bad_input::a_job_that_nothing_matches_ends_with_the_nearest_offers",
    ),
    (
        State::Match,
        "Catch",
        "BadInput",
        "bad_input::a_task_definition_without_the_container_is_named",
    ),
    (
        State::Match,
        "Catch",
        "States.ALL",
        "faults::an_outage_that_outlasts_match_is_followed_by_another_execution",
    ),
    (
        State::Launch,
        "Retry",
        "Lambda.TooManyRequestsException",
        "faults::a_throttled_launch_is_tried_again",
    ),
    (
        State::Launch,
        "Catch",
        "Deferred",
        "faults::an_order_for_later_waits_for_its_time",
    ),
    (
        State::Launch,
        "Catch",
        "States.ALL",
        "faults::an_outage_that_outlasts_launch_is_followed_by_another_attempt",
    ),
    (
        State::Token,
        "Retry",
        "Throttled",
        "faults::a_throttled_token_is_tried_again",
    ),
    (
        State::Token,
        "Catch",
        "JobNotQueued",
        "faults::a_job_that_is_over_gets_no_runner",
    ),
    (
        State::Token,
        "Catch",
        "GitHubRateLimited",
        "faults::githubs_rate_limit_on_registrations_is_waited_out",
    ),
    (
        State::Token,
        "Catch",
        "BadInput",
        "bad_input::an_app_that_is_not_installed_is_named_with_the_repository",
    ),
    (
        State::Token,
        "Catch",
        "States.ALL",
        "faults::a_crashed_token_is_followed_by_an_attempt_with_another_registration",
    ),
    (
        State::Runner,
        "Retry",
        "ECS.AmazonECSException",
        "faults::a_throttled_run_task_is_tried_again",
    ),
    (
        State::Runner,
        "Retry",
        "ECS.InvalidParameterException",
        "faults::a_look_up_that_ec2_throttles_is_tried_again",
    ),
    (
        State::Runner,
        "Catch",
        "States.ALL",
        "faults::a_lack_of_capacity_is_waited_out",
    ),
    (
        State::WarmRunner,
        "Retry",
        "DynamoDb.ProvisionedThroughputExceededException",
        "warm::a_wait_that_cannot_be_written_leaves_the_running_job_alone",
    ),
    (
        State::WarmRunner,
        "Catch",
        "States.ALL",
        "warm::an_adopted_task_that_ends_before_the_wait_begins_is_judged_by_its_end",
    ),
    (
        State::Cleanup,
        "Retry",
        "Throttled",
        "faults::a_throttled_cleanup_is_tried_again",
    ),
    (
        State::Cleanup,
        "Catch",
        "StillQueued",
        "faults::a_task_that_never_starts_is_followed_by_another",
    ),
    (
        State::Cleanup,
        "Catch",
        "GitHubRateLimited",
        "faults::githubs_rate_limit_on_the_judge_is_waited_out",
    ),
    (
        State::Cleanup,
        "Catch",
        "GaveUp",
        "bad_input::an_app_that_is_not_installed_is_named_with_the_repository",
    ),
    (
        State::Cleanup,
        "Catch",
        "States.ALL",
        "faults::a_broken_cleanup_fails_and_its_event_cleans_up",
    ),
];

#[test]
fn every_retry_and_catch_has_a_test_that_takes_it() {
    let checkout = Checkout::here();
    let read = |path: &str| fs::read_to_string(checkout.root().join(path)).unwrap();
    let machine = checkout.definition(Tasks::WarmAndCapped).unwrap();
    let mut clauses = BTreeSet::new();
    for (state, definition) in machine["States"].as_object().unwrap() {
        for kind in ["Retry", "Catch"] {
            for clause in definition[kind].as_array().into_iter().flatten() {
                let first = clause["ErrorEquals"][0].as_str().unwrap();
                assert!(
                    clauses.insert((state.clone(), kind, first.to_owned())),
                    "{state} has two of {kind} {first}"
                );
            }
        }
    }
    let taken: BTreeSet<_> = TAKEN_BY
        .iter()
        .map(|(state, kind, first, _)| (state.as_str().to_owned(), *kind, (*first).to_owned()))
        .collect();
    assert_eq!(clauses, taken, "what is there, and what a test takes");
    for (.., test) in TAKEN_BY {
        let (file, name) = test.split_once("::").unwrap();
        let source = read(&format!("tests/end_to_end/{file}.rs"));
        assert!(
            source.contains(&format!("#[test]\nfn {name}() {{")),
            "{test} is no test"
        );
    }
}

/// Orders a fault from the engine.
pub(crate) async fn order(harness: &Harness, fault: Value) {
    harness.control(Method::POST, "/faults", fault).await;
}

/// Makes the state machine's next invocations of a function fail.
pub(crate) async fn invocations_fail(harness: &Harness, function: &str, error: &str, times: u32) {
    let fault = json!({
        "service": "lambda",
        "operation": "Invoke",
        "match": format!("fargate-runners-{function}"),
        "error": error,
        "times": times,
    });
    order(harness, fault).await;
}

/// Runs a job, which must succeed and leave nothing.
async fn served(site: &Site, repository: &str) -> (Job, Execution) {
    let (job, execution) = site.run(script(repository, "true")).await;
    assert_succeeded(&execution);
    is_over(site, &job).await;
    (job, execution)
}

/// Waits until the job has completed and nothing of it is left.
pub(crate) async fn is_over(site: &Site, job: &Job) {
    site.reaches(job, JobStatus::Completed).await;
    site.nothing_left_of(job).await;
}

pub(crate) fn visits(execution: &Execution, state: State) -> Vec<&Visit> {
    execution
        .visits
        .iter()
        .filter(|visit| visit.state == state.as_str())
        .collect()
}

/// A state's errors, one for each visit that failed.
pub(crate) fn failures(execution: &Execution, state: State) -> Vec<&str> {
    visits(execution, state)
        .iter()
        .filter_map(|visit| visit.failure.as_ref())
        .map(|(error, _)| error.as_str())
        .collect()
}

/// Asserts that a state was entered once and its task tried three times.
fn takes_three_tries(execution: &Execution, state: State) {
    let visits = visits(execution, state);
    assert_eq!(visits.len(), 1, "{:?}", execution.visits);
    assert_eq!(visits[0].tries, 3);
}

async fn is_tried_again(harness: &Harness, function: &str, state: State) {
    let site = &harness.repository;
    invocations_fail(harness, function, "TooManyRequestsException", 2).await;
    let (_, execution) = served(site, &format!("octo/throttled-{function}")).await;
    takes_three_tries(&execution, state);
}

#[test]
fn a_throttled_match_is_tried_again() {
    run(async |harness| is_tried_again(harness, "match", State::Match).await);
}

#[test]
fn a_throttled_launch_is_tried_again() {
    run(async |harness| is_tried_again(harness, "launch", State::Launch).await);
}

#[test]
fn a_throttled_token_is_tried_again() {
    run(async |harness| is_tried_again(harness, "token", State::Token).await);
}

#[test]
fn a_throttled_cleanup_is_tried_again() {
    run(async |harness| is_tried_again(harness, "cleanup", State::Cleanup).await);
}

#[test]
fn a_throttled_run_task_is_tried_again() {
    run(async |harness| {
        let site = &harness.repository;
        let fault = json!({ "service": "ecs", "operation": "RunTask", "match": "octo/throttled-task", "times": 2 });
        order(harness, fault).await;
        let (_, execution) = served(site, "octo/throttled-task").await;
        takes_three_tries(&execution, State::Runner);
    });
}

#[test]
fn a_look_up_that_ec2_throttles_is_tried_again() {
    run(async |harness| {
        let site = &harness.repository;
        // As reported in https://github.com/dask/dask-cloudprovider/issues/56.
        let fault = json!({
            "service": "ecs", "operation": "RunTask", "match": "octo/throttled-look-up", "times": 2,
            "error": "InvalidParameterException",
            "message": "Error retrieving security group information for [sg-05937427457b61ff5]: Request limit exceeded. (ErrorCode: RequestLimitExceeded)",
        });
        order(harness, fault).await;
        let (_, execution) = served(site, "octo/throttled-look-up").await;
        takes_three_tries(&execution, State::Runner);
    });
}

#[test]
fn an_outage_that_outlasts_match_is_followed_by_another_execution() {
    run(async |harness| {
        let site = &harness.repository;
        // One more than its attempts.
        invocations_fail(harness, "match", "Runtime.ExitError", 13).await;
        let (job, execution) = site.run(script("octo/no-match", "true")).await;
        assert_eq!(execution.status, "FAILED");
        assert_eq!(execution.error.as_deref(), Some("Runtime.ExitError"));
        let next = site.next_name(&job);
        let next = site.observer.ended(&next, LIMIT).await.unwrap();
        assert_succeeded(&next);
        is_over(site, &job).await;
    });
}

#[test]
fn an_outage_that_outlasts_launch_is_followed_by_another_attempt() {
    run(async |harness| {
        let site = &harness.repository;
        // One more than its attempts.
        invocations_fail(harness, "launch", "Runtime.ExitError", 9).await;
        let (_, execution) = served(site, "octo/no-launch").await;
        assert_eq!(failures(&execution, State::Launch), ["Runtime.ExitError"]);
        assert_eq!(visits(&execution, State::Wait).len(), 1);
    });
}

#[test]
fn a_crashed_token_is_followed_by_an_attempt_with_another_registration() {
    run(async |harness| {
        let site = &harness.repository;
        invocations_fail(harness, "token", "Runtime.ExitError", 1).await;
        let (_, execution) = served(site, "octo/crashed-token").await;
        assert_eq!(failures(&execution, State::Token), ["Runtime.ExitError"]);
        assert_eq!(visits(&execution, State::Token).len(), 2);
    });
}

#[test]
fn githubs_rate_limit_on_registrations_is_waited_out() {
    run(async |harness| {
        let site = &harness.repository;
        let limited = FaultKind::RateLimited { reset_seconds: 30 };
        let fault = Fault::new(limited).on("POST", "generate-jitconfig");
        site.deployment.github.fault(fault);
        let (_, execution) = served(site, "octo/limited").await;
        assert_eq!(failures(&execution, State::Token), ["GitHubRateLimited"]);
        assert_eq!(visits(&execution, State::Wait).len(), 1);
    });
}

#[test]
fn a_github_that_is_down_is_waited_out() {
    run(async |harness| {
        let site = &harness.repository;
        let down = FaultKind::Status {
            status: 502,
            message: None,
            retry_after: None,
        };
        // A single bad response has no effect, because the call is tried three times in place.
        let fault = Fault::new(down).on("POST", "generate-jitconfig").times(3);
        site.deployment.github.fault(fault);
        let (_, execution) = served(site, "octo/down").await;
        assert_eq!(failures(&execution, State::Token), ["GitHubUnavailable"]);
    });
}

#[test]
fn a_queued_job_that_github_does_not_find_is_still_served() {
    run(async |harness| {
        let site = &harness.repository;
        let fault = json!({ "service": "ecs", "operation": "RunTask", "effect": "capacity", "match": "octo/not-found", "times": RUNNER_TRIES });
        order(harness, fault).await;
        let missing = FaultKind::Status {
            status: 404,
            message: None,
            retry_after: None,
        };
        // Both looks of one step.
        let fault = Fault::new(missing).on("GET", "/actions/jobs/").times(2);
        site.deployment.github.fault(fault);
        let (_, execution) = served(site, "octo/not-found").await;
        assert_eq!(visits(&execution, State::Cleanup).len(), 2);
    });
}

#[test]
fn githubs_rate_limit_on_the_judge_is_waited_out() {
    run(async |harness| {
        let site = &harness.repository;
        let limited = FaultKind::RateLimited { reset_seconds: 30 };
        site.deployment
            .github
            .fault(Fault::new(limited).on("GET", "/actions/jobs/"));
        let (_, execution) = served(site, "octo/limited-judge").await;
        assert_eq!(failures(&execution, State::Cleanup), ["GitHubRateLimited"]);
        assert_eq!(visits(&execution, State::WaitForGitHub).len(), 1);
    });
}

#[test]
fn a_lack_of_capacity_is_waited_out() {
    run(async |harness| {
        let site = &harness.repository;
        let fault = json!({ "service": "ecs", "operation": "RunTask", "effect": "capacity", "match": "octo/capacity", "times": RUNNER_TRIES });
        order(harness, fault).await;
        let (_, execution) = served(site, "octo/capacity").await;
        assert_eq!(
            failures(&execution, State::Runner),
            ["ECS.AmazonECSException"]
        );
        assert_eq!(visits(&execution, State::Runner).len(), 2);
        assert_eq!(
            visits(&execution, State::Token).len(),
            2,
            "each attempt has its own registration"
        );
    });
}

#[test]
fn a_task_that_never_starts_is_followed_by_another() {
    run(async |harness| {
        let site = &harness.repository;
        let fault = json!({ "service": "ecs", "operation": "RunTask", "effect": "never-starts" });
        order(harness, fault).await;
        let (_, execution) = served(site, "octo/never-starts").await;
        assert_eq!(failures(&execution, State::Cleanup), ["StillQueued"]);
        assert_eq!(visits(&execution, State::Runner).len(), 2);
    });
}

#[test]
fn a_broken_cleanup_fails_and_its_event_cleans_up() {
    run(async |harness| {
        let site = &harness.repository;
        invocations_fail(harness, "cleanup", "Handler.Broken", 1).await;
        let (job, execution) = site.run(script("octo/broken-cleanup", "true")).await;
        assert_eq!(execution.status, "FAILED");
        assert_eq!(execution.error.as_deref(), Some("Handler.Broken"));
        is_over(site, &job).await;
    });
}

/// Starts a later execution with a job's original order, changed.
async fn again(
    site: &Site,
    job: &Job,
    first: &Execution,
    change: impl FnOnce(&mut Value),
) -> Execution {
    let started = &first.events[0]["executionStartedEventDetails"]["input"];
    let mut input: Value = serde_json::from_str(started.as_str().unwrap()).unwrap();
    change(&mut input);
    let name = site.next_name(job);
    let request = json!({
        "stateMachineArn": site.observer.machine,
        "name": name,
        "input": input.to_string(),
    });
    site.observer
        .aws
        .states("StartExecution", request)
        .await
        .unwrap();
    site.observer.ended(&name, LIMIT).await.unwrap()
}

#[test]
fn a_job_that_is_over_gets_no_runner() {
    run(async |harness| {
        let site = &harness.repository;
        let (job, first) = served(site, "octo/over").await;
        let execution = again(site, &job, &first, |order| order["recheck"] = json!(true)).await;
        assert_succeeded(&execution);
        assert_eq!(failures(&execution, State::Token), ["JobNotQueued"]);
        assert!(visits(&execution, State::Runner).is_empty());
    });
}

#[test]
fn an_order_for_later_waits_for_its_time() {
    run(async |harness| {
        let site = &harness.repository;
        let (job, first) = served(site, "octo/later").await;
        let later = time::OffsetDateTime::now_utc() + time::Duration::minutes(8);
        let later = later
            .format(&time::format_description::well_known::Rfc3339)
            .unwrap();
        let execution = again(site, &job, &first, |order| {
            order["recheck"] = json!(true);
            order["notBefore"] = json!(later);
        })
        .await;
        assert_succeeded(&execution);
        // The engine scales the order's start like its waits, so one wait is enough.
        assert_eq!(failures(&execution, State::Launch), ["Deferred"]);
        assert_eq!(visits(&execution, State::Wait).len(), 1);
        assert_eq!(failures(&execution, State::Token), ["JobNotQueued"]);
    });
}
