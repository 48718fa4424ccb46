//! Runners: registered, connected, dropped.

use crate::server::Server;
use crate::simulated::SimulatedRunner;
use crate::state::accounts::DEFAULT_GROUP;
use crate::state::refusal::Rejected;
use crate::state::runner::Registration;

impl Server {
    /// Drops an idle runner, as GitHub sometimes does; a connected listener ends.
    ///
    /// # Errors
    ///
    /// It has a job, or there is none.
    pub fn drop_runner(&self, id: u64) -> Result<(), Rejected> {
        self.shared.change(|world| world.drop_runner(id))
    }

    /// Uses an idle runner's registration up without telling it: it is in no list any more, gets no
    /// job, and goes on listening.
    ///
    /// # Errors
    ///
    /// It has a job, or there is none.
    pub fn ghost_runner(&self, id: u64) -> Result<(), Rejected> {
        self.shared.change(|world| world.ghost_runner(id))
    }

    /// Tells a connected runner to replace itself by a newer version.
    ///
    /// # Errors
    ///
    /// It has a job or no connection, or there is none.
    pub fn update_runner(&self, id: u64) -> Result<(), Rejected> {
        self.shared.change(|world| world.update_runner(id))
    }

    /// Registers a runner at `owner/name` or at an organization, as an App's call does: its number
    /// and its just-in-time configuration.
    ///
    /// # Errors
    ///
    /// What GitHub would refuse: an unknown place, a name that is taken, no label.
    pub fn register_runner(
        &self,
        scope: &str,
        name: &str,
        labels: &[&str],
    ) -> Result<(u64, String), Rejected> {
        let registration = Registration {
            name: name.to_owned(),
            group_id: DEFAULT_GROUP,
            labels: labels.iter().map(ToString::to_string).collect(),
            ephemeral: true,
        };
        self.shared.change(|world| {
            let scope = world.scope_named(scope)?;
            let id = world
                .register(&scope, registration)
                .map_err(|refusal| Rejected::invalid(refusal.message))?;
            let runner = world
                .runners
                .get(&id)
                .ok_or_else(|| Rejected::absent(format!("there is no runner {id}")))?;
            let files = world.registration_files(runner, "Default", "_work");
            Ok((id, files.encoded()))
        })
    }

    /// A token by which `config.sh` registers runners at `owner/name` or at an organization.
    ///
    /// # Errors
    ///
    /// There is no such place.
    pub fn registration_token(&self, scope: &str) -> Result<String, Rejected> {
        self.shared.change(|world| {
            let scope = world.scope_named(scope)?;
            Ok(world.issue_registration_token(scope).0)
        })
    }

    /// Connects a runner without a process, by its just-in-time configuration.
    ///
    /// # Errors
    ///
    /// The configuration is none, or GitHub refuses it: deleted, used up, or in use.
    pub fn connect(&self, encoded_jit_config: &str) -> Result<SimulatedRunner, Rejected> {
        SimulatedRunner::connect(&self.shared, encoded_jit_config)
    }
}
