//! A snapshot of AWS's and GitHub's state.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleet::{RunningTask, RunningTasks, Status, WarmTask};
use github::{Access, Installation, Runner, RunnerScope, Scope};
use pool::Wait;
use protocol::{ExecutionName, OwnerType, ParameterPath, Repository, RunnerName};
use time::OffsetDateTime;

use crate::Deps;

/// Maximum number of running executions per sweep. A deployment reaches Fargate's limits earlier.
const EXECUTIONS: usize = 10_000;
/// Maximum number of closed executions per sweep whose repository is read.
const CLOSED: usize = 10;
/// Minimum age of leftovers: longer than any start takes.
pub const START_LIMIT: Duration = Duration::from_mins(15);

/// The facts that a sweep decides from.
#[derive(Debug)]
pub struct Snapshot {
    /// When it was taken.
    pub now: OffsetDateTime,
    /// Running executions, with their start times.
    pub executions: BTreeMap<ExecutionName, OffsetDateTime>,
    /// Running tasks.
    pub tasks: Vec<RunningTask>,
    /// Running tasks of the stock's group, adopted or not; empty without a pool.
    pub warm: Vec<WarmTask>,
    /// The waits for adopted tasks; empty without a pool.
    pub waits: Vec<Wait>,
    /// Registrations that no agent has taken, with their creation times.
    pub registrations: Vec<(ParameterPath, OffsetDateTime)>,
    /// This deployment's runners at GitHub.
    pub runners: Vec<SeenRunner>,
    /// Scopes whose runners GitHub listed.
    pub scopes: BTreeSet<String>,
    /// What could not be listed.
    pub unseen: Vec<String>,
}

/// One of our runners at GitHub.
#[derive(Debug)]
pub struct SeenRunner {
    pub name: RunnerName,
    /// GitHub's description.
    pub runner: Runner,
    pub scope: Scope,
    /// The installation that may change it.
    pub installation: Installation,
}

/// Counts the age of an adopted task from its adoption: before, it had no runner. While the execution
/// does not wait for it yet, or nobody knows, it is being prepared.
fn since_adoption(task: &mut RunningTask, wait: Option<&Wait>, now: OffsetDateTime) {
    let adopted_at = wait.map(|wait| wait.written_at);
    task.started_at = adopted_at;
    task.created_at = adopted_at.unwrap_or(now);
}

impl Snapshot {
    /// Lists executions, tasks and registrations, then the runners of all scopes that these name.
    /// In this order, whatever appears meanwhile looks younger, never older.
    pub async fn look(deps: &Deps, now: OffsetDateTime) -> Result<Self, fleet::Error> {
        let fleet = &deps.fleet;
        let registrations = fleet.registrations().await?;
        let RunningTasks {
            runners: mut tasks,
            mut warm,
        } = fleet.running_tasks().await?;
        let (mut waits, mut unseen) = (Vec::new(), Vec::new());
        match &fleet.pool {
            Some(pool) => match pool.waits().await {
                Ok(found) => waits = found,
                Err(error) => unseen.push(format!("waits: {error}")),
            },
            None => warm.clear(),
        }
        for task in &mut tasks {
            if warm.iter().any(|one| one.arn == task.arn) {
                let wait = waits.iter().find(|wait| wait.task_arn == task.arn);
                since_adoption(task, wait, now);
            }
        }
        let running = fleet.executions.list(Status::Running, EXECUTIONS).await?;
        let executions = running
            .into_iter()
            .map(|one| (one.name, one.started_at))
            .collect();
        let mut snapshot = Self {
            now,
            executions,
            tasks,
            warm,
            waits,
            registrations,
            runners: Vec::new(),
            scopes: BTreeSet::new(),
            unseen,
        };
        snapshot.look_at_github(deps).await?;
        Ok(snapshot)
    }

    /// Whether the execution is running.
    pub fn runs(&self, execution: &ExecutionName) -> bool {
        self.executions.contains_key(execution)
    }

    pub fn task_of(&self, runner: &RunnerName) -> Option<&RunningTask> {
        self.tasks.iter().find(|task| task.runner == *runner)
    }

    /// Time since `at`.
    pub fn since(&self, at: OffsetDateTime) -> Duration {
        (self.now - at).try_into().unwrap_or(Duration::ZERO)
    }

    async fn look_at_github(&mut self, deps: &Deps) -> Result<(), fleet::Error> {
        let mut organizations = BTreeMap::new();
        if deps.config.scope == RunnerScope::Organization {
            let mut page = 1;
            loop {
                let found = deps.github.installations(page).await?;
                for one in found.items {
                    if one.owner_type == OwnerType::Organization && !one.suspended {
                        organizations.insert(one.account, one.id);
                    }
                }
                if !found.more {
                    break;
                }
                page += 1;
            }
        }
        for (organization, id) in &organizations {
            let installation = deps.github.installation(*id);
            self.list(
                deps,
                Scope::Organization(organization.clone()),
                installation,
            )
            .await;
        }
        for repository in self.repositories(deps).await? {
            if organizations.contains_key(repository.owner()) {
                continue;
            }
            let scope = Scope::Repository(repository.clone());
            let access = Access::runners(&scope);
            match deps.github.still_serving(&repository, None, &access).await {
                Ok(Some(installation)) => self.list(deps, scope, installation).await,
                // The App was removed; what still runs there ends by itself.
                Ok(None) => {}
                Err(error) => self
                    .unseen
                    .push(format!("runners of {repository}: {error}")),
            }
        }
        Ok(())
    }

    /// The repositories for which this deployment has tasks (from their tags), stale registrations
    /// or recently aborted, failed or timed out executions.
    async fn repositories(&self, deps: &Deps) -> Result<BTreeSet<Repository>, fleet::Error> {
        let mut found: BTreeSet<_> = self
            .tasks
            .iter()
            .filter_map(|task| task.repository.clone())
            .collect();
        let old = |at: &OffsetDateTime| self.since(*at) >= START_LIMIT;
        let mut closed: BTreeSet<ExecutionName> = self
            .registrations
            .iter()
            .filter(|(_, at)| old(at))
            .map(|(path, _)| path.runner().execution().clone())
            .filter(|execution| !self.runs(execution))
            .take(CLOSED)
            .collect();
        for status in [Status::Aborted, Status::Failed, Status::TimedOut] {
            let latest = deps.fleet.executions.list(status, CLOSED).await?;
            closed.extend(
                latest
                    .into_iter()
                    .filter(|one| self.since(one.started_at) < 8 * START_LIMIT)
                    .map(|one| one.name),
            );
        }
        for name in closed {
            if let Some(execution) = deps.fleet.execution(&name).await? {
                found.insert(execution.order.job.repository);
            }
        }
        Ok(found)
    }

    async fn list(&mut self, deps: &Deps, scope: Scope, installation: Installation) {
        let mut page = 1;
        loop {
            match installation.runners(&scope, page).await {
                Ok(found) => {
                    self.runners
                        .extend(found.items.into_iter().filter_map(|runner| {
                            let name: RunnerName = runner.name.parse().ok()?;
                            (*name.deployment() == deps.fleet.deployment).then(|| SeenRunner {
                                name,
                                runner,
                                scope: scope.clone(),
                                installation: installation.clone(),
                            })
                        }));
                    if !found.more {
                        self.scopes.insert(scope.to_string());
                        return;
                    }
                    page += 1;
                }
                Err(error) => {
                    self.unseen.push(format!("runners of {scope}: {error}"));
                    return;
                }
            }
        }
    }
}
