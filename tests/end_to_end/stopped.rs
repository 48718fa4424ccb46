//! Aborts and timeouts of an execution in each of its states: nothing of it is left, even if a call
//! in flight is carried out afterwards.

use futures_util::future::join_all;
use github_standin::{Job, JobStatus};
use protocol::State;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Harness, LIMIT, Site, run, script};
use crate::recovery::sweep;

/// All states that take time.
const STATES: [State; 6] = [
    State::Match,
    State::Launch,
    State::Token,
    State::Runner,
    State::Cleanup,
    State::Wait,
];

/// How an execution is stopped.
#[derive(Clone, Copy)]
enum Stop {
    /// An operator aborts it.
    Abort,
    /// It exceeds its timeout.
    TimeOut,
}

impl Stop {
    const fn status(self) -> &'static str {
        match self {
            Self::Abort => "ABORTED",
            Self::TimeOut => "TIMED_OUT",
        }
    }

    fn repository(self, state: State) -> String {
        format!("octo/{}-in-{state}", self.status().to_lowercase())
    }
}

#[test]
fn an_execution_aborted_in_any_state_leaves_nothing_behind() {
    run(async |harness| {
        let site = &harness.repository;
        let jobs = stopped_in_each_state(harness, Stop::Abort).await;
        for (job, _) in &jobs {
            let next = site.observer.execution(&site.next_name(job)).await.unwrap();
            assert!(next.is_none(), "an abort was deliberate: never restart it");
        }
        is_swept(harness, &jobs).await;
        // Without a runner, it waits for the operator who aborted it.
        for (job, _) in &jobs {
            if site.job(job).status == JobStatus::Queued {
                site.deployment.github.cancel_job(job.id).unwrap();
            }
        }
    });
}

#[test]
fn an_execution_timed_out_in_any_state_is_followed_by_another_that_serves_the_job() {
    run(async |harness| {
        let site = &harness.repository;
        let jobs = stopped_in_each_state(harness, Stop::TimeOut).await;
        for (job, state) in &jobs {
            site.reaches(job, JobStatus::Completed).await;
            let ended = site.job(job);
            // In `Cleanup` the job had ended already.
            let served = ended.conclusion.as_deref() == Some("success");
            assert!(served, "stopped in {state}: {ended:?}");
        }
        is_swept(harness, &jobs).await;
    });
}

/// Queues a job for each state and stops its execution there. Returns the jobs with their states.
async fn stopped_in_each_state(harness: &'static Harness, stop: Stop) -> Vec<(Job, State)> {
    let stopped = STATES.map(async |state| (stopped_in(harness, state, stop).await, state));
    join_all(stopped).await
}

/// Queues a job and stops its execution in this state.
async fn stopped_in(harness: &'static Harness, state: State, stop: Stop) -> Job {
    let site = &harness.repository;
    let repository = stop.repository(state);
    // Makes each state take time: a function's calls and RunTask are delayed, and are carried out
    // although the execution has ended. `Wait` requires a lack of capacity.
    let mut faults = vec![json!({
        "service": "lambda", "operation": "Invoke", "effect": "delay", "seconds": 2,
        "times": 8, "match": repository,
    })];
    if state == State::Wait {
        faults = vec![json!({
            "service": "ecs", "operation": "RunTask", "effect": "capacity", "match": repository,
            "times": crate::faults::RUNNER_TRIES,
        })];
    } else if state == State::Runner {
        faults.push(json!({
            "service": "ecs", "operation": "RunTask", "effect": "delay", "seconds": 2,
            "match": repository,
        }));
    }
    for fault in faults {
        harness.control(Method::POST, "/faults", fault).await;
    }
    let job = site.queue(script(&repository, "true"));
    let name = site.name(&job);
    let entered = site
        .observer
        .wait(LIMIT, async || {
            let execution = site.observer.execution(&name).await?;
            let now = execution.and_then(|found| found.visits.last().cloned());
            Ok(now.filter(|visit| visit.state == state.as_str()))
        })
        .await
        .unwrap();
    assert!(entered.is_some(), "{name} never came to {state}");
    match stop {
        Stop::Abort => {
            let arn = site.observer.execution_arn(&name);
            let input = json!({ "executionArn": arn });
            site.observer
                .aws
                .states("StopExecution", input)
                .await
                .unwrap();
        }
        Stop::TimeOut => {
            let path = format!("/executions/{name}/time-out");
            harness.control(Method::POST, &path, json!({})).await;
        }
    }
    let execution = site.ended(&job).await;
    assert_eq!(execution.status, stop.status(), "in {state}");
    let last = execution.visits.last().map(|visit| visit.state.as_str());
    assert_eq!(last, Some(state.as_str()), "{:?}", execution.visits);
    let path = format!("/faults?match={repository}");
    harness.control(Method::DELETE, &path, json!({})).await;
    job
}

/// Waits for the calls in flight, ages their results, and sweeps them.
async fn is_swept(harness: &Harness, jobs: &[(Job, State)]) {
    let site = &harness.repository;
    let names: Vec<_> = jobs.iter().map(|(job, _)| site.name(job)).collect();
    let mut left = Vec::new();
    let gone = site
        .observer
        .wait(LIMIT, async || {
            for name in &names {
                let aged = json!({ "match": name, "seconds": 1_200 });
                harness.control(Method::POST, "/ages", aged).await;
            }
            sweep(site).await;
            left = left_of(site, &names).await?;
            Ok(left.is_empty().then_some(()))
        })
        .await
        .unwrap();
    assert!(gone.is_some(), "{left:#?}");
}

async fn left_of(site: &Site, names: &[String]) -> anyhow::Result<Vec<String>> {
    let mut left = site.observer.leftovers().await?;
    left.retain(|line| names.iter().any(|name| line.contains(name)));
    Ok(left)
}
