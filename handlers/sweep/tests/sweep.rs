//! What one sweep finds and repairs.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration as StdDuration;

use aws_in_memory::Aws;
use github::{Access, JitRequest, Scope};
use github_standin::{Config as GitHubConfig, Job, NewJob, RunnerRelease, Server, SimulatedRunner};
use protocol::{Order, ParameterPath};
use serde_json::json;
use sweep::{Deps, Report, handle};
use time::{Duration, OffsetDateTime};

const LABELS: [&str; 2] = ["self-hosted", "linux"];

struct Snapshot {
    aws: Aws,
    server: Server,
    deps: Deps,
}

impl Snapshot {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(more: &[(&str, &str)]) -> Self {
        let server = Server::start(GitHubConfig::default()).await.unwrap();
        let aws = Aws::new();
        let deps = support::deps(&aws, &server, more);
        Self { aws, server, deps }
    }

    fn job(&self) -> Job {
        self.job_for(&LABELS)
    }

    /// A job with a label that no runner here has: it stays queued.
    fn unserved_job(&self) -> Job {
        self.job_for(&["self-hosted", "gpu"])
    }

    fn job_for(&self, labels: &[&str]) -> Job {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.server
            .create_job(NewJob {
                repository: "octo/hello".into(),
                labels,
                ..NewJob::default()
            })
            .unwrap()
    }

    /// An execution of the job's, of that status; its name.
    fn execution(&self, job: &Job, status: &str, error: Option<&str>) -> String {
        let name = format!("hello-{}", job.id);
        self.aws.add_execution(&name, &order(job), status, error);
        name
    }

    /// Registers a runner at GitHub; its configuration.
    async fn register(&self, name: &str) -> String {
        let repository: protocol::Repository = "octo/hello".parse().unwrap();
        let scope = Scope::Repository(repository.clone());
        let access = Access::runners(&scope);
        let serving = self.deps.github.serving(&repository, None, &access);
        let installation = serving.await.unwrap();
        let request = JitRequest {
            name: name.to_owned(),
            runner_group_id: 1,
            labels: LABELS.map(str::to_owned).to_vec(),
            work_folder: "_work".into(),
        };
        let runner = installation.jit_config(&scope, &request).await.unwrap();
        runner.config.expose().to_owned()
    }

    /// A job whose execution has a runner registered at GitHub, with a task that came up `minutes` ago.
    async fn runner(
        &self,
        job: &Job,
        status: &str,
        minutes: i64,
    ) -> (ParameterPath, SimulatedRunner) {
        let (path, config) = self.registered(job, status).await;
        self.aws
            .add_task(&path.runner().to_string(), "octo/hello", ago(minutes));
        (path, self.server.connect(&config).unwrap())
    }

    async fn registered(&self, job: &Job, status: &str) -> (ParameterPath, String) {
        let name = format!("fr-{}", self.execution(job, status, None));
        let config = self.register(&name).await;
        let path = ParameterPath::mint("fargate-runners", name.parse().unwrap()).unwrap();
        (path, config)
    }

    async fn sweep(&self) -> Report {
        self.sweep_in(0).await
    }

    /// A sweep some minutes from now.
    async fn sweep_in(&self, minutes: i64) -> Report {
        let now = OffsetDateTime::now_utc() + Duration::minutes(minutes);
        handle(&self.deps, now).await.unwrap()
    }
}

fn ago(minutes: i64) -> OffsetDateTime {
    OffsetDateTime::now_utc() - Duration::minutes(minutes)
}

fn order(job: &Job) -> Order {
    let at = ago(5)
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    serde_json::from_value(json!({ "job": {
        "id": job.id, "runId": job.run_id, "runAttempt": 1, "name": job.name, "workflow": "CI",
        "repository": "octo/hello", "ownerType": "Organization", "private": true, "labels": LABELS,
        "installationId": null, "queuedAt": at
    }}))
    .unwrap()
}

