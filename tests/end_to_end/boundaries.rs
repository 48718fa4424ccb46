//! Who is served by what: two deployments whose prefixes nest, and the code of forks.

use github_standin::{Fork, JobStatus, NewJob, Via};
use local_stack::{Execution, Plan, Visit};
use protocol::State;
use serde_json::json;
use tooling::{Architecture, Checkout, Progress};

use crate::bad_input::failed;
use crate::faults::visits;
use crate::harness::{Site, assert_succeeded, deployed_beside, labels, run, script};
use crate::recovery::sweep;

/// Prefix of the second deployment: the first one's, and more.
const NESTED: &str = "fargate-runners-dev";

#[test]
fn deployments_with_nested_prefixes_each_serve_their_own_and_code_of_forks_only_where_allowed() {
    run(async |harness| {
        let production = &harness.repository;
        let plan = Plan::new(NESTED, "dev")
            // Narrower than production's runner, so it would win production's jobs.
            .with("labels", &labels().join(","))
            .with("allowedRepositories", "octo/experiment,octo/contributed")
            .with("allowForks", "false");
        let development = deployed_beside(&harness.engine, plan, production).await;
        does_not_offer_anothers(production).await;
        each_serves_its_own(production, &development).await;
        forks_only_where_allowed(production, &development).await;
        // The other tests of this engine need not have it around.
        let step = Progress::new().step("destroying the nested deployment");
        let (checkout, engine) = (Checkout::here(), &harness.engine);
        development
            .deployment
            .destroy(&checkout, &step, engine)
            .unwrap();
        step.done("");
    });
}

/// A job that nothing matches makes `match` read the catalogue anew, and lists what is offered.
async fn does_not_offer_anothers(production: &Site) {
    let mut labels = labels();
    labels.push("quantum".to_owned());
    let job = NewJob {
        labels,
        ..script("octo/product", "true")
    };
    let (job, execution) = production.run(job).await;
    failed(&execution, "Unmatched", &["fargate-runners-ubuntu"]);
    let cause = execution.cause.unwrap_or_default();
    assert!(!cause.contains(NESTED), "{cause}");
    production.deployment.github.cancel_job(job.id).unwrap();
}

async fn each_serves_its_own(production: &Site, development: &Site) {
    let directory = tempfile::tempdir().unwrap();
    let go_on = directory.path().join("go-on");
    let waiting = format!("until [ -e '{}' ]; do sleep 0.1; done", go_on.display());
    // Both deployments are told of production's job. Development's comes by its own webhook alone,
    // because production serves every owner here.
    let ours = production.queue(NewJob {
        via: Via::AppAndOrganization,
        ..script("octo/product", &waiting)
    });
    let theirs = development.queue(NewJob {
        via: Via::Organization,
        ..script("octo/experiment", &waiting)
    });
    for (site, job) in [(production, &ours), (development, &theirs)] {
        site.reaches(job, JobStatus::InProgress).await;
    }
    // Neither sweep touches what the other deployment runs.
    sweep(production).await;
    sweep(development).await;
    std::fs::write(&go_on, "").unwrap();

    for (site, other, job) in [
        (production, development, &ours),
        (development, production, &theirs),
    ] {
        let execution = site.ended(job).await;
        assert_succeeded(&execution);
        assert_eq!(visits(&execution, State::Runner).len(), 1);
        let job = site.job(job);
        assert_eq!(job.conclusion.as_deref(), Some("success"));
        assert_eq!(job.runner.as_deref(), Some(&*site.runner_name(&job)));
        let prefix = &site.observer.prefix;
        let family = format!("{prefix}-ubuntu-{}", Architecture::here().label());
        assert_eq!(family_of(site, &execution).await, family);
        let elsewhere = other.observer.execution(&other.name(&job)).await.unwrap();
        assert!(elsewhere.is_none(), "{elsewhere:#?}");
        site.nothing_left_of(&job).await;
    }
}

/// The family of the task definition that an execution ran, in its deployment's cluster.
async fn family_of(site: &Site, execution: &Execution) -> String {
    let task = execution.visits.iter().find_map(Visit::task).unwrap();
    let cluster = &site.observer.cluster;
    assert!(task.contains(&format!(":task/{cluster}/")), "{task}");
    let input = json!({ "cluster": cluster, "tasks": [task] });
    let task = site.observer.aws.ecs("DescribeTasks", input).await.unwrap();
    let definition = &task["tasks"][0]["taskDefinitionArn"];
    let definition = definition.as_str().unwrap().rsplit('/').next().unwrap();
    definition.split(':').next().unwrap().to_owned()
}

async fn forks_only_where_allowed(production: &Site, development: &Site) {
    let contributed = |fork, via| NewJob {
        fork: Some(fork),
        via,
        ..script("octo/contributed", "echo contributed")
    };
    let github = &development.deployment.github;
    for (fork, named) in [
        (
            Fork::At("stranger/contributed".into()),
            "stranger/contributed",
        ),
        (Fork::Deleted, "a fork that was deleted"),
    ] {
        let job = contributed(fork, Via::Organization);
        let (job, execution) = development.run(job).await;
        let said = [named, "octo/contributed", "ALLOW_FORKS is false"];
        failed(&execution, "NotAdmitted", &said);
        assert!(!development.is_registered(&job));
        assert_eq!(visits(&execution, State::Runner).len(), 0);
        github.cancel_job(job.id).unwrap();
        development.nothing_left_of(&job).await;
    }
    let (job, execution) = development
        .run(NewJob {
            via: Via::Organization,
            ..script("octo/contributed", "echo our own")
        })
        .await;
    assert_succeeded(&execution);
    assert_eq!(job.output.trim(), "our own");
    development.nothing_left_of(&job).await;
    // Allowed unless it is switched off.
    let fork = Fork::At("stranger/contributed".into());
    let (job, execution) = production.run(contributed(fork, Via::App)).await;
    assert_succeeded(&execution);
    assert_eq!(job.output.trim(), "contributed");
    production.nothing_left_of(&job).await;
}
