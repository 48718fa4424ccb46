//! Who owns what: accounts, repositories, runner groups and installations, found by name.

use std::collections::{BTreeMap, BTreeSet};

use crate::state::accounts::{Account, DEFAULT_GROUP, OwnerType, Repository, RunnerGroup, Scope};
use crate::state::installation::{Access, Installation};
use crate::state::refusal::Refusal;

/// All accounts, found without regard to case as GitHub does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    accounts: BTreeMap<String, Account>,
    repositories: BTreeMap<String, Repository>,
    installations: BTreeMap<u64, Installation>,
    /// What an installation of the App is granted; all that this project needs if not set.
    granted: Option<BTreeMap<String, Access>>,
    next: u64,
}

impl Directory {
    pub(crate) fn account(&self, login: &str) -> Option<&Account> {
        self.accounts.get(&login.to_lowercase())
    }

    pub(crate) fn repository(&self, full_name: &str) -> Option<&Repository> {
        self.repositories.get(&full_name.to_lowercase())
    }

    pub(crate) fn repositories(&self) -> impl Iterator<Item = &Repository> {
        self.repositories.values()
    }

    pub(crate) fn installations(&self) -> impl Iterator<Item = &Installation> {
        self.installations.values()
    }

    pub(crate) fn installation(&self, id: u64) -> Option<&Installation> {
        self.installations.get(&id)
    }

    pub(crate) fn installation_of(&self, login: &str) -> Option<&Installation> {
        let same = |installation: &&Installation| installation.login.eq_ignore_ascii_case(login);
        self.installations.values().find(same)
    }

    pub(crate) fn installation_mut(&mut self, login: &str) -> Option<&mut Installation> {
        let same =
            |installation: &&mut Installation| installation.login.eq_ignore_ascii_case(login);
        self.installations.values_mut().find(same)
    }

    fn id(&mut self) -> u64 {
        self.next += 1;
        1_000_000 + self.next
    }

    /// Adds an account and installs the App there with all it needs. Known ones stay as they are.
    fn add_account(&mut self, login: &str, kind: OwnerType) {
        if self.account(login).is_some() {
            return;
        }
        let id = self.id();
        let groups = match kind {
            OwnerType::Organization => BTreeMap::from([(
                DEFAULT_GROUP,
                RunnerGroup {
                    name: "Default".to_owned(),
                    repositories: None,
                    allows_public: true,
                },
            )]),
            OwnerType::User => BTreeMap::new(),
        };
        let account = Account {
            id,
            login: login.to_owned(),
            kind,
            groups,
        };
        self.accounts.insert(login.to_lowercase(), account);
        self.install(login);
    }

    /// Adds a repository, and its owner with the App installed. A known one keeps its owner's type
    /// and takes the visibility.
    pub(crate) fn add_repository(
        &mut self,
        full_name: &str,
        kind: OwnerType,
        private: bool,
    ) -> Result<(), String> {
        let (owner, name) = split(full_name)?;
        self.add_account(owner, kind);
        if let Some(known) = self.repositories.get_mut(&full_name.to_lowercase()) {
            known.private = private;
            return Ok(());
        }
        let id = self.id();
        let repository = Repository {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            private,
        };
        self.repositories
            .insert(full_name.to_lowercase(), repository);
        Ok(())
    }

    /// Installs the App on a known account; its id, also if it was installed before.
    pub(crate) fn install(&mut self, login: &str) -> Option<u64> {
        if let Some(installation) = self.installation_of(login) {
            return Some(installation.id);
        }
        let (account_id, login, kind) = {
            let account = self.account(login)?;
            (account.id, account.login.clone(), account.kind)
        };
        let id = self.id();
        let mut permissions = self.granted.clone().unwrap_or_else(|| {
            BTreeMap::from([
                ("actions".to_owned(), Access::Read),
                ("administration".to_owned(), Access::Write),
                ("metadata".to_owned(), Access::Read),
                ("organization_self_hosted_runners".to_owned(), Access::Write),
            ])
        });
        if kind == OwnerType::User {
            permissions.remove("organization_self_hosted_runners");
        }
        let installation = Installation {
            id,
            login,
            kind,
            account_id,
            permissions,
            suspended: false,
            excluded: BTreeSet::new(),
        };
        self.installations.insert(id, installation);
        Some(id)
    }

    /// Another App takes the place of the one that was: it is installed nowhere yet.
    pub(crate) fn change_app(&mut self, permissions: BTreeMap<String, Access>) {
        self.installations.clear();
        self.granted = Some(permissions);
    }

    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    pub(crate) fn uninstall(&mut self, login: &str) {
        self.installations
            .retain(|_, installation| !installation.login.eq_ignore_ascii_case(login));
    }