#[tokio::test]
async fn a_runner_that_idles_beyond_the_limit_is_deleted_and_then_its_task_stopped() {
    let snapshot = Snapshot::new().await;
    let job = snapshot.job();
    snapshot.server.cancel_job(job.id).unwrap();
    let (_, _runner) = snapshot.runner(&job, "RUNNING", 11).await;
    let report = snapshot.sweep().await;
    assert_eq!((report.runners_retired, report.tasks_stopped), (1, 1));
    assert!(snapshot.server.runners().is_empty());
}

#[tokio::test]
async fn a_runner_that_idles_for_less_is_left() {
    let snapshot = Snapshot::new().await;
    let job = snapshot.job();
    snapshot.server.cancel_job(job.id).unwrap();
    let (_, _runner) = snapshot.runner(&job, "RUNNING", 3).await;
    assert_eq!(snapshot.sweep().await.runners_retired, 0);
    assert_eq!(snapshot.server.runners().len(), 1);
}

#[tokio::test]
async fn a_busy_runner_is_left_however_old_and_whatever_became_of_its_execution() {
    for status in ["RUNNING", "ABORTED"] {
        let snapshot = Snapshot::new().await;
        let job = snapshot.job();
        let (_, mut runner) = snapshot.runner(&job, status, 3_000).await;
        runner.take(StdDuration::from_secs(10)).await.unwrap();
        let report = snapshot.sweep().await;
        assert_eq!(
            (report.runners_retired, report.tasks_stopped),
            (0, 0),
            "{status}"
        );
        assert_eq!(snapshot.aws.state().tasks.len(), 1);
    }
}

#[tokio::test]
async fn what_an_abort_left_of_a_registration_is_removed_when_it_is_old() {
    let snapshot = Snapshot::new().await;
    let job = snapshot.job();
    let (path, _) = snapshot.registered(&job, "ABORTED").await;
    snapshot.aws.add_parameter(&path.to_string(), ago(5));
    assert_eq!(snapshot.sweep().await.registrations_deleted, 0);

    snapshot.aws.add_parameter(&path.to_string(), ago(16));
    let report = snapshot.sweep().await;
    assert_eq!(
        (report.registrations_deleted, report.runners_retired),
        (1, 1)
    );
    assert!(snapshot.server.runners().is_empty());
}

#[tokio::test]
async fn a_task_whose_execution_is_closed_and_whose_runner_github_let_go_is_ended() {
    let snapshot = Snapshot::new().await;
    let job = snapshot.job();
    snapshot.server.cancel_job(job.id).unwrap();
    let (path, runner) = snapshot.runner(&job, "ABORTED", 20).await;
    drop(runner);
    let id = snapshot.server.runners()[0].id;
    snapshot.server.drop_runner(id).unwrap();
    assert_eq!(snapshot.sweep().await.tasks_stopped, 1, "{path}");
    assert!(snapshot.aws.state().tasks.is_empty());
}

/// How often GitHub was asked for a runner by its name.
fn asked_by_name(snapshot: &Snapshot) -> usize {
    let by_name = |request: &&github_standin::RequestRecord| {
        request.method == "GET"
            && request.path.contains("/runners")
            && request.path.contains("name=")
    };
    snapshot.server.requests().iter().filter(by_name).count()
}

#[tokio::test]
async fn a_listener_that_github_no_longer_knows_is_ended_while_its_job_is_queued() {
    let snapshot = Snapshot::new().await;
    let job = snapshot.unserved_job();
    let (_, _runner) = snapshot.runner(&job, "RUNNING", 3).await;
    let id = snapshot.server.runners()[0].id;
    snapshot.server.ghost_runner(id).unwrap();
    assert_eq!(
        snapshot.sweep().await.tasks_stopped,
        0,
        "it may not listen yet"
    );
    snapshot.server.clear_requests();
    assert_eq!(snapshot.sweep_in(2).await.tasks_stopped, 1);
    assert_eq!(asked_by_name(&snapshot), 2, "one answer may be wrong");
    assert!(snapshot.aws.state().tasks.is_empty());
}

