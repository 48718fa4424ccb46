//! A runner's life in GitHub's lists: registered, deleted, dropped.

use protocol::LabelSet;

use crate::state::accounts::Scope;
use crate::state::jit::{Credential, Files};
use crate::state::refusal::{Refusal, Rejected};
use crate::state::runner::{Registration, RunnerEntry};
use crate::state::session::Notice;
use crate::state::world::World;

/// The longest name of a runner.
const NAME_LIMIT: usize = 64;

const LABEL_LIMIT: usize = 100;

impl World {
    /// Registers a runner; its number. The checks are those of GitHub's answers.
    pub(crate) fn register(
        &mut self,
        scope: &Scope,
        registration: Registration,
    ) -> Result<u64, Refusal> {
        let Registration {
            name,
            group_id,
            labels,
            ephemeral,
        } = registration;
        if name.is_empty() || name.chars().count() > NAME_LIMIT {
            return Err(Refusal::invalid(format!(
                "Invalid request.\n\nThe runner's name must have 1 to {NAME_LIMIT} characters."
            )));
        }
        if labels.is_empty() || labels.len() > LABEL_LIMIT {
            return Err(Refusal::invalid(format!(
                "Invalid request.\n\nA runner must have 1 to {LABEL_LIMIT} labels."
            )));
        }
        if self.directory.group_name(scope, group_id).is_none() {
            return Err(Refusal::not_found());
        }
        if self.runner_named(scope, &name).is_some() {
            return Err(Refusal::conflict(format!(
                "Already exists - A runner with the name {name} already exists."
            )));
        }
        let id = self.id();
        let entry = RunnerEntry {
            id,
            name,
            scope: scope.clone(),
            group_id,
            labels: LabelSet::new(labels),
            ephemeral,
            credential: Credential::new(),
            job: None,
            session: None,
            idle_since: None,
            lost_at: None,
            held_until: None,
            version: None,
        };
        self.runners.insert(id, entry);
        Ok(id)
    }

    pub(crate) fn runner_named(&self, scope: &Scope, name: &str) -> Option<&RunnerEntry> {
        self.runners
            .values()
            .find(|runner| runner.scope == *scope && runner.name.eq_ignore_ascii_case(name))
    }

    /// Takes a runner out of the list; a listener that is connected is told.
    pub(crate) fn remove_runner(&mut self, id: u64, notice: Notice) {
        let Some(entry) = self.runners.remove(&id) else {
            return;
        };
        if let Some(session) = entry.session.and_then(|id| self.sessions.get_mut(&id)) {
            session.notice = Some(notice);
        }
    }

    pub(crate) fn registration_files<'a>(
        &'a self,
        runner: &'a RunnerEntry,
        group: &'a str,
        work_folder: &'a str,
    ) -> Files<'a> {
        Files {
            base: &self.base,
            runner_id: runner.id,
            name: &runner.name,
            scope: runner.scope.as_str(),
            group,
            work_folder,
            ephemeral: runner.ephemeral,
            credential: &runner.credential,
        }
    }

    /// GitHub drops an idle runner.
    pub(crate) fn drop_runner(&mut self, id: u64) -> Result<(), Rejected> {
        self.idle_runner(id)?;
        self.remove_runner(id, Notice::Deleted);
        Ok(())
    }

    /// The runner's registration is used up, and its listener goes on listening.
    pub(crate) fn ghost_runner(&mut self, id: u64) -> Result<(), Rejected> {
        self.idle_runner(id)?;
        let session = self.runners.remove(&id).and_then(|runner| runner.session);
        if let Some(session) = session.and_then(|id| self.sessions.get_mut(&id)) {
            session.ghost = true;
        }
        Ok(())
    }

    /// The runner is told to replace itself by a newer version.
    pub(crate) fn update_runner(&mut self, id: u64) -> Result<(), Rejected> {
        self.idle_runner(id)?;
        let session = self
            .runners
            .get(&id)
            .and_then(|runner| runner.session.clone());
        match session.and_then(|id| self.sessions.get_mut(&id)) {
            Some(session) => {
                session.update = true;
                Ok(())
            }
            None => Err(Rejected::invalid(format!("runner {id} is not connected"))),
        }
    }

    fn idle_runner(&self, id: u64) -> Result<(), Rejected> {
        match self.runners.get(&id) {
            None => Err(Rejected::absent(format!("there is no runner {id}"))),
            Some(runner) if runner.job.is_some() => {
                Err(Rejected::invalid(format!("runner {id} has a job")))
            }
            Some(_) => Ok(()),
        }
    }

    /// `owner/name` or an organization.
    pub(crate) fn scope_named(&self, name: &str) -> Result<Scope, Rejected> {
        let scope = match name.split_once('/') {
            Some((owner, name)) => self.directory.scope(owner, Some(name)),
            None => self.directory.scope(name, None),
        };
        scope
            .map_err(|_| Rejected::absent(format!("there is no repository or organization {name}")))
    }

    /// The number of a group, where runners are registered in it.
    pub(crate) fn group_id(&self, scope: &Scope, name: &str) -> Option<u64> {
        match scope {
            Scope::Repository(_) => name.eq_ignore_ascii_case("Default").then_some(1),
            Scope::Organization(login) => self
                .directory
                .account(login)?
                .groups
                .iter()
                .find(|(_, group)| group.name.eq_ignore_ascii_case(name))
                .map(|(id, _)| *id),
        }
    }
}
