//! The age of the images' runner versions.
//!
//! GitHub assigns no jobs to a runner once a newer version has been out for 30 days ([rule]), so
//! the successor's age counts, not the version's own. A task definition names its image's version
//! in the tag [`catalogue::RUNNER_VERSION_TAG`]; those without one are skipped.
//!
//! [rule]: https://docs.github.com/actions/reference/runners/self-hosted-runners#runner-software-updates-on-self-hosted-runners

use catalogue::{Catalogue, Offer};
use github::{RunnerRelease, RunnerVersion};
use runtime::telemetry::Metric;
use time::{Duration, OffsetDateTime};

use crate::releases::Told;
use crate::{Deps, parameter};

/// Warn once a successor has been out for this long: a third of GitHub's time is left then.
pub const WARNING_DAYS: i64 = 20;
/// How long GitHub's answer is cached: releases are weeks apart.
const KEPT: Duration = Duration::hours(6);

/// Returns for how many days the most outdated image has been so, and emits it as a metric. Beyond
/// [`WARNING_DAYS`] also logs a warning for each family. `None` if no version or no release is
/// known.
pub async fn check(
    deps: &Deps,
    catalogue: &Catalogue,
    now: OffsetDateTime,
) -> Result<Option<i64>, fleet::Error> {
    let mut versions = Vec::new();
    for offer in &catalogue.offers {
        if let Some(version) = version_of(deps, offer).await? {
            versions.push((offer, version));
        }
    }
    if versions.is_empty() {
        return Ok(None);
    }
    let mut held = deps.releases.0.lock().await;
    let told = match held.take().filter(|told| now - told.at < KEPT) {
        Some(told) => told,
        None => match ask(deps).await? {
            Some(releases) => Told { at: now, releases },
            None => return Ok(None),
        },
    };
    let told = held.insert(told);
    let Some(newest) = told.releases.iter().map(|release| release.version).max() else {
        return Ok(None);
    };
    let mut oldest = 0;
    for (offer, version) in versions {
        let days = days_behind(version, &told.releases, now);
        if days >= WARNING_DAYS {
            tracing::warn!(
                family = %offer.definition.family, %version, %newest, days,
                "GitHub stops giving jobs to this image's runner when its successor is 30 days old: rebuild the image"
            );
        }
        oldest = oldest.max(days);
    }
    #[expect(clippy::cast_precision_loss, reason = "days, not aeons")]
    deps.metrics()
        .emit(Metric::RunnerVersionAgeDays, oldest as f64);
    Ok(Some(oldest))
}

/// The version in a task definition's tag. An invalid one is logged and skipped: it must not hide
/// another image's age.
async fn version_of(deps: &Deps, offer: &Offer) -> Result<Option<RunnerVersion>, fleet::Error> {
    let Some(told) = &offer.runner_version else {
        return Ok(None);
    };
    let text = if told.starts_with('/') {
        // Missing until the image's first build has finished.
        match parameter::read(deps, told).await? {
            Some(text) => text,
            None => return Ok(None),
        }
    } else {
        told.clone()
    };
    match text.trim().parse() {
        Ok(version) => Ok(Some(version)),
        Err(error) => {
            let tag = catalogue::RUNNER_VERSION_TAG;
            tracing::warn!(family = %offer.definition.family, tag, %error, "cannot determine the image's age");
            Ok(None)
        }
    }
}

/// Asks GitHub through any installation, because the releases are public. `None` if the App is not
/// installed anywhere yet; an empty list if this GitHub has no releases.
async fn ask(deps: &Deps) -> Result<Option<Vec<RunnerRelease>>, fleet::Error> {
    let first = deps.github.installations(1).await?;
    let Some(one) = first.items.into_iter().find(|one| !one.suspended) else {
        return Ok(None);
    };
    let installation = deps.github.installation(one.id);
    Ok(Some(
        installation.runner_releases().await?.unwrap_or_default(),
    ))
}

/// Whole days since a newer version was published.
fn days_behind(version: RunnerVersion, releases: &[RunnerRelease], now: OffsetDateTime) -> i64 {
    releases
        .iter()
        .filter(|release| release.version > version)
        .map(|release| (now - release.published_at).whole_days())
        .max()
        .unwrap_or(0)
        .max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_as_old_as_its_successor() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(100);
        let release = |version: &str, days: i64| RunnerRelease {
            version: version.parse().unwrap(),
            published_at: now - Duration::days(days),
        };
        let releases = [
            release("2.338.0", 3),
            release("2.337.1", 21),
            release("2.337.0", 25),
            // A late fix of an older line.
            release("2.335.1", 1),
        ];
        let behind = |version: &str| days_behind(version.parse().unwrap(), &releases, now);
        assert_eq!(behind("2.338.0"), 0);
        assert_eq!(behind("2.337.1"), 3);
        assert_eq!(behind("2.337.0"), 21);
        assert_eq!(behind("2.300.0"), 25);
        // Newer than all known releases.
        assert_eq!(behind("2.339.0"), 0);
    }
}
