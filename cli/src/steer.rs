//! `cancel` and `redeliver`: what an operator does to a job.
//!
//! No command here ends a runner that has a job, unless it is forced: GitHub is asked to delete the
//! runner first, and refuses for a busy one.

use decisions::{OnCancel, Status, on_cancel};
use fleet::{Fleet, Retired, retire};
use github::{Access, Delivery, GitHub, RunnerScope, Scope};
use protocol::{Order, RunnerName};
use runtime::settings::{Settings, shared};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use crate::cloud::Cloud;
use crate::find::Found;
use crate::why::{Answer, ExecutionSeen, Seen};
use crate::{Deployment, Error, JobRef};

/// The error of an execution that an operator stopped. An aborted execution is never restarted.
const CANCELLED: &str = "CancelledByOperator";
/// Looks at an execution that is about to start its task, [`PAUSE`] apart.
const LOOKS: u32 = 10;
const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);
/// How a webhook is delivered again without this program.
const BY_HAND: &str = "press Redeliver in the App's settings (Advanced)";
/// Pages of GitHub's deliveries, a hundred each, that are searched.
const PAGES: usize = 10;
/// A failed delivery from so long before and after the job's creation may be the job's.
const AROUND: Duration = Duration::minutes(30);

/// What `cancel` did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cancelled {
    pub execution: String,
    /// The page on which GitHub's side is cancelled, which the App may not do.
    pub run: String,
}

/// Stops a job's execution and its runner, for good.
pub async fn cancel(
    cloud: &Cloud,
    deployment: &Deployment,
    github: &GitHub,
    found: &Found,
    asked: &JobRef,
    force: bool,
) -> Result<Cancelled, Error> {
    let (newest, order) = found.served(asked)?;
    if newest.status != Status::Running {
        return Err(Error::Other(format!(
            "execution {} has ended already; `fargate-runners why {}` tells how",
            newest.name, asked.id
        )));
    }
    if !force {
        make_free(cloud, deployment, github, newest, order).await?;
    }
    let cause = "an operator cancelled it with fargate-runners cancel";
    cloud
        .executions
        .stop(&newest.name, CANCELLED, cause)
        .await?;
    let repository = Scope::Repository(order.job.repository.clone());
    Ok(Cancelled {
        execution: newest.name.to_string(),
        run: format!(
            "{}/actions/runs/{}",
            github.web_url(&repository),
            order.job.run_id
        ),
    })
}

/// Sees to it that the execution has no task, or none that could get a job.
async fn make_free(
    cloud: &Cloud,
    deployment: &Deployment,
    github: &GitHub,
    newest: &ExecutionSeen,
    order: &Order,
) -> Result<(), Error> {
    let fleet = Fleet {
        executions: cloud.executions.clone(),
        ecs: cloud.ecs.clone().into(),
        ssm: cloud.ssm.clone(),
        cluster: deployment.cluster.clone(),
        prefix: deployment.prefix.clone(),
        deployment: deployment.id.clone(),
        // Only a retired runner is looked up here, and its execution's history names its task.
        pool: None,
        capped: None,
        reruns: None,
    };
    for _ in 0..LOOKS {
        let position = fleet.position(&newest.name).await?;
        match (on_cancel(position.state), position.runner) {
            (OnCancel::Stop, _) => return Ok(()),
            (OnCancel::RetireRunner, Some(runner)) => {
                return retire_idle(cloud, deployment, github, &fleet, order, &runner).await;
            }
            (OnCancel::Leave, _) => {
                return Err(Error::Other(format!(
                    "execution {} is just ending an attempt: try again in a few seconds",
                    newest.name
                )));
            }
            (OnCancel::LookAgain | OnCancel::RetireRunner, _) => tokio::time::sleep(PAUSE).await,
        }
    }
    Err(Error::Other(format!(
        "execution {} has been about to start a task for {LOOKS} s: try again, or add --force",
        newest.name
    )))
}

