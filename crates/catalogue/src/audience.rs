//! Repositories that may use an offer. Pure.
//!
//! The author of a workflow chooses the labels in `runs-on`, and these choose the task definition and
//! its task role. An offer can therefore be limited to repositories.

use protocol::Repository;
use serde::{Deserialize, Serialize};

/// The repositories that a tag `GH:repositories` names, separated by spaces: `owner/name`, or `owner/`
/// for all of an owner's. A tag's value holds 256 letters, digits, spaces and `+ - = . _ : / @`, so
/// there is no `*` ([tags]).
///
/// An invalid pattern matches no repository: a mistake in the tag excludes rather than admits.
///
/// [tags]: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Audience(Vec<String>);

impl Audience {
    /// Reads a tag's value.
    pub fn parse(value: &str) -> Self {
        Self(value.split_whitespace().map(str::to_owned).collect())
    }

    /// The patterns: `owner/name`, or `owner/` for all of an owner's.
    pub fn patterns(&self) -> &[String] {
        &self.0
    }

    /// Whether a repository is among them. GitHub compares names without case.
    pub fn includes(&self, repository: &Repository) -> bool {
        self.0.iter().any(|pattern| {
            pattern.split_once('/').is_some_and(|(owner, name)| {
                owner.eq_ignore_ascii_case(repository.owner())
                    && (name.is_empty() || name.eq_ignore_ascii_case(repository.name()))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_named_with_a_slash_and_a_repository_by_its_whole_name() {
        for (value, repository, included) in [
            ("octo/hello", "octo/hello", true),
            ("Octo/Hello", "octo/hello", true),
            ("octo/", "octo/hello", true),
            ("other/x  octo/hello", "octo/hello", true),
            ("octo/hell", "octo/hello", false),
            ("octo/hello", "octo/hello-world", false),
            ("octo/", "octo2/hello", false),
            ("octo", "octo/hello", false),
            ("/hello", "octo/hello", false),
            ("/", "octo/hello", false),
            ("octo/hello/x", "octo/hello", false),
            ("", "octo/hello", false),
            (" ", "octo/hello", false),
        ] {
            let repository: Repository = repository.parse().unwrap();
            assert_eq!(
                Audience::parse(value).includes(&repository),
                included,
                "{value:?}"
            );
        }
    }
}