#[tokio::test]
async fn a_task_that_hangs_after_its_job_is_ended_some_minutes_later() {
    let snapshot = Snapshot::new().await;
    let job = snapshot.job();
    let (_, mut runner) = snapshot.runner(&job, "RUNNING", 60).await;
    runner.take(StdDuration::from_secs(10)).await.unwrap();
    runner.finish("success");
    assert_eq!(
        snapshot.sweep_in(4).await.tasks_stopped,
        0,
        "it may be ending"
    );
    assert_eq!(snapshot.sweep_in(6).await.tasks_stopped, 1);
    assert_eq!(snapshot.sweep_in(11).await.tasks_stopped, 0);
}

#[tokio::test]
async fn executions_whose_jobs_left_the_queue_do_not_hide_one_that_waits() {
    let snapshot = Snapshot::new().await;
    for _ in 0..25 {
        let settled = snapshot.job();
        snapshot.server.cancel_job(settled.id).unwrap();
        let execution = snapshot.execution(&settled, "RUNNING", None);
        snapshot.aws.enter(&execution, "Cleanup", json!({}));
    }
    let left = snapshot.unserved_job();
    let (_, mut runner) = snapshot.runner(&left, "RUNNING", 1).await;
    let _taken = snapshot.job();
    runner.take(StdDuration::from_secs(10)).await.unwrap();
    assert_eq!(snapshot.sweep().await.checks_started, 1);
}

#[tokio::test]
async fn what_nobody_picked_up_is_restarted_once_a_runner_has_had_a_job() {
    let snapshot = Snapshot::new().await;
    let job = snapshot.job();
    let execution = snapshot.execution(&job, "FAILED", Some("NeverPickedUp"));
    snapshot.aws.close(&execution, ago(30), "");
    assert_eq!(snapshot.sweep().await.restarted, 0, "nobody has had a job");

    let other = snapshot.job();
    for (name, minutes, outcome, restarted) in [
        ("hello-1", 40, "RanJob", 0),
        ("hello-2", 10, "NotNeeded", 0),
        ("hello-3", 10, "RanJob", 1),
    ] {
        snapshot
            .aws
            .add_execution(name, &order(&other), "SUCCEEDED", None);
        snapshot.aws.close(name, ago(minutes), outcome);
        assert_eq!(snapshot.sweep().await.restarted, restarted, "{name}");
    }
    let follower = format!("{execution}-r2");
    assert!(snapshot.aws.state().executions.contains_key(&follower));
}

#[tokio::test]
async fn a_job_that_left_the_queue_ends_its_executions_wait() {
    let snapshot = Snapshot::new().await;
    let job = snapshot.job();
    let execution = snapshot.execution(&job, "RUNNING", None);
    snapshot.aws.enter(&execution, "Wait", json!({}));
    snapshot.server.cancel_job(job.id).unwrap();
    assert_eq!(snapshot.sweep().await.waits_ended, 1);
    assert_eq!(
        snapshot.aws.state().executions[&execution].status,
        "ABORTED"
    );
}

#[tokio::test]
async fn a_queued_job_whose_runner_is_busy_elsewhere_gets_a_check() {
    let snapshot = Snapshot::new().await;
    let left = snapshot.unserved_job();
    let (_, mut runner) = snapshot.runner(&left, "RUNNING", 1).await;
    let _taken = snapshot.job();
    runner.take(StdDuration::from_secs(10)).await.unwrap();
    assert_eq!(snapshot.sweep().await.checks_started, 1);
    assert!(
        snapshot
            .aws
            .state()
            .executions
            .contains_key(&format!("hello-{}-r2", left.id))
    );
    assert_eq!(snapshot.sweep().await.checks_started, 0, "once is enough");
}

#[tokio::test]
async fn runners_of_others_are_not_touched() {
    let snapshot = Snapshot::new().await;
    let job = snapshot.job();
    snapshot.server.cancel_job(job.id).unwrap();
    let (_, _ours) = snapshot.runner(&job, "RUNNING", 1).await;
    snapshot.register("or-hello-1").await;
    assert_eq!(snapshot.sweep().await.runners_retired, 0);
    assert_eq!(snapshot.server.runners().len(), 2);
}

/// Calls at GitHub that look for jobs which no webhook told of.
const RECONCILED: [(&str, &str); 2] = [
    ("RECONCILE_CALLS", "9"),
    ("ALLOWED_REPOSITORIES", "OCTO/hello"),
];