async fn retire_idle(
    cloud: &Cloud,
    deployment: &Deployment,
    github: &GitHub,
    fleet: &Fleet,
    order: &Order,
    runner: &RunnerName,
) -> Result<(), Error> {
    let job = &order.job;
    let settings = match cloud.settings(&deployment.cleanup).await {
        Seen::Found(settings) => settings,
        Seen::Nothing => Settings::from_pairs::<String, String>([]),
        Seen::Unknown(why) => return Err(Error::Other(why)),
    };
    let scope: RunnerScope = settings.parsed(&shared::RUNNER_SCOPE)?;
    let scope = scope.at(job);
    let access = Access::runners(&scope);
    let unasked = |error| {
        let without = "add --force, which stops the runner's task without asking GitHub";
        not_asked(error, without)
    };
    let installation = github
        .serving(&job.repository, job.installation_id, &access)
        .await
        .map_err(unasked)?;
    let busy = || {
        Error::Other(format!(
            "runner {runner} has a job: cancel its run at GitHub ({}/actions/runs/{}), or add --force, which stops its task in the middle of the job",
            github.web_url(&Scope::Repository(job.repository.clone())),
            job.run_id
        ))
    };
    let Some(known) = installation
        .find_runner(&scope, &runner.to_string())
        .await
        .map_err(unasked)?
    else {
        return Err(Error::Other(format!(
            "GitHub does not know runner {runner}: it has ended or is about to register. Try again in a minute, or add --force"
        )));
    };
    if known.busy {
        return Err(busy());
    }
    let reason = "an operator cancelled its job";
    match retire(fleet, &installation, &scope, (known.id, runner), reason).await? {
        Retired::Stopped(_) => Ok(()),
        Retired::Busy => Err(busy()),
        Retired::Absent => Err(Error::Other(format!(
            "runner {runner} has just ended: try again in a few seconds"
        ))),
    }
}

/// An error of GitHub, with what to do if GitHub did not answer.
fn not_asked(error: github::Error, without: &str) -> Error {
    if let github::Error::Unavailable { .. } | github::Error::RateLimited { .. } = error {
        Error::Other(format!(
            "{error}. Nothing was changed: check the network and githubstatus.com, and try again, or {without}"
        ))
    } else {
        error.into()
    }
}

/// What `redeliver` did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Redelivered {
    /// GitHub's id of the delivery.
    pub delivery: u64,
    /// Why this one.
    pub because: &'static str,
}

/// Has GitHub deliver a job's `queued` webhook again.
pub async fn redeliver(
    github: &GitHub,
    found: &Found,
    asked: &JobRef,
    given: Option<u64>,
) -> Result<Redelivered, Error> {
    let chosen = match given {
        Some(delivery) => Redelivered {
            delivery,
            because: "it was given",
        },
        None => choose(github, found, asked).await?,
    };
    let delivered = github.redeliver(chosen.delivery).await;
    delivered.map_err(|error| not_asked(error, BY_HAND))?;
    Ok(chosen)
}

