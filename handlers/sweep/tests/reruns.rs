//! Jobs that were interrupted get their second chance.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::Duration as StdDuration;

use aws_in_memory::Aws;
use decisions::{Loss, LostJob};
use github::JitRequest;
use github_standin::{
    Access, Config as GitHubConfig, Fault, FaultKind, Job, JobStatus, NewJob, Server,
};
use pool::{RerunNote, Reruns};
use protocol::{JobId, Repository};
use sweep::{Deps, reruns};
use time::{Duration, OffsetDateTime};

const PATIENCE: StdDuration = StdDuration::from_secs(10);

struct World {
    server: Server,
    deps: Deps,
    notes: Reruns,
}

impl World {
    async fn new() -> Self {
        let server = Server::start(GitHubConfig::default()).await.unwrap();
        let aws = Aws::new();
        let notes = Reruns::over(aws.pool());
        let mut deps = support::deps(&aws, &server, &[]);
        deps.fleet.reruns = Some(notes.clone());
        Self {
            server,
            deps,
            notes,
        }
    }

    fn queue(&self, run: Option<u64>) -> Job {
        let job = self.server.create_job(NewJob {
            repository: "octo/hello".to_owned(),
            labels: vec!["linux".to_owned()],
            run_id: run,
            ..NewJob::default()
        });
        self.server
            .set_permission("octo", "actions", Some(Access::Write));
        job.unwrap()
    }

    /// A runner takes the job, which ends like that.
    async fn ends(&self, job: &Job, conclusion: &str) {
        let repository: Repository = "octo/hello".parse().unwrap();
        let scope = github::Scope::Repository(repository.clone());
        let access = github::Access::runners(&scope);
        let serving = self.deps.github.serving(&repository, None, &access);
        let request = JitRequest {
            name: runner(job),
            runner_group_id: 1,
            labels: vec!["linux".to_owned()],
            work_folder: "_work".to_owned(),
        };
        let serving = serving.await.unwrap();
        let config = serving.jit_config(&scope, &request).await.unwrap();
        let mut runner = self.server.connect(config.config.expose()).unwrap();
        let taken = runner.take(PATIENCE).await.unwrap();
        assert_eq!(taken.id, job.id);
        assert!(runner.finish(conclusion));
    }

    async fn note(&self, job: &Job, at: OffsetDateTime) {
        let note = RerunNote {
            repository: "octo/hello".parse().unwrap(),
            run: job.run_id,
            job: LostJob {
                id: JobId(job.id),
                runner: runner(job),
                run_attempt: job.run_attempt.try_into().unwrap(),
                loss: Loss::InJob,
            },
            installation: None,
            noted_at: at,
        };
        self.notes.note(&note).await.unwrap();
    }

    /// How many re-runs a sweep begins, and how many notes it leaves.
    async fn sweep(&self) -> (usize, usize) {
        let begun = reruns::post_all(&self.deps, OffsetDateTime::now_utc());
        let begun = begun.await.unwrap();
        (begun, self.notes.all().await.unwrap().len())
    }

    /// The jobs of a later attempt.
    fn again(&self) -> Vec<Job> {
        let jobs = self.server.jobs().into_iter();
        jobs.filter(|job| job.run_attempt > 1).collect()
    }
}

fn runner(job: &Job) -> String {
    format!("fr-hello-{}", job.id)
}

#[tokio::test]
async fn a_lost_job_is_run_again_once_its_run_has_ended() {
    let world = World::new().await;
    let now = OffsetDateTime::now_utc();
    let job = world.queue(None);
    world.ends(&job, "failure").await;
    let other = world.queue(Some(job.run_id));
    world.note(&job, now).await;
    assert_eq!(world.sweep().await, (0, 1), "another job of the run waits");
    assert!(world.again().is_empty());
    world.ends(&other, "success").await;
    assert_eq!(world.sweep().await, (1, 0));
    let again = world.again();
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(again[0].status, JobStatus::Queued);
    assert_eq!((again[0].run_id, again[0].run_attempt), (job.run_id, 2));
    assert_eq!(world.sweep().await, (0, 0));
    // Its token opened no more than that.
    let tokens = world.server.issued_tokens();
    let writes = tokens
        .iter()
        .filter(|token| token.permissions.get("actions") == Some(&Access::Write));
    assert_eq!(writes.count(), 1, "{tokens:?}");
}

