//! What the workflows of this repository may run, and with which permissions.
//!
//! A tag of an action can be moved to other code; a commit cannot
//! (<https://docs.github.com/actions/reference/security/secure-use#using-third-party-actions>).

use std::fs;

use tooling::Checkout;

/// Name and text of each workflow.
fn workflows() -> Vec<(String, String)> {
    let directory = Checkout::here().path(".github/workflows");
    let mut found: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    found.sort();
    assert!(found.len() >= 2, "{} is nearly empty", directory.display());
    found
}

/// What is wrong with a line, if it uses an action.
fn problem(line: &str) -> Option<String> {
    let line = line.trim().trim_start_matches("- ");
    let used = line.strip_prefix("uses:")?.trim();
    if used.starts_with("./") {
        return None;
    }
    let (reference, comment) = used.split_once(" # ").unwrap_or((used, ""));
    let commit = reference.split_once('@').map_or("", |(_, commit)| commit);
    let is_commit = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    let version = comment.strip_prefix('v').unwrap_or_default();
    let is_version = version.split('.').count() == 3
        && version.split('.').all(|part| part.parse::<u32>().is_ok());
    match (is_commit, is_version) {
        (true, true) => None,
        (false, _) => Some(format!(
            "{used}: pin it by a commit of 40 hexadecimal digits"
        )),
        (true, false) => Some(format!("{used}: name the version, as in ` # v1.2.3`")),
    }
}

#[test]
fn every_action_is_pinned_by_commit_and_names_its_version() {
    for (name, text) in workflows() {
        let problems: Vec<_> = text.lines().filter_map(problem).collect();
        assert!(problems.is_empty(), "{name}: {problems:#?}");
    }
}

#[test]
fn a_tag_a_short_commit_and_a_missing_version_are_found() {
    let commit = "3d3c42e5aac5ba805825da76410c181273ba90b1";
    assert_eq!(problem("      - run: echo uses: nothing"), None);
    assert_eq!(problem(&format!("- uses: a/b@{commit} # v7.0.1")), None);
    assert_eq!(problem("- uses: ./.github/actions/own"), None);
    for bad in [
        "- uses: a/b@v7 # v7.0.1".to_owned(),
        "  uses: a/b@3d3c42e # v7.0.1".to_owned(),
        "- uses: a/b".to_owned(),
        format!("- uses: a/b@{commit}"),
        format!("- uses: a/b@{commit} # main"),
    ] {
        assert!(problem(&bad).is_some(), "{bad}");
    }
}

/// A workflow grants nothing, and each of its jobs says what it needs.
#[test]
fn every_job_names_its_permissions_and_a_workflow_grants_none() {
    for (name, text) in workflows() {
        assert!(
            text.contains("\npermissions: {}\n"),
            "{name}: the workflow itself must grant nothing"
        );
        let (_, jobs) = text.split_once("\njobs:\n").unwrap();
        let granted = jobs
            .lines()
            .filter(|line| *line == "    permissions:")
            .count();
        let all = jobs
            .lines()
            .filter(|line| {
                line.strip_prefix("  ")
                    .is_some_and(|rest| !rest.starts_with([' ', '#']) && rest.ends_with(':'))
            })
            .count();
        assert_eq!(granted, all, "{name}: a job names no permissions");
        // A release writes: the image, the attestations and the release itself. Each permission says why.
        let silent = jobs.lines().filter(|line| {
            line.contains(": write") && (name != "release.yml" || !line.contains(" # "))
        });
        let silent: Vec<_> = silent.collect();
        assert!(
            silent.is_empty(),
            "{name}: a job may write; say why here, if it must: {silent:?}"
        );
    }
}

/// The release workflow makes its files with the command that everybody has, and nothing of its own.
#[test]
fn a_release_is_made_by_the_command_that_the_tests_run() {
    let (_, release) = workflows()
        .into_iter()
        .find(|(name, _)| name == "release.yml")
        .expect("a release workflow");
    assert!(release.contains("cargo xtask release --dry-run --tag \"$GITHUB_REF_NAME\""));
    assert!(release.contains("push-to-registry: true"));
    for subject in ["subject-checksums:", "subject-digest:"] {
        assert_eq!(
            release.matches(subject).count(),
            2,
            "{subject}: provenance and bill of materials"
        );
    }
}
