//! What a 404 about a job means.
//!
//! GitHub answers 404 for what does not exist, for what the App may not see, and, during outages,
//! for what exists. Only the first says anything about the job; trusting one of the others would
//! end an execution while its job waits. So a 404 is compared with what else GitHub shows.

/// The result of looking up something related to the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Look {
    /// GitHub shows it.
    Shown,
    /// GitHub says that it does not exist or is not visible (404 or 403).
    Hidden,
    /// GitHub gave neither answer, or was not asked.
    Unclear,
}

/// What is known after a 404 for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NotFound {
    /// The job's repository.
    pub repository: Look,
    /// Whether the App's installation includes the repository, from another endpoint than the
    /// repository's own. Only used if the repository is hidden.
    pub included: Look,
    /// The repository's list of workflow runs: proves that GitHub's Actions API works and that the
    /// App may read it. Without that permission every job is a 404.
    pub runs: Look,
    /// The job's own run. GitHub keeps a job as long as its run.
    pub run: Look,
    /// Whether the job and its run were hidden again after a delay.
    pub repeated: bool,
}

/// How to treat the 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnNotFound {
    /// The job is gone, because its run was deleted. It needs no runner.
    Absent,
    /// The App cannot see the repository: permanent until someone installs it there.
    NotInstalled,
    /// Unknown: transient, ask again later.
    Unavailable,
}

/// Decides what a 404 about a job means. A 404 alone never ends an execution: the job is gone only
/// if its repository answers, its run does not, and both repeat.
pub const fn on_not_found(seen: NotFound) -> OnNotFound {
    match (seen.repository, seen.included) {
        (Look::Hidden, Look::Hidden) => OnNotFound::NotInstalled,
        // Contradictory answers, or only one look.
        (Look::Hidden | Look::Unclear, _) => OnNotFound::Unavailable,
        (Look::Shown, _) => match (seen.runs, seen.run, seen.repeated) {
            (Look::Shown, Look::Hidden, true) => OnNotFound::Absent,
            _ => OnNotFound::Unavailable,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKS: [Look; 3] = [Look::Shown, Look::Hidden, Look::Unclear];

    /// The 404 of a job whose run was deleted.
    const DELETED: NotFound = NotFound {
        repository: Look::Shown,
        included: Look::Unclear,
        runs: Look::Shown,
        run: Look::Hidden,
        repeated: true,
    };

    fn every() -> impl Iterator<Item = NotFound> {
        let pairs = || LOOKS.into_iter().flat_map(|a| LOOKS.map(|b| (a, b)));
        pairs().flat_map(move |(repository, included)| {
            pairs().flat_map(move |(runs, run)| {
                [false, true].map(|repeated| NotFound {
                    repository,
                    included,
                    runs,
                    run,
                    repeated,
                })
            })
        })
    }

    #[test]
    fn a_404_follows_its_table() {
        let cases = [
            ("its run was deleted", DELETED, OnNotFound::Absent),
            (
                "the jobs alone are not found: an outage",
                NotFound {
                    run: Look::Shown,
                    ..DELETED
                },
                OnNotFound::Unavailable,
            ),
            (
                "it may be there a moment later",
                NotFound {
                    repeated: false,
                    ..DELETED
                },
                OnNotFound::Unavailable,
            ),
            (
                "the run gave no answer",
                NotFound {
                    run: Look::Unclear,
                    ..DELETED
                },
                OnNotFound::Unavailable,
            ),
            (
                "the App may not read any run there, or no run answers",
                NotFound {
                    runs: Look::Hidden,
                    ..DELETED
                },
                OnNotFound::Unavailable,
            ),
            (
                "the repository gave no answer",
                NotFound {
                    repository: Look::Unclear,
                    ..DELETED
                },
                OnNotFound::Unavailable,
            ),
            (
                "the installation no longer includes the repository",
                NotFound {
                    repository: Look::Hidden,
                    included: Look::Hidden,
                    ..DELETED
                },
                OnNotFound::NotInstalled,
            ),
            (
                "the repository is not found although the installation includes it",
                NotFound {
                    repository: Look::Hidden,
                    included: Look::Shown,
                    ..DELETED
                },
                OnNotFound::Unavailable,
            ),
            (
                "the repository is not found and nothing else was asked",
                NotFound {
                    repository: Look::Hidden,
                    included: Look::Unclear,
                    ..DELETED
                },
                OnNotFound::Unavailable,
            ),
        ];
        for (name, seen, expected) in cases {
            assert_eq!(on_not_found(seen), expected, "{name}");
        }
    }

    #[test]
    fn a_job_is_gone_only_where_its_repository_and_its_runs_answer_and_its_run_stays_hidden() {
        let absent: Vec<_> = every()
            .filter(|seen| on_not_found(*seen) == OnNotFound::Absent)
            .collect();
        assert!(!absent.is_empty());
        for seen in absent {
            assert_eq!(
                NotFound {
                    included: DELETED.included,
                    ..seen
                },
                DELETED
            );
        }
    }

    #[test]
    fn one_endpoint_alone_never_settles_it() {
        // One endpoint decides nothing while the others do not answer.
        for seen in every() {
            let answers = [seen.repository, seen.included, seen.runs, seen.run];
            let told = answers
                .iter()
                .filter(|look| **look != Look::Unclear)
                .count();
            if told <= 1 {
                assert_eq!(on_not_found(seen), OnNotFound::Unavailable, "{seen:?}");
            }
        }
    }
}
