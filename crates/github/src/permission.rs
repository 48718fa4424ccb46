//! Permissions that the App needs ([list]).
//!
//! [list]: https://docs.github.com/rest/authentication/permissions-required-for-github-apps

use std::collections::BTreeMap;
use std::fmt;

/// A permission of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Permission {
    /// Its name in GitHub's API.
    key: &'static str,
    /// Whether it needs `write`.
    write: bool,
    /// Its name in GitHub's settings.
    words: &'static str,
}

/// Jobs and runs.
pub(crate) const ACTIONS: Permission = Permission {
    key: "actions",
    write: false,
    words: "the repository permission `Actions: read`",
};
/// Jobs and runs, to run them again.
pub(crate) const RERUNS: Permission = Permission {
    key: "actions",
    write: true,
    words: "the repository permission `Actions: read and write`",
};
/// Check runs.
pub(crate) const CHECKS: Permission = Permission {
    key: "checks",
    write: true,
    words: "the repository permission `Checks: read and write`",
};
/// Runners of a repository.
pub(crate) const ADMINISTRATION: Permission = Permission {
    key: "administration",
    write: true,
    words: "the repository permission `Administration: write`",
};
/// Runners and runner groups of an organization.
pub(crate) const SELF_HOSTED_RUNNERS: Permission = Permission {
    key: "organization_self_hosted_runners",
    write: true,
    words: "the organization permission `Self-hosted runners: write`",
};

/// Runner groups of an organization, to look at.
pub(crate) const RUNNER_GROUPS: Permission = Permission {
    key: "organization_self_hosted_runners",
    write: false,
    words: "the organization permission `Self-hosted runners: read`",
};

/// Names and visibility of repositories. Every installation has it.
pub(crate) const METADATA: Permission = Permission {
    key: "metadata",
    write: false,
    words: "the repository permission `Metadata: read`",
};

impl Permission {
    /// Its name in GitHub's API.
    pub(crate) const fn key(&self) -> &'static str {
        self.key
    }

    /// Its level in GitHub's API.
    pub(crate) const fn level(&self) -> &'static str {
        if self.write { "write" } else { "read" }
    }

    /// Whether an installation's permissions (`read`, `write` or `admin`) include it.
    pub(crate) fn is_granted(&self, permissions: &BTreeMap<String, String>) -> bool {
        permissions
            .get(self.key)
            .is_some_and(|level| !self.write || level != "read")
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_is_not_writing() {
        let granted = |level: &str| BTreeMap::from([("administration".to_owned(), level.into())]);
        assert!(ADMINISTRATION.is_granted(&granted("write")));
        assert!(ADMINISTRATION.is_granted(&granted("admin")));
        assert!(!ADMINISTRATION.is_granted(&granted("read")));
        assert!(!ADMINISTRATION.is_granted(&BTreeMap::new()));
        assert!(!ACTIONS.is_granted(&granted("write")));
    }
}