#[tokio::test]
async fn a_queued_job_that_no_webhook_told_of_is_begun_once_when_it_is_overdue() {
    let snapshot = Snapshot::with(&RECONCILED).await;
    let job = snapshot.job();
    let name = format!("hello-{}", job.id);
    assert_eq!(snapshot.sweep_in(44).await.unannounced, 0, "it may be late");
    assert_eq!(snapshot.sweep_in(46).await.unannounced, 1);
    assert_eq!(snapshot.sweep_in(51).await.unannounced, 0);
    let input = snapshot.aws.state().executions[&name].input.clone();
    let order: Order = serde_json::from_str(&input).unwrap();
    assert!(order.recheck && order.job.private);
    assert_eq!(order.job.repository.to_string(), "octo/hello");
}

#[tokio::test]
async fn a_job_that_somebody_stopped_or_that_is_not_served_is_not_begun() {
    let snapshot = Snapshot::with(&RECONCILED).await;
    let stopped = snapshot.job();
    snapshot.execution(&stopped, "ABORTED", None);
    let hosted = snapshot.job_for(&["ubuntu-latest"]);
    assert_eq!(snapshot.sweep_in(46).await.unannounced, 0);
    let executions = snapshot.aws.state().executions.clone();
    assert!(!executions.contains_key(&format!("hello-{}", hosted.id)));
}

#[tokio::test]
async fn jobs_that_no_webhook_told_of_cost_no_more_calls_than_were_granted() {
    for (granted, expected) in [("0", 0), ("1", 1), ("3", 3)] {
        let snapshot = Snapshot::with(&[("RECONCILE_CALLS", granted), RECONCILED[1]]).await;
        for _ in 0..5 {
            snapshot.job();
        }
        snapshot.server.clear_requests();
        snapshot.sweep_in(46).await;
        let asked =
            |request: &&github_standin::RequestRecord| request.path.contains("/actions/runs");
        let calls = snapshot.server.requests().iter().filter(asked).count();
        assert_eq!(calls, expected, "granted {granted}");
    }
}

#[tokio::test]
async fn a_repository_that_the_app_was_removed_from_is_no_failure_of_every_sweep() {
    let snapshot = Snapshot::with(&RECONCILED).await;
    let job = snapshot.job();
    for (id, status, error) in [
        (1, "FAILED", Some("GitHubUnavailable")),
        (2, "RUNNING", None),
    ] {
        snapshot
            .aws
            .add_execution(&format!("hello-{id}"), &order(&job), status, error);
    }
    snapshot.server.uninstall("octo");
    assert_eq!(snapshot.sweep_in(46).await, Report::default());
}

impl Snapshot {
    /// GitHub has released these versions so many days ago.
    fn released(&self, versions: &[(&str, i64)]) {
        let releases = versions
            .iter()
            .map(|(version, days)| RunnerRelease {
                version: (*version).to_owned(),
                published_at: (OffsetDateTime::now_utc() - Duration::days(*days))
                    .format(&time::format_description::well_known::Rfc3339)
                    .unwrap(),
            })
            .collect();
        self.server
            .change_settings(|settings| settings.runner_releases = Some(releases));
    }

    /// The AWS deployment has a task definition whose image tells its runner's version like that.
    fn image(&self, family: &str, version: &str) {
        let tags = [
            ("GH:labels", "self-hosted"),
            ("GH:runner-version", version),
            ("fargate-runners:prefix", "fargate-runners"),
        ];
        self.aws.add_family(family, tags);
    }
}

const RELEASES: [(&str, i64); 3] = [("2.338.0", 4), ("2.337.1", 23), ("2.337.0", 40)];

/// The AWS calls of a sweep some minutes from now, and how many of them describe task definitions.
async fn calls_in(snapshot: &Snapshot, minutes: i64) -> (usize, usize) {
    let before = snapshot.aws.calls().len();
    snapshot.sweep_in(minutes).await;
    let calls = snapshot.aws.calls().split_off(before);
    let describes = calls
        .iter()
        .filter(|call| call.starts_with("ecs:DescribeTaskDefinition"));
    (calls.len(), describes.count())
}

