//! Accounts, repositories and installations.

use crate::server::Server;
use crate::state::accounts::{OwnerType, RunnerGroup};
use crate::state::installation::Access;
use crate::state::refusal::Rejected;

impl Server {
    /// Adds a repository (`owner/name`), its owner, and the App's installation there.
    ///
    /// # Errors
    ///
    /// The name is none.
    pub fn add_repository(
        &self,
        full_name: &str,
        owner_type: OwnerType,
        private: bool,
    ) -> Result<(), Rejected> {
        self.shared
            .change(|world| {
                world
                    .directory
                    .add_repository(full_name, owner_type, private)
            })
            .map_err(Rejected::invalid)
    }

    /// The App's installation on an account.
    pub fn installation(&self, login: &str) -> Option<u64> {
        self.shared
            .read(|world| world.directory.installation_of(login).map(|found| found.id))
    }

    /// Installs the App on a known account; the installation's id.
    pub fn install(&self, login: &str) -> Option<u64> {
        self.shared.change(|world| world.directory.install(login))
    }

    /// Takes the App away from an account; its tokens are worth nothing any more.
    pub fn uninstall(&self, login: &str) {
        self.shared.change(|world| world.directory.uninstall(login));
    }

    /// Suspends the App's installation, or ends that.
    pub fn suspend(&self, login: &str, suspended: bool) {
        self.shared.change(|world| world.suspend(login, suspended));
    }

    /// From now on the App's installation includes all of the account's repositories but these.
    pub fn exclude(&self, login: &str, repositories: &[&str]) {
        let names = repositories.iter().map(|name| (*name).to_owned()).collect();
        self.shared.change(|world| world.exclude(login, &names));
    }

    /// Gives a permission to an installation, or takes it away. For tokens issued before, too.
    pub fn set_permission(&self, login: &str, permission: &str, access: Option<Access>) {
        self.shared
            .change(|world| world.set_permission(login, permission, access));
    }

    /// Adds a runner group to an organization, or replaces the one of that name; its id.
    ///
    /// # Errors
    ///
    /// There is no such organization.
    pub fn add_runner_group(&self, login: &str, group: RunnerGroup) -> Result<u64, Rejected> {
        self.shared
            .change(|world| world.directory.add_group(login, group))
            .map_err(Rejected::invalid)
    }
}