    /// Adds a runner group to an organization, or replaces the one of that name.
    pub(crate) fn add_group(&mut self, login: &str, group: RunnerGroup) -> Result<u64, String> {
        let next = self.id();
        let account = self
            .accounts
            .get_mut(&login.to_lowercase())
            .filter(|account| account.kind == OwnerType::Organization)
            .ok_or_else(|| {
                format!("there is no organization {login}; add a repository of it first")
            })?;
        let known = account
            .groups
            .iter()
            .find(|(_, known)| known.name.eq_ignore_ascii_case(&group.name));
        let id = known.map_or(next, |(id, _)| *id);
        account.groups.insert(id, group);
        Ok(id)
    }

    /// Whether a runner of this group at this scope may take jobs of the repository.
    pub(crate) fn serves(&self, scope: &Scope, group: u64, repository: &Repository) -> bool {
        match scope {
            Scope::Repository(name) => name.eq_ignore_ascii_case(&repository.full_name()),
            Scope::Organization(login) => {
                login.eq_ignore_ascii_case(&repository.owner)
                    && self.account(login).is_some_and(|account| {
                        account
                            .groups
                            .get(&group)
                            .is_some_and(|group| group.is_visible_to(repository))
                    })
            }
        }
    }

    /// The scope of a path, if there is such a place.
    pub(crate) fn scope(&self, owner: &str, name: Option<&str>) -> Result<Scope, Refusal> {
        match name {
            Some(name) => self
                .repository(&format!("{owner}/{name}"))
                .map(|repository| Scope::Repository(repository.full_name())),
            None => self
                .account(owner)
                .filter(|account| account.kind == OwnerType::Organization)
                .map(|account| Scope::Organization(account.login.clone())),
        }
        .ok_or_else(Refusal::not_found)
    }

    /// The name of a group, where runners are registered in it.
    pub(crate) fn group_name(&self, scope: &Scope, group: u64) -> Option<String> {
        match scope {
            Scope::Repository(_) => (group == DEFAULT_GROUP).then(|| "Default".to_owned()),
            Scope::Organization(login) => self
                .account(login)?
                .groups
                .get(&group)
                .map(|group| group.name.clone()),
        }
    }
}

/// `owner/name`, both of the characters that GitHub lets them have.
fn split(full_name: &str) -> Result<(&str, &str), String> {
    let plain = |text: &str| {
        !text.is_empty()
            && text.len() <= 100
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    full_name
        .split_once('/')
        .filter(|(owner, name)| plain(owner) && plain(name))
        .ok_or_else(|| format!("{full_name:?} is not a repository: use owner/name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> Directory {
        let mut directory = Directory::default();
        for (name, kind, private) in [
            ("octo/hello", OwnerType::Organization, true),
            ("octo/open", OwnerType::Organization, false),
            ("mona/own", OwnerType::User, true),
        ] {
            directory.add_repository(name, kind, private).unwrap();
        }
        directory
    }

    fn organization() -> Scope {
        Scope::Organization("octo".to_owned())
    }

    #[test]
    fn names_are_found_without_regard_to_case() {
        let directory = directory();
        assert!(directory.repository("OCTO/Hello").is_some());
        assert_eq!(directory.scope("Octo", None), Ok(organization()));
        assert!(
            directory.scope("mona", None).is_err(),
            "a person has no organization's runners"
        );
    }

    #[test]
    fn a_group_serves_only_the_repositories_it_is_visible_to() {
        let mut directory = directory();
        let group = RunnerGroup {
            name: "big".to_owned(),
            repositories: Some(BTreeSet::from(["octo/HELLO".to_owned()])),
            allows_public: false,
        };
        let id = directory.add_group("octo", group).unwrap();
        let serves = |group, name| {
            directory.serves(&organization(), group, directory.repository(name).unwrap())
        };
        assert!(serves(id, "octo/hello"));
        assert!(!serves(id, "octo/open"));
        assert!(serves(DEFAULT_GROUP, "octo/open"));
        assert!(!serves(DEFAULT_GROUP, "mona/own"));
        assert!(!serves(99, "octo/hello"));
    }

    #[test]
    fn a_repositorys_runners_serve_that_repository_alone() {
        let directory = directory();
        let scope = Scope::Repository("octo/hello".to_owned());
        let serves = |name| directory.serves(&scope, 1, directory.repository(name).unwrap());
        assert!(serves("octo/hello"));
        assert!(!serves("octo/open"));
    }

    #[test]
    fn what_is_no_repository_is_refused_by_name() {
        let mut directory = Directory::default();
        for name in ["octo", "octo/", "/x", "octo/a b", "a/b/c"] {
            let error = directory
                .add_repository(name, OwnerType::User, true)
                .unwrap_err();
            assert!(error.contains("owner/name"), "{error}");
        }
    }
}