#[tokio::test]
async fn a_sweep_with_nothing_to_do_describes_a_third_of_fifty_families() {
    let snapshot = Snapshot::new().await;
    for number in 0..50 {
        let tags = [
            ("GH:labels", "self-hosted linux"),
            ("fargate-runners:prefix", "fargate-runners"),
        ];
        let family = format!("fargate-runners-team-{number}");
        snapshot.aws.add_family(&family, tags);
    }
    // Nothing is published: all are new.
    assert_eq!(calls_in(&snapshot, 0).await.1, 50);
    let mut sum = 0;
    for minutes in [5, 10, 15] {
        let (calls, describes) = calls_in(&snapshot, minutes).await;
        assert!(describes <= 17, "{describes} descriptions");
        // The list of the families and the one call to GitHub are not among them.
        assert!(calls + 2 <= 31, "{calls} calls");
        sum += describes;
    }
    assert_eq!(sum, 50, "every family once in three sweeps");
    // Finished jobs cost nothing.
    for _ in 0..20 {
        let job = snapshot.job();
        snapshot.server.cancel_job(job.id).unwrap();
        snapshot.execution(&job, "SUCCEEDED", None);
    }
    let (calls, describes) = calls_in(&snapshot, 20).await;
    assert!(
        calls + 2 - describes <= 15,
        "{calls} calls, {describes} descriptions"
    );

    // Two sweeps failed: what was published is too old to keep anything of it.
    assert_eq!(calls_in(&snapshot, 45).await.1, 50);
}

#[tokio::test]
async fn a_changed_family_is_published_within_three_sweeps_and_a_new_or_deleted_one_at_once() {
    let snapshot = Snapshot::new().await;
    let tags = |labels| {
        [
            ("GH:labels", labels),
            ("fargate-runners:prefix", "fargate-runners"),
        ]
    };
    for family in ["fargate-runners-a", "fargate-runners-b"] {
        snapshot.aws.add_family(family, tags("self-hosted linux"));
    }
    snapshot.sweep_in(0).await;
    snapshot.aws.state().families.remove("fargate-runners-b");
    snapshot
        .aws
        .add_family("fargate-runners-a", tags("self-hosted gpu"));
    snapshot
        .aws
        .add_family("fargate-runners-c", tags("self-hosted arm64"));
    let published = || {
        let state = snapshot.aws.state();
        let (_, text) = &state.parameters["/fargate-runners/catalogue"];
        let offers = catalogue::Catalogue::decode(text).unwrap().offers;
        let told =
            |offer: &catalogue::Offer| format!("{} {}", offer.definition.family, offer.labels);
        offers.iter().map(told).collect::<Vec<_>>().join(", ")
    };
    snapshot.sweep_in(5).await;
    let at_once = published();
    assert!(at_once.contains("fargate-runners-c"), "{at_once}");
    assert!(!at_once.contains("fargate-runners-b"), "{at_once}");
    snapshot.sweep_in(10).await;
    snapshot.sweep_in(15).await;
    assert!(published().contains("gpu"), "{}", published());
}

