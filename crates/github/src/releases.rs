//! Releases of the runner.

use std::fmt;
use std::str::FromStr;

use http::StatusCode;
use serde::Deserialize;
use time::OffsetDateTime;

use crate::transport::Call;
use crate::{Error, Installation};

/// Number of releases to request. GitHub publishes one or two a month, of 30 kB each.
const RELEASES: u8 = 10;

/// A version of GitHub's runner, like `2.338.0`, ordered from oldest to newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunnerVersion([u32; 3]);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a runner version: use three numbers separated by dots, like 2.338.0")]
pub struct RunnerVersionError(String);

impl FromStr for RunnerVersion {
    type Err = RunnerVersionError;

    /// Parses a version, with or without the `v` of its tag.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || RunnerVersionError(text.to_owned());
        let mut numbers = [0; 3];
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
        for number in &mut numbers {
            let part = parts.next().ok_or_else(refused)?;
            *number = part.parse().map_err(|_| refused())?;
        }
        if parts.next().is_some() {
            return Err(refused());
        }
        Ok(Self(numbers))
    }
}

impl fmt::Display for RunnerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunnerRelease {
    pub version: RunnerVersion,
    /// When it was published.
    pub published_at: OffsetDateTime,
}

impl Installation {
    /// The latest releases of the runner ([endpoint]), without drafts, prereleases and unknown
    /// tags. Empty if GitHub has no such repository, as on an Enterprise Server.
    ///
    /// [endpoint]: https://docs.github.com/rest/releases/releases#list-releases
    pub async fn runner_releases(&self) -> Result<Option<Vec<RunnerRelease>>, Error> {
        #[derive(Deserialize)]
        struct Wire {
            tag_name: String,
            draft: bool,
            prerelease: bool,
            #[serde(default, with = "time::serde::rfc3339::option")]
            published_at: Option<OffsetDateTime>,
        }
        let call =
            Call::get("/repos/actions/runner/releases").with("per_page", &RELEASES.to_string());
        let absent = [StatusCode::NOT_FOUND];
        let answer = self.settled_but(&call, None, &absent).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let releases: Vec<Wire> = answer.json(&call)?;
        let published = releases
            .into_iter()
            .filter(|release| !release.draft && !release.prerelease)
            .filter_map(|release| {
                Some(RunnerRelease {
                    version: release.tag_name.parse().ok()?,
                    published_at: release.published_at?,
                })
            });
        Ok(Some(published.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        let version = |text: &str| text.parse::<RunnerVersion>().unwrap();
        assert!(version("2.99.1") < version("v2.338.0"));
        assert!(version("2.338.0") < version("2.338.1"));
        assert_eq!(version("v2.338.0").to_string(), "2.338.0");
    }

    #[test]
    fn other_text_is_refused_with_what_a_version_is() {
        for text in ["", "2.338", "2.338.0.1", "latest", "2.338.0-rc1", "2..0"] {
            let error = text.parse::<RunnerVersion>().unwrap_err().to_string();
            assert!(error.contains("like 2.338.0"), "{text}: {error}");
        }
    }
}
