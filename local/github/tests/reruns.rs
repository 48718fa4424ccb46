//! Jobs that an App runs again.
#![allow(clippy::unwrap_used)]

mod support;

use github_standin::{Access, Job, JobStatus, NewJob, Server};
use support::{ORGANIZATION, PATIENCE, Reply, call, new_job, register, server, token};

async fn writing() -> Server {
    let server = server().await;
    server.set_permission("octo", "actions", Some(Access::Write));
    server
}

/// A job of a run, a new one if not given.
fn job_of(server: &Server, run_id: Option<u64>) -> Job {
    let new = new_job("octo/hello", &["x"]);
    server.create_job(NewJob { run_id, ..new }).unwrap()
}

/// A job that a runner has ended like that.
async fn ended(server: &Server, run: Option<u64>, conclusion: &str) -> Job {
    let job = job_of(server, run);
    let name = format!("runner-{}", job.id);
    let (_, config) = register(server, ORGANIZATION, &name, &["x"]).await;
    let mut runner = server.connect(&config).unwrap();
    assert_eq!(runner.take(PATIENCE).await.unwrap().id, job.id);
    assert!(runner.finish(conclusion));
    job
}

async fn post(server: &Server, path: &str) -> Reply {
    let token = token(server, "octo").await;
    let path = format!("/repos/octo/hello/actions/{path}");
    call(server, &token, "POST", &path, None).await
}

fn second_attempt(server: &Server) -> Vec<Job> {
    let jobs = server.jobs().into_iter();
    jobs.filter(|job| job.run_attempt == 2).collect()
}

#[tokio::test]
async fn a_run_that_goes_on_is_not_run_again() {
    let server = writing().await;
    let job = ended(&server, None, "failure").await;
    let other = job_of(&server, Some(job.run_id));
    let path = format!("jobs/{}/rerun", job.id);
    let refused = post(&server, &path).await;
    assert_eq!(refused.status, 403);
    assert!(refused.message().contains("already running"), "{refused:?}");
    let failed = format!("runs/{}/rerun-failed-jobs", job.run_id);
    assert!(
        post(&server, &failed)
            .await
            .message()
            .contains("already running")
    );
    server.cancel_job(other.id).unwrap();
    assert_eq!(post(&server, &path).await.status, 201);
    let again = second_attempt(&server);
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(
        (again[0].run_id, again[0].status),
        (job.run_id, JobStatus::Queued)
    );
    assert_ne!(again[0].id, job.id);
    assert_eq!(post(&server, &path).await.status, 403, "it goes on again");
}

#[tokio::test]
async fn failed_and_cancelled_jobs_are_run_again_together() {
    let server = writing().await;
    let job = ended(&server, None, "failure").await;
    for conclusion in ["cancelled", "success"] {
        ended(&server, Some(job.run_id), conclusion).await;
    }
    let path = format!("runs/{}/rerun-failed-jobs", job.run_id);
    assert_eq!(post(&server, &path).await.status, 201);
    assert_eq!(second_attempt(&server).len(), 2);
}

#[tokio::test]
async fn whoever_may_only_read_runs_nothing_again() {
    let server = server().await;
    let job = ended(&server, None, "failure").await;
    let refused = post(&server, &format!("jobs/{}/rerun", job.id)).await;
    assert_eq!(refused.status, 403);
    assert_eq!(
        refused.header("x-accepted-github-permissions"),
        "actions=write"
    );
    assert_eq!(post(&writing().await, "jobs/77/rerun").await.status, 404);
}
