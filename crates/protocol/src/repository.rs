//! `owner/name`, as in GitHub's paths.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A repository's full name. Serialized as `owner/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repository {
    owner: String,
    name: String,
}

/// Text that is not `owner/name` in GitHub's alphabet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a repository's full name: use owner/name, with letters, digits, '-', '_' and '.'"
)]
pub struct RepositoryError(String);

impl Repository {
    /// The account that owns it: an organization or a user.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The name without the owner.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for Repository {
    type Err = RepositoryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Both parts become URL paths, so other characters are rejected instead of escaped.
        let fits = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        match text.split_once('/') {
            Some((owner, name)) if fits(owner) && fits(name) => Ok(Self {
                owner: owner.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err(RepositoryError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Repository {
    type Error = RepositoryError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Repository> for String {
    fn from(repository: Repository) -> Self {
        repository.to_string()
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_of_one_and_of_a_hundred_characters() {
        for name in ["a".to_owned(), "n".repeat(100), ".github".to_owned()] {
            let full = format!("octo/{name}");
            assert_eq!(full.parse::<Repository>().unwrap().name(), name);
        }
    }

    #[test]
    fn refuses_what_could_leave_its_place_in_a_path() {
        for text in [
            "octo", "octo/", "/hello", "octo/a/b", "octo/..", "octo/a b", "octo/a?x", "",
        ] {
            assert!(text.parse::<Repository>().is_err(), "{text}");
        }
    }
}
