//! Tasks that nobody needs any more, and whose end nobody brings about.
//!
//! Most have a runner that GitHub lists: those are retired, deletion first. The others are told apart
//! by `decisions::on_absent`: a listener whose registration was consumed waits for nothing while its job
//! is queued, one hangs after its job, one's execution was aborted while its task started.

use std::time::Duration;

use decisions::{AbsentRunner, JobStatus, OnAbsent, on_absent};
use fleet::{Retired, RunningTask, retire};
use github::{Installation, RunnerScope, Scope};
use protocol::Repository;

use crate::Deps;
use crate::snapshot::{START_LIMIT, Snapshot};

/// How many tasks without a listed runner are looked into in one sweep.
const LOOKED_AT: usize = 30;
/// Between two questions for the same runner. GitHub's answer has to be the same twice: one may come
/// from a page that changed while it was read, or from a server that is behind.
const PAUSE: Duration = Duration::from_secs(3);

/// Ends tasks whose execution is closed and whose runner GitHub lists: only where GitHub lets the
/// runner go. A busy runner finishes its job, whoever's it is.
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
    /// What follows if GitHub, asked by name, did not know the runner so often.
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

/// Stops tasks whose runner GitHub does not know, where nothing else will end them in time. GitHub is
/// asked for each such runner by its name, twice with a pause.
pub async fn end_absent(deps: &Deps, snapshot: &Snapshot) -> Result<usize, fleet::Error> {
    let mut failed = None;
    let mut unknown = Vec::new();
    let unlisted = snapshot
        .tasks
        .iter()
        .filter(|task| snapshot.runners.iter().all(|seen| seen.name != task.runner));
    for task in unlisted.take(LOOKED_AT) {
        // One that cannot be looked into must not keep the others.
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
            OnAbsent::StopGhost => "GitHub does not know its runner, and its job still waits",
            OnAbsent::StopHung => "its job is over, and it has not ended",
            OnAbsent::StopOrphan => "GitHub has let its runner go, and its execution is closed",
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

/// Looks into a task whose runner is missing where GitHub has listed all runners: none where it is to
/// be left whatever GitHub says of the runner, or where GitHub knows it when asked by its name.
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
    let Some(installation) = deps.github.still_serving(repository, None).await? else {
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

/// The scope that the task's runner would be in, if GitHub has told all runners there.
fn asked(deps: &Deps, snapshot: &Snapshot, repository: &Repository) -> Option<Scope> {
    let organization = Scope::Organization(repository.owner().to_owned());
    let by_repository = Scope::Repository(repository.clone());
    let organizations = deps.config.scope == RunnerScope::Organization;
    [organizations.then_some(organization), Some(by_repository)]
        .into_iter()
        .flatten()
        .find(|scope| snapshot.scopes.contains(&scope.to_string()))
}
