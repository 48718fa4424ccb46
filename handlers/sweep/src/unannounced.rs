//! Queued jobs for which GitHub never sent a webhook.
//!
//! No failed delivery reveals them, so each repository has to be asked, which costs calls even if
//! nothing is wrong. So this is off unless the operator grants calls, and covers only the
//! repositories that `ALLOWED_REPOSITORIES` names. Each sweep starts at another repository, so what
//! one grant does not cover is covered by a later sweep.

use admission::{About, Policy};
use decisions::{OnUnannounced, on_unannounced};
use fleet::Started;
use github::{Access, ListedJob, Run};
use protocol::{ExecutionName, Job, Order, Repository, queued_since};
use time::{Duration, OffsetDateTime};

use crate::Deps;
use crate::settings::Reconcile;

/// The webhook of a younger job may be late, or be redelivered after a failure: GitHub's webhooks
/// were 20 to 30 minutes late on 2026-08-06, and the next sweeps redeliver one that failed.
const OVERDUE: Duration = Duration::minutes(45);
/// Interval of the sweeps in seconds; only determines where each one starts.
const ROUND: i64 = 300;
/// Statuses of runs that can have a queued job.
const STATUSES: [&str; 2] = ["queued", "in_progress"];

/// Calls to GitHub that may still be made.
struct Grant(u32);

impl Grant {
    fn spend(&mut self) -> bool {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// Starts an execution for each overdue job that has none, as far as the grant goes.
pub async fn start_all(deps: &Deps, now: OffsetDateTime) -> Result<usize, fleet::Error> {
    let Some(Reconcile { calls, policy }) = &deps.config.reconcile else {
        return Ok(0);
    };
    let repositories = &policy.repositories;
    let round = usize::try_from(now.unix_timestamp() / ROUND).unwrap_or(0);
    let mut grant = Grant(*calls);
    let mut started = 0;
    let mut failed = None;
    for repository in beginning_at(round, repositories) {
        if grant.0 == 0 {
            break;
        }
        // After one round of all repositories, each starts with its next run.
        let turn = round / repositories.len();
        match look_at(deps, policy, repository, turn, now, &mut grant).await {
            Ok(found) => started += found,
            // A repository that fails must not block the others.
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(started), Err)
}

/// The items in a circle, starting from one of them.
fn beginning_at<T>(start: usize, items: &[T]) -> impl Iterator<Item = &T> {
    let (before, after) = items.split_at(start.checked_rem(items.len()).unwrap_or(0));
    after.iter().chain(before)
}

async fn look_at(
    deps: &Deps,
    policy: &Policy,
    repository: &Repository,
    turn: usize,
    now: OffsetDateTime,
    grant: &mut Grant,
) -> Result<usize, fleet::Error> {
    let Some(installation) = deps
        .github
        .still_serving(repository, None, &Access::jobs(repository))
        .await?
    else {
        return Ok(0);
    };
    let mut runs = Vec::new();
    for status in STATUSES {
        if grant.spend() {
            runs.extend(installation.runs(repository, status, 1).await?.items);
        }
    }
    let mut started = 0;
    for run in beginning_at(turn, &runs) {
        if !grant.spend() {
            break;
        }
        for listed in installation.run_jobs(repository, run.id, 1).await?.items {
            if !listed.state.is_queued() {
                continue;
            }
            let job = job(run, listed, now);
            if policy.admit(&job, &about(run)).is_ok() {
                started += usize::from(see_to(deps, job, now).await?);
            }
        }
    }
    Ok(started)
}

/// The job as its webhook would describe it. Uses the run's spelling of the repository, as webhooks
/// do, because executions are named after it; `ALLOWED_REPOSITORIES` may spell it differently.
fn job(run: &Run, listed: ListedJob, now: OffsetDateTime) -> Job {
    let created_at = listed.created_at.unwrap_or(run.created_at);
    Job {
        id: listed.id,
        run_id: listed.run_id,
        run_attempt: listed.run_attempt,
        name: listed.name,
        workflow: listed.workflow,
        repository: run.repository.repository.clone(),
        owner_type: run.repository.owner_type,
        private: run.repository.private,
        labels: listed.labels,
        installation_id: None,
        queued_at: queued_since(Some(created_at), None, now),
        created_at: Some(created_at),
    }
}

/// The repository facts that the run contains.
fn about(run: &Run) -> About {
    About {
        group: None,
        owner_id: run.repository.owner_id,
        internal: run.repository.internal,
    }
}

async fn see_to(deps: &Deps, job: Job, now: OffsetDateTime) -> Result<bool, fleet::Error> {
    let known_for = now - job.created_at.unwrap_or(job.queued_at);
    if known_for < OVERDUE {
        return Ok(false);
    }
    let name = ExecutionName::first(&job.repository, job.id);
    let known = deps.fleet.executions_of(&name).await?;
    let last = known.last();
    let order = Order {
        job,
        recheck: true,
        not_before: None,
    };
    let (name, started) = match (on_unannounced(last.map(|last| last.status)), last) {
        (OnUnannounced::Leave, _) => return Ok(false),
        (OnUnannounced::Begin, Some(last)) => {
            deps.fleet.start_check(&last.name, &order, None).await?
        }
        (OnUnannounced::Begin, None) => (
            name.clone(),
            deps.fleet.executions.start(&name, &order).await?,
        ),
    };
    tracing::warn!(execution = %name, ?started, "found a queued job without a webhook");
    Ok(started == Started::New)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sweep_begins_with_the_next_and_leaves_none_out() {
        let order = |round| beginning_at(round, &[1, 2, 3]).copied().collect::<Vec<_>>();
        assert_eq!(order(0), [1, 2, 3]);
        assert_eq!(order(1), [2, 3, 1]);
        assert_eq!(order(5), [3, 1, 2]);
        assert_eq!(beginning_at::<u8>(7, &[]).next(), None);
    }

    #[test]
    fn a_grant_is_spent_once() {
        let mut grant = Grant(1);
        assert!(grant.spend() && !grant.spend() && !grant.spend());
    }
}
