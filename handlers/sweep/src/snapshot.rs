//! One look at what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleet::{RunningTask, Status};
use github::{Installation, Runner, RunnerScope, Scope};
use protocol::{ExecutionName, OwnerType, ParameterPath, Repository, RunnerName};
use time::OffsetDateTime;

use crate::Deps;

/// More executions than this at once are not looked at in one sweep; a deployment meets Fargate's
/// limits long before.
const EXECUTIONS: usize = 10_000;
/// How many closed executions are asked for their repository in one sweep.
const CLOSED: usize = 10;
/// What was left is as old as this at least before it counts as left: longer than a start may take.
pub const START_LIMIT: Duration = Duration::from_mins(15);

/// Everything that a sweep decides from.
#[derive(Debug)]
pub struct Snapshot {
    /// When it was looked at.
    pub now: OffsetDateTime,
    /// The executions that run, with their starts.
    pub executions: BTreeMap<ExecutionName, OffsetDateTime>,
    /// The tasks that run.
    pub tasks: Vec<RunningTask>,
    /// The registrations that nobody took, with when they were written.
    pub registrations: Vec<(ParameterPath, OffsetDateTime)>,
    /// Our runners at GitHub.
    pub runners: Vec<SeenRunner>,
    /// Where GitHub was asked for runners and answered.
    pub scopes: BTreeSet<String>,
    /// What could not be seen.
    pub unseen: Vec<String>,
}

/// One of our runners, where it is registered.
#[derive(Debug)]
pub struct SeenRunner {
    /// Its name.
    pub name: RunnerName,
    /// What GitHub says of it.
    pub runner: Runner,
    /// Where it is registered.
    pub scope: Scope,
    /// Who may change it.
    pub installation: Installation,
}

impl Snapshot {
    /// Looks at executions, tasks and registrations, then at the runners of every scope that these
    /// name. Taken in this order, what appears in between looks younger, never older.
    pub async fn look(deps: &Deps, now: OffsetDateTime) -> Result<Self, fleet::Error> {
        let fleet = &deps.fleet;
        let registrations = fleet.registrations().await?;
        let tasks = fleet.running_tasks().await?;
        let running = fleet.executions.list(Status::Running, EXECUTIONS).await?;
        let executions = running
            .into_iter()
            .map(|one| (one.name, one.started_at))
            .collect();
        let mut snapshot = Self {
            now,
            executions,
            tasks,
            registrations,
            runners: Vec::new(),
            scopes: BTreeSet::new(),
            unseen: Vec::new(),
        };
        snapshot.look_at_github(deps).await?;
        Ok(snapshot)
    }

    /// Whether the execution works for its job.
    pub fn runs(&self, execution: &ExecutionName) -> bool {
        self.executions.contains_key(execution)
    }

    /// The runner's task.
    pub fn task_of(&self, runner: &RunnerName) -> Option<&RunningTask> {
        self.tasks.iter().find(|task| task.runner == *runner)
    }

    /// How long ago something happened.
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
            match deps.github.still_serving(&repository, None).await {
                Ok(Some(installation)) => {
                    self.list(deps, Scope::Repository(repository), installation)
                        .await;
                }
                // What still runs where the App is gone ends by itself.
                Ok(None) => {}
                Err(error) => self
                    .unseen
                    .push(format!("runners of {repository}: {error}")),
            }
        }
        Ok(())
    }

    /// The repositories that something of ours exists for: by the tasks' tags, and by the executions
    /// of old registrations and of what was lately aborted, failed or timed out.
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