#[tokio::test]
async fn what_is_published_is_ours_and_what_is_new_in_it_is_told() {
    let snapshot = Snapshot::new().await;
    let offers = |prefix| {
        [
            ("GH:labels", "self-hosted linux"),
            ("fargate-runners:prefix", prefix),
        ]
    };
    let published = || {
        let state = snapshot.aws.state();
        let (_, text) = &state.parameters["/fargate-runners/catalogue"];
        let catalogue = catalogue::Catalogue::decode(text).unwrap();
        let families = catalogue
            .offers
            .into_iter()
            .map(|offer| offer.definition.family);
        families.collect::<Vec<_>>()
    };
    snapshot
        .aws
        .add_family("fargate-runners-a", offers("fargate-runners"));
    snapshot
        .aws
        .add_family("fargate-runners-dev-a", offers("fargate-runners-dev"));
    snapshot
        .aws
        .add_family("fargate-runners-z", [("GH:labels", "self-hosted linux")]);
    // With nothing to compare with, nothing is new.
    assert_eq!(snapshot.sweep().await.new_families, 0);
    assert_eq!(published(), ["fargate-runners-a"]);
    snapshot
        .aws
        .add_family("fargate-runners-b", offers("fargate-runners"));
    assert_eq!(snapshot.sweep().await.new_families, 1);
    assert_eq!(snapshot.sweep().await.new_families, 0);
    assert_eq!(published(), ["fargate-runners-a", "fargate-runners-b"]);

    // A team's own definition, where the prefix is trusted.
    let trusting = Snapshot::with(&[("TRUSTED_DEFINITIONS", "prefix")]).await;
    for (family, prefix) in [
        ("fargate-runners-a", "fargate-runners"),
        ("fargate-runners-dev-a", "fargate-runners-dev"),
    ] {
        trusting.aws.add_family(family, offers(prefix));
    }
    trusting.sweep().await;
    trusting
        .aws
        .add_family("fargate-runners-z", [("GH:labels", "self-hosted linux")]);
    assert_eq!(trusting.sweep().await.new_families, 1);
}

#[tokio::test]
async fn the_image_furthest_behind_githubs_releases_is_told() {
    let snapshot = Snapshot::new().await;
    snapshot.released(&RELEASES);
    snapshot.image("fargate-runners-new", "2.338.0");
    // The App is installed nowhere yet.
    assert_eq!(snapshot.sweep().await.runner_version_age_days, None);
    snapshot.job();
    assert_eq!(snapshot.sweep().await.runner_version_age_days, Some(0));
    snapshot.image("fargate-runners-old", "2.337.0");
    assert_eq!(snapshot.sweep().await.runner_version_age_days, Some(23));
    // An image that is rebuilt on its own tells by a parameter.
    snapshot.image(
        "fargate-runners-old",
        "/fargate-runners/runner-versions/old",
    );
    // A family's changed tag is read when it is its turn, in one of three sweeps.
    for _ in 1..catalogue::TURNS {
        snapshot.sweep().await;
    }
    assert_eq!(snapshot.sweep().await.runner_version_age_days, Some(0));
    let written = (ago(0), "2.337.1".to_owned());
    snapshot
        .aws
        .state()
        .parameters
        .insert("/fargate-runners/runner-versions/old".into(), written);
    assert_eq!(snapshot.sweep().await.runner_version_age_days, Some(4));

    let asked = |request: &&github_standin::RequestRecord| request.path.contains("/releases");
    let calls = snapshot.server.requests().iter().filter(asked).count();
    assert_eq!(calls, 1, "releases are weeks apart");
}

#[tokio::test]
async fn while_the_deployment_is_paused_no_delivery_is_asked_for_again() {
    let snapshot = Snapshot::new().await;
    let written = (ago(0), "2026-01-01T00:00:00Z".to_owned());
    let name = "/fargate-runners/paused".to_owned();
    snapshot.aws.state().parameters.insert(name, written);
    assert!(snapshot.sweep().await.paused);
    let lists = |snapshot: &Snapshot| {
        let requests = snapshot.server.requests();
        let lists = requests
            .iter()
            .filter(|one| one.path.contains("/app/hook/deliveries"));
        lists.count()
    };
    assert_eq!(lists(&snapshot), 0);
    snapshot.aws.state().parameters.clear();
    assert!(!snapshot.sweep().await.paused);
    assert!(lists(&snapshot) > 0);
}

#[tokio::test]
async fn where_nothing_is_known_of_versions_none_is_told() {
    let snapshot = Snapshot::new().await;
    snapshot
        .aws
        .add_family("fargate-runners-silent", [("GH:labels", "self-hosted")]);
    snapshot.image("fargate-runners-odd", "latest");
    assert_eq!(snapshot.sweep().await.runner_version_age_days, None);
    snapshot.image("fargate-runners-known", "2.330.0");
    // An Enterprise Server.
    snapshot
        .server
        .change_settings(|settings| settings.runner_releases = None);
    assert_eq!(snapshot.sweep().await.runner_version_age_days, None);
}