async fn choose(github: &GitHub, found: &Found, asked: &JobRef) -> Result<Redelivered, Error> {
    let guid = found.lines.found().and_then(|lines| {
        queued_delivery(
            lines
                .iter()
                .map(|line| (&line.webhook.answer, line.webhook.delivery.as_deref())),
        )
    });
    let created = created(github, found, asked).await;
    let (mut cursor, mut failed) = (None::<String>, Vec::new());
    for _ in 0..PAGES {
        let page = github.deliveries(cursor.as_deref()).await;
        let page = page.map_err(|error| not_asked(error, BY_HAND))?;
        for delivery in page.deliveries {
            if guid == Some(delivery.guid.as_str()) {
                return Ok(Redelivered {
                    delivery: delivery.id,
                    because: "the log of verify names it",
                });
            }
            if may_be(&delivery, created) {
                failed.push(delivery);
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    pick(&failed, asked, guid.is_some())
}

/// The delivery that told of the job being queued: any that did not go to `cleanup`.
fn queued_delivery<'a>(
    mut lines: impl DoubleEndedIterator<Item = (&'a Answer, Option<&'a str>)>,
) -> Option<&'a str> {
    lines
        .rfind(|(answer, delivery)| {
            let other = matches!(answer, Answer::HandedOn | Answer::Other(_));
            !other && delivery.is_some()
        })
        .and_then(|(_, delivery)| delivery)
}

async fn created(github: &GitHub, found: &Found, asked: &JobRef) -> Option<OffsetDateTime> {
    if let Some(order) = &found.order {
        return Some(order.job.created_at.unwrap_or(order.job.queued_at));
    }
    let repository = found.repository.as_ref()?;
    let access = Access::jobs(repository);
    let installation = github.serving(repository, None, &access).await.ok()?;
    let job = installation
        .look_at_job(repository, asked.id)
        .await
        .ok()??;
    job.created_at
}

/// Whether a failed delivery may be the job's.
fn may_be(delivery: &Delivery, created: Option<OffsetDateTime>) -> bool {
    delivery.event == "workflow_job"
        && delivery.action.as_deref() == Some("queued")
        && !delivery.succeeded()
        && created.is_some_and(|created| {
            let after = delivery.delivered_at - created;
            after >= -Duration::minutes(1) && after <= AROUND
        })
}

/// The only event among the failed deliveries; its newest attempt.
fn pick(failed: &[Delivery], asked: &JobRef, logged: bool) -> Result<Redelivered, Error> {
    let Some(first) = failed.iter().max_by_key(|one| one.delivered_at) else {
        let lost = if logged {
            "GitHub no longer lists the job's delivery, which it keeps for three days"
        } else {
            "no delivery of the job is in the log of verify, and none failed when it was created"
        };
        return Err(Error::NoJob(format!(
            "{lost}: `fargate-runners why {0}` tells whether job {0} is served here; if it is, re-run it at GitHub",
            asked.id
        )));
    };
    if failed.iter().any(|one| one.guid != first.guid) {
        let ids: Vec<_> = failed.iter().map(|one| one.id.to_string()).collect();
        return Err(Error::Other(format!(
            "several deliveries failed when job {} was created: choose one with --delivery ({})",
            asked.id,
            ids.join(", ")
        )));
    }
    Ok(Redelivered {
        delivery: first.id,
        because: "it is the only one that failed when the job was created",
    })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const CREATED: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

    fn delivery(id: u64, guid: &str, minutes: i64, status: u16, action: &str) -> Delivery {
        Delivery {
            id,
            guid: guid.to_owned(),
            delivered_at: CREATED + Duration::minutes(minutes),
            redelivery: false,
            status: String::new(),
            status_code: status,
            event: "workflow_job".to_owned(),
            action: Some(action.to_owned()),
            installation_id: None,
            repository_id: None,
        }
    }

    #[test]
    fn a_failed_delivery_of_the_jobs_time_may_be_its_own() {
        for (delivery, may) in [
            (delivery(1, "a", 0, 502, "queued"), true),
            (delivery(1, "a", 29, 0, "queued"), true),
            (delivery(1, "a", 31, 502, "queued"), false),
            (delivery(1, "a", -2, 502, "queued"), false),
            (delivery(1, "a", 0, 200, "queued"), false),
            (delivery(1, "a", 0, 502, "completed"), false),
        ] {
            assert_eq!(may_be(&delivery, Some(CREATED)), may, "{delivery:?}");
            assert!(!may_be(&delivery, None));
        }
    }

    #[test]
    fn among_several_events_the_operator_chooses() {
        let job: JobRef = "7".parse().unwrap();
        let one = |id, guid| delivery(id, guid, i64::try_from(id).unwrap(), 502, "queued");
        let picked = pick(&[one(1, "a"), one(2, "a")], &job, false).unwrap();
        assert_eq!(picked.delivery, 2, "the newest attempt of the only event");
        let error = pick(&[one(1, "a"), one(2, "b")], &job, false).unwrap_err();
        assert!(error.to_string().contains("--delivery (1, 2)"), "{error}");
        let error = pick(&[], &job, true).unwrap_err();
        assert!(error.to_string().contains("three days"), "{error}");
    }

    #[test]
    fn the_webhook_that_queued_the_job_is_told_from_the_others() {
        let lines = [
            (Answer::Started, Some("queued")),
            (Answer::HandedOn, Some("cancelled")),
        ];
        let found = queued_delivery(lines.iter().map(|(answer, guid)| (answer, *guid)));
        assert_eq!(found, Some("queued"));
    }
}
