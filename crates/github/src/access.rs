//! What one installation token opens: a permission, at one place.

use protocol::Repository;
use serde_json::{Value, json};

use crate::Scope;
use crate::permission::{ACTIONS, CHECKS, METADATA, Permission, RERUNS, RUNNER_GROUPS};

/// What an installation token is asked for: one permission, at one repository or at the installation's
/// account. A token that leaks opens no more than that ([narrowing]).
///
/// [narrowing]: https://docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    permission: Permission,
    /// The only repository; none where the permission is the organization's, or where every repository
    /// of the installation is looked at.
    repository: Option<Repository>,
}

impl Access {
    /// Reads jobs and runs of a repository.
    pub fn jobs(repository: &Repository) -> Self {
        Self::at(repository, ACTIONS)
    }

    /// Runs jobs of a repository again.
    pub fn reruns(repository: &Repository) -> Self {
        Self::at(repository, RERUNS)
    }

    /// Writes check runs of a repository.
    pub fn checks(repository: &Repository) -> Self {
        Self::at(repository, CHECKS)
    }

    /// Registers, lists and deletes runners of a repository or an organization.
    pub fn runners(scope: &Scope) -> Self {
        Self {
            permission: scope.runner_permission(),
            repository: scope.repository().cloned(),
        }
    }

    /// Reads an organization's runner groups.
    pub(crate) const fn runner_groups() -> Self {
        Self {
            permission: RUNNER_GROUPS,
            repository: None,
        }
    }

    /// Reads which repositories the installation includes. Nothing else: of what they hold, a token
    /// of this kind shows the names.
    pub(crate) const fn metadata() -> Self {
        Self {
            permission: METADATA,
            repository: None,
        }
    }

    fn at(repository: &Repository, permission: Permission) -> Self {
        Self {
            permission,
            repository: Some(repository.clone()),
        }
    }

    pub(crate) const fn permission(&self) -> Permission {
        self.permission
    }

    pub(crate) const fn repository(&self) -> Option<&Repository> {
        self.repository.as_ref()
    }

    /// The body that asks for such a token. A repository is named without its owner, which is the
    /// installation's account.
    pub(crate) fn request(&self) -> Value {
        let mut body = json!({ "permissions": self.permissions() });
        if let Some(repository) = &self.repository {
            body["repositories"] = json!([repository.name()]);
        }
        body
    }

    /// The same for a repository that is known by its id.
    pub(crate) fn request_by_id(&self, repository: u64) -> Value {
        json!({ "permissions": self.permissions(), "repository_ids": [repository] })
    }

    fn permissions(&self) -> Value {
        let mut permissions = json!({ self.permission.key(): self.permission.level() });
        if self.repository.is_some() {
            // Every repository permission comes with it.
            permissions[METADATA.key()] = json!(METADATA.level());
        }
        permissions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_use_asks_for_one_place_and_one_permission() {
        let repository: Repository = "octo/hello".parse().unwrap();
        let at = Scope::Repository(repository.clone());
        let organization = Scope::Organization("octo".to_owned());
        let one = |permission: &str, level: &str| {
            json!({
                "repositories": ["hello"],
                "permissions": { permission: level, "metadata": "read" },
            })
        };
        for (access, body) in [
            (Access::jobs(&repository), one("actions", "read")),
            (Access::reruns(&repository), one("actions", "write")),
            (Access::checks(&repository), one("checks", "write")),
            (Access::runners(&at), one("administration", "write")),
            (
                Access::runners(&organization),
                json!({ "permissions": { "organization_self_hosted_runners": "write" } }),
            ),
            (
                Access::metadata(),
                json!({ "permissions": { "metadata": "read" } }),
            ),
        ] {
            assert_eq!(access.request(), body, "{access:?}");
        }
    }

    #[test]
    fn a_repository_may_be_named_by_its_id() {
        let access = Access::jobs(&"octo/old-name".parse().unwrap());
        assert_eq!(
            access.request_by_id(7),
            json!({
                "repository_ids": [7],
                "permissions": { "actions": "read", "metadata": "read" },
            })
        );
    }
}