#[tokio::test]
async fn several_lost_jobs_of_a_run_are_run_again_together() {
    let world = World::new().await;
    let now = OffsetDateTime::now_utc();
    let first = world.queue(None);
    world.ends(&first, "failure").await;
    let second = world.queue(Some(first.run_id));
    world.ends(&second, "cancelled").await;
    world.note(&first, now).await;
    world.note(&second, now).await;
    assert_eq!(world.sweep().await, (1, 0));
    let again = world.again();
    assert_eq!(again.len(), 2, "{again:?}");
}

#[tokio::test]
async fn a_run_that_somebody_ran_again_is_left_alone() {
    let world = World::new().await;
    let job = world.queue(None);
    world.ends(&job, "failure").await;
    world.note(&job, OffsetDateTime::now_utc()).await;
    world.server.rerun_job(job.id).unwrap();
    assert_eq!(world.sweep().await, (0, 0));
    assert_eq!(world.again().len(), 1);
}

#[tokio::test]
async fn without_the_permission_the_job_stays_failed_and_the_note_goes() {
    let world = World::new().await;
    let job = world.queue(None);
    world
        .server
        .set_permission("octo", "actions", Some(Access::Read));
    world.ends(&job, "failure").await;
    world.note(&job, OffsetDateTime::now_utc()).await;
    assert_eq!(world.sweep().await, (0, 0));
    assert!(world.again().is_empty());
}

#[tokio::test]
async fn a_run_that_goes_on_for_a_week_is_given_up() {
    let world = World::new().await;
    let job = world.queue(None);
    let week = OffsetDateTime::now_utc() - Duration::days(7);
    world.note(&job, week).await;
    assert_eq!(world.sweep().await, (0, 0));
}

#[tokio::test]
async fn what_github_refuses_once_is_run_again_and_what_it_refuses_twice_is_not() {
    let status = |status| FaultKind::Status {
        status,
        message: Some("Unable to retry this workflow run".to_owned()),
        retry_after: None,
    };
    // Of a 404 and of an error nobody knows whether GitHub did it, or will.
    for (refusal, times, begun, notes) in [
        (403, 1, 1, 0),
        (403, 2, 0, 0),
        (422, 2, 0, 0),
        (404, 2, 0, 1),
    ] {
        let world = World::new().await;
        let job = world.queue(None);
        world.ends(&job, "failure").await;
        world.note(&job, OffsetDateTime::now_utc()).await;
        let fault = Fault::new(status(refusal)).on("POST", "/rerun");
        world.server.fault(fault.times(times));
        assert_eq!(world.sweep().await, (begun, notes), "{refusal} {times}");
        assert_eq!(world.again().len(), begun);
        // The next sweep asks once more where a note is left.
        assert_eq!(world.sweep().await, (notes, 0), "{refusal} {times}");
    }
}

#[tokio::test]
async fn the_jobs_of_a_deleted_run_are_forgotten_and_those_of_a_hidden_one_are_not() {
    let world = World::new().await;
    let (deleted, other) = (world.queue(None), world.queue(None));
    for job in [&deleted, &other] {
        world.note(job, OffsetDateTime::now_utc()).await;
    }
    let hidden = FaultKind::Status {
        status: 404,
        message: None,
        retry_after: None,
    };
    // Each run is looked at three times, and the other runs twice.
    let hidden = Fault::new(hidden).on("GET", "/actions/runs");
    world.server.fault(hidden.times(10));
    assert_eq!(world.sweep().await, (0, 2));
    world.server.clear_faults();
    world.server.delete_run(deleted.run_id).unwrap();
    assert_eq!(world.sweep().await, (0, 1));
}
