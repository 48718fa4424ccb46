//! Orphaned tasks: tasks whose execution has ended, or whose runner GitHub does not know.
//!
//! Most have a runner that GitHub lists. Those are retired, deletion first. `decisions::on_absent`
//! decides about the rest: a listener whose registration was consumed listens in vain while its job
//! is queued, a task hangs after its job, or an execution was aborted while its task started.

use std::time::Duration;

use decisions::{AbsentRunner, JobStatus, OnAbsent, on_absent};
use fleet::{Retired, RunningTask, retire};
use github::{Access, Installation, RunnerScope, Scope};
use protocol::Repository;

use crate::Deps;
use crate::snapshot::{START_LIMIT, Snapshot};

/// Maximum number of tasks without a listed runner per sweep.
const LOOKED_AT: usize = 30;
/// Pause between two lookups of the same runner. Both must agree: one may come from a page that
/// changed while it was read, or from a server that lags behind.
const PAUSE: Duration = Duration::from_secs(3);

/// Stops tasks whose execution is closed and whose runner GitHub lists, but only if GitHub deletes
/// the runner. A busy runner finishes its job, even if it is another runner's job.
pub async fn end_orphans(deps: &Deps, snapshot: &Snapshot) -> Result<usize, fleet::Error> {
    let mut ended = 0;
    let orphans = snapshot
        .tasks
        .iter()
        .filter(|task| !snapshot.runs(task.runner.execution()));
    for task in orphans.filter(|task| snapshot.since(task.created_at) >= START_LIMIT) {
        let Some(seen) = snapshot
            .runners
            .iter()
            .find(|seen| seen.name == task.runner)
        else {
            continue;
        };
        let id = (seen.runner.id, &seen.name);
        let scope = &seen.scope;
        let reason = "its execution is closed";
        if let Retired::Stopped(tasks) =
            retire(&deps.fleet, &seen.installation, scope, id, reason).await?
        {
            ended += tasks;
        }
    }
    Ok(ended)
}

/// A task whose runner GitHub does not list.
struct Suspect<'a> {
    task: &'a RunningTask,
    scope: Scope,
    installation: Installation,
    runs: bool,
    job: Option<JobStatus>,
    over_for: Option<Duration>,
}

impl Suspect<'_> {
    /// Decides what to do if GitHub did not find the runner by its name `unknown` times.
    fn decide(&self, snapshot: &Snapshot, unknown: u32) -> OnAbsent {
        on_absent(AbsentRunner {
            unknown,
            up_for: snapshot.since(self.task.started_at.unwrap_or(snapshot.now)),
            execution_runs: self.runs,
            job: self.job.as_ref(),
            over_for: self.over_for,
            ran_it: self.job.as_ref().and_then(JobStatus::runner)
                == Some(self.task.runner.to_string().as_str()),
        })
    }

    async fn is_unknown(&self) -> Result<bool, fleet::Error> {
        let name = self.task.runner.to_string();
        let found = self.installation.find_runner(&self.scope, &name).await?;
        Ok(found.is_none())
    }
}

/// Stops tasks whose runner GitHub does not know and that nothing else ends in time. GitHub is
/// asked for each such runner by its name, twice with a pause.
pub async fn end_absent(deps: &Deps, snapshot: &Snapshot) -> Result<usize, fleet::Error> {
    let mut failed = None;
    let mut unknown = Vec::new();
    let unlisted = snapshot
        .tasks
        .iter()
        .filter(|task| snapshot.runners.iter().all(|seen| seen.name != task.runner));
    for task in unlisted.take(LOOKED_AT) {
        // A failure must not block the others.
        match suspect(deps, snapshot, task).await {
            Ok(found) => unknown.extend(found),
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    if !unknown.is_empty() {
        tokio::time::sleep(PAUSE).await;
    }
    let mut ended = 0;
    for suspect in unknown {
        let looks = match suspect.is_unknown().await {
            Ok(again) => 1 + u32::from(again),
            Err(error) => {
                failed.get_or_insert(error);
                continue;
            }
        };
        let reason = match suspect.decide(snapshot, looks) {
            OnAbsent::Leave => continue,
            OnAbsent::StopGhost => "GitHub does not know its runner, and its job is still queued",
            OnAbsent::StopHung => "its job has ended, but the task has not",
            OnAbsent::StopOrphan => "GitHub does not know its runner, and its execution is closed",
        };
        tracing::warn!(runner = %suspect.task.runner, reason, "stopping a task whose runner GitHub does not know");
        match deps.fleet.stop_task(&suspect.task.arn, reason).await {
            Ok(()) => ended += 1,
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(ended), Err)
}

/// Examines a task whose runner is missing from a complete list. `None` if it is left whatever
/// GitHub says, or if GitHub finds the runner by its name.
async fn suspect<'a>(
    deps: &Deps,
    snapshot: &Snapshot,
    task: &'a RunningTask,
) -> Result<Option<Suspect<'a>>, fleet::Error> {
    let runs = snapshot.runs(task.runner.execution());
    if task.started_at.is_none() || (!runs && snapshot.since(task.created_at) < START_LIMIT) {
        return Ok(None);
    }
    let Some(repository) = &task.repository else {
        return Ok(None);
    };
    let Some(scope) = asked(deps, snapshot, repository) else {
        return Ok(None);
    };
    let access = if runs {
        Access::jobs(repository)
    } else {
        Access::runners(&scope)
    };
    let Some(installation) = deps.github.still_serving(repository, None, &access).await? else {
        return Ok(None);
    };
    let mut suspect = Suspect {
        task,
        scope,
        installation,
        runs,
        job: None,
        over_for: None,
    };
    if runs {
        let Some(execution) = deps.fleet.execution(task.runner.execution()).await? else {
            return Ok(None);
        };
        let job = &execution.order.job;
        let state = suspect.installation.job(job).await?;
        if let JobStatus::Completed { completed_at, .. } = &state {
            suspect.over_for = completed_at.map(|at| snapshot.since(at));
        }
        suspect.job = Some(state);
    }
    let worth_asking = suspect.decide(snapshot, u32::MAX) != OnAbsent::Leave;
    Ok((worth_asking && suspect.is_unknown().await?).then_some(suspect))
}

/// The scope of the task's runner, if GitHub listed all runners there.
fn asked(deps: &Deps, snapshot: &Snapshot, repository: &Repository) -> Option<Scope> {
    let organization = Scope::Organization(repository.owner().to_owned());
    let by_repository = Scope::Repository(repository.clone());
    let organizations = deps.config.scope == RunnerScope::Organization;
    [organizations.then_some(organization), Some(by_repository)]
        .into_iter()
        .flatten()
        .find(|scope| snapshot.scopes.contains(&scope.to_string()))
}
