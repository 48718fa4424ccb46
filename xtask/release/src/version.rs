//! The version has one place, the workspace's `Cargo.toml`. What must repeat it is compared with it.

use std::fs;

use anyhow::{Context, ensure};
use tooling::Checkout;

/// The version of this source.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Files that repeat the version, with what stands around it.
const REPEATED: [(&str, &str, &str); 3] = [
    ("cdk/package.json", "\n  \"version\": \"", "\","),
    ("cdk/package-lock.json", "\n  \"version\": \"", "\","),
    ("cdk/package-lock.json", "\n      \"version\": \"", "\","),
];

/// Compares everything that repeats the version with it.
pub fn check_versions(checkout: &Checkout) -> anyhow::Result<()> {
    for (file, before, after) in REPEATED {
        let text = read(checkout, file)?;
        let found = text
            .split_once(before)
            .and_then(|(_, rest)| rest.split_once(after));
        let found = found.map_or("", |(found, _)| found);
        ensure!(
            found == VERSION,
            "{file} has version {found:?}, Cargo.toml {VERSION}: run `npm version {VERSION} \
             --no-git-tag-version` in cdk/"
        );
    }
    let heading = first_heading(&read(checkout, "CHANGELOG.md")?)?;
    ensure!(
        heading == "Unreleased" || released(&heading) == Some(VERSION),
        "CHANGELOG.md begins with {heading:?}: it must be `Unreleased`, or `{VERSION} - ` and the day"
    );
    Ok(())
}

/// Checks that this source may be released under a tag: the tag is `v` and the version, and the changelog
/// begins with what this version brings.
pub fn check_tag(checkout: &Checkout, tag: &str) -> anyhow::Result<()> {
    ensure!(
        tag.strip_prefix('v') == Some(VERSION),
        "the tag {tag:?} is not v{VERSION}, the version in Cargo.toml: tag another commit, or change the \
         version first"
    );
    let heading = first_heading(&read(checkout, "CHANGELOG.md")?)?;
    ensure!(
        released(&heading) == Some(VERSION),
        "CHANGELOG.md begins with {heading:?}: name what is released `{VERSION} - ` and the day"
    );
    Ok(())
}

/// The version of a heading such as `1.2.3 - 2027-01-31`.
fn released(heading: &str) -> Option<&str> {
    let (version, day) = heading.split_once(" - ")?;
    let digits =
        |part: &str, count| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<_> = day.split('-').collect();
    let is_day =
        parts.len() == 3 && digits(parts[0], 4) && digits(parts[1], 2) && digits(parts[2], 2);
    is_day.then_some(version)
}

fn first_heading(changelog: &str) -> anyhow::Result<String> {
    let heading = changelog.lines().find_map(|line| line.strip_prefix("## "));
    heading
        .map(|heading| heading.trim().to_owned())
        .context("CHANGELOG.md has no heading")
}

fn read(checkout: &Checkout, file: &str) -> anyhow::Result<String> {
    fs::read_to_string(checkout.path(file)).with_context(|| format!("reading {file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_lock_file_and_changelog_have_the_version_of_the_workspace() {
        check_versions(&Checkout::here()).unwrap();
    }

    #[test]
    fn another_tag_is_refused_with_the_one_that_is_expected() {
        for tag in ["v9.9.9", VERSION, ""] {
            let error = check_tag(&Checkout::here(), tag).unwrap_err().to_string();
            assert!(error.contains(&format!("v{VERSION}")), "{error}");
        }
    }

    #[test]
    fn a_released_heading_has_a_version_and_a_day() {
        assert_eq!(released("1.2.3 - 2027-01-31"), Some("1.2.3"));
        for other in ["Unreleased", "1.2.3", "1.2.3 - soon", "1.2.3 - 2027-1-31"] {
            assert_eq!(released(other), None, "{other}");
        }
        assert_eq!(
            first_heading("# A\n\n## 1.0.0 - 2027-01-31\n\n## 0.9.0\n").unwrap(),
            "1.0.0 - 2027-01-31"
        );
        assert!(first_heading("# A\n").is_err());
    }
}
