//! Which jobs this deployment serves. Pure.

use std::fmt;

use protocol::{Job, LabelSet, Repository};

use crate::{Owner, Required};

/// What the operator allows.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Accounts whose jobs are served; empty where the repositories alone say it.
    pub owners: Vec<Owner>,
    /// Repositories whose jobs are served; empty means all of the owners'. A job has to pass both lists.
    pub repositories: Vec<Repository>,
    /// Whether public repositories are served: anybody can have their code run there by a pull
    /// request ([warning]).
    ///
    /// [warning]: https://docs.github.com/actions/security-for-github-actions/security-guides/security-hardening-for-github-actions#hardening-for-self-hosted-runners
    pub public: bool,
    /// Whether internal repositories are served: every member of the enterprise can read them, and may
    /// fork them where that is allowed ([visibility]).
    ///
    /// [visibility]: https://docs.github.com/repositories/creating-and-managing-repositories/about-repositories#about-internal-repositories
    pub internal: bool,
    /// What a job must ask for: those for GitHub's own runners start nothing here.
    pub required: Required,
}

/// What an event tells besides the job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The runner group that it names. Mostly none: GitHub knows the group of a job only once a
    /// runner has it.
    pub group: Option<String>,
    /// The id of the account that the repository lies in.
    pub owner_id: Option<u64>,
    /// Whether the repository is internal.
    pub internal: bool,
}

/// Why a job is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It asks for another kind of runner.
    Labels {
        /// The labels that it asks for.
        asked: LabelSet,
        /// The runner group that its event names.
        group: Option<String>,
        /// What it would have to ask for.
        required: Required,
    },
    /// Its owner is not allowed.
    Owner(String),
    /// Its repository is not allowed.
    Repository(Repository),
    /// Its repository is public.
    Public(Repository),
    /// Its repository is internal.
    Internal(Repository),
    /// Its code comes from a fork.
    Fork {
        /// The job's repository.
        repository: Repository,
        /// The fork, where it still exists.
        fork: Option<String>,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Labels {
                asked,
                group,
                required,
            } => {
                if let Some(labels) = required.only_labels() {
                    return write!(f, "the job does not ask for [{}]", asked.lacking(labels));
                }
                write!(f, "the job asks for [{asked}]")?;
                if let Some(group) = group {
                    write!(f, " in the runner group {group:?}")?;
                }
                write!(f, ", which is none of REQUIRED_LABELS ({required})")
            }
            Self::Owner(owner) => write!(f, "{owner} is not among ALLOWED_OWNERS"),
            Self::Repository(repository) => {
                write!(f, "{repository} is not among ALLOWED_REPOSITORIES")
            }
            Self::Public(repository) => write!(
                f,
                "{repository} is public, and ALLOW_PUBLIC_REPOSITORIES is false"
            ),
            Self::Internal(repository) => write!(
                f,
                "{repository} is internal, and ALLOW_INTERNAL_REPOSITORIES is false"
            ),
            Self::Fork { repository, fork } => write!(
                f,
                "the code of its run comes from {} instead of {repository}, and ALLOW_FORKS is false",
                fork.as_deref().unwrap_or("a fork that was deleted")
            ),
        }
    }
}

impl Refusal {
    /// Its kind, as a metric splits it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Labels { .. } => "Labels",
            Self::Owner(_) => "Owner",
            Self::Repository(_) => "Repository",
            Self::Public(_) => "Public",
            Self::Internal(_) => "Internal",
            Self::Fork { .. } => "Fork",
        }
    }

    /// Whether the job asks for one of GitHub's own runners by a label that GitHub names them by
    /// ([labels]). Nobody wonders why such a job starts nothing here.
    ///
    /// [labels]: https://docs.github.com/actions/reference/runners/github-hosted-runners
    pub fn is_for_githubs_runners(&self) -> bool {
        match self {
            Self::Labels { asked, .. } => asked.iter().any(|label| {
                GITHUBS_OWN
                    .iter()
                    .any(|system| label.as_str().starts_with(system))
            }),
            _ => false,
        }
    }
}

/// What the labels of GitHub's own runners begin with.
const GITHUBS_OWN: [&str; 3] = ["ubuntu-", "windows-", "macos-"];

/// Where code may come from, as it is asked again when a job's runner is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// Public repositories.
    pub public: bool,
    /// Internal repositories.
    pub internal: bool,
    /// Forks of the repositories that are served.
    pub forks: bool,
}

impl Sources {
    /// Decides whether jobs of a repository of this visibility are served. `private` is whether it is
    /// private or internal.
    pub fn admit_visibility(
        self,
        repository: &Repository,
        private: bool,
        internal: bool,
    ) -> Result<(), Refusal> {
        if !private && !self.public {
            return Err(Refusal::Public(repository.clone()));
        }
        if internal && !self.internal {
            return Err(Refusal::Internal(repository.clone()));
        }
        Ok(())
    }

    /// Decides whether a run is served whose code comes from the repository `head`: none where that
    /// was deleted. `event` is what began the run. Only pull requests bring code from elsewhere, but
    /// whatever began it, code of another repository is a fork's.
    pub fn admit_run(
        self,
        repository: &Repository,
        head: Option<&str>,
        event: &str,
    ) -> Result<(), Refusal> {
        let own = match head {
            // GitHub compares names without case.
            Some(head) => head.eq_ignore_ascii_case(&repository.to_string()),
            None => !event.starts_with("pull_request"),
        };
        if own || self.forks {
            return Ok(());
        }
        Err(Refusal::Fork {
            repository: repository.clone(),
            fork: head.map(str::to_owned),
        })
    }
}

impl Policy {
    /// Decides whether a job is served. Labels come first: most refused jobs are GitHub's own.
    pub fn admit(&self, job: &Job, about: &About) -> Result<(), Refusal> {
        if !self.required.met(&job.labels, about.group.as_deref()) {
            return Err(Refusal::Labels {
                asked: job.labels.clone(),
                group: about.group.clone(),
                required: self.required.clone(),
            });
        }
        self.admit_repository(job, about)
    }

    /// Decides whether jobs of the job's repository are served, whatever they ask for.
    pub fn admit_repository(&self, job: &Job, about: &About) -> Result<(), Refusal> {
        let repository = &job.repository;
        let owner = repository.owner();
        if !self.owners.is_empty()
            && !self
                .owners
                .iter()
                .any(|allowed| allowed.is(owner, about.owner_id))
        {
            return Err(Refusal::Owner(owner.to_owned()));
        }
        if !self.repositories.is_empty()
            && !self.repositories.iter().any(|allowed| {
                // GitHub compares names of repositories without case.
                allowed.owner().eq_ignore_ascii_case(owner)
                    && allowed.name().eq_ignore_ascii_case(repository.name())
            })
        {
            return Err(Refusal::Repository(repository.clone()));
        }
        let sources = Sources {
            public: self.public,
            internal: self.internal,
            forks: true,
        };
        sources.admit_visibility(repository, job.private, about.internal)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::{JobId, OwnerType};
    use time::OffsetDateTime;

    use super::*;

    fn job(labels: &str, private: bool) -> Job {
        Job {
            id: JobId(1),
            run_id: 1,
            run_attempt: 1,
            name: String::new(),
            workflow: String::new(),
            repository: "Octo/Hello".parse().unwrap(),
            owner_type: OwnerType::Organization,
            private,
            labels: LabelSet::parse(labels),
            installation_id: None,
            queued_at: OffsetDateTime::UNIX_EPOCH,
            created_at: None,
        }
    }

    fn policy(owners: &[&str], repositories: &[&str], public: bool) -> Policy {
        Policy {
            owners: owners.iter().map(|owner| owner.parse().unwrap()).collect(),
            repositories: repositories.iter().map(|r| r.parse().unwrap()).collect(),
            public,
            internal: false,
            required: Required::default(),
        }
    }

    #[test]
    fn both_lists_and_the_public_switch_have_to_agree() {
        for (owners, repositories, public, private, admitted) in [
            (vec![], vec![], false, true, true),
            (vec![], vec![], false, false, false),
            (vec![], vec![], true, false, true),
            (vec!["octo"], vec![], false, true, true),
            (vec!["octo", "other"], vec!["OCTO/hello"], false, true, true),
            (vec!["other"], vec![], false, true, false),
            (vec![], vec!["octo/other"], false, true, false),
            (vec!["octo"], vec!["octo/other"], false, true, false),
            (vec!["other"], vec!["octo/hello"], false, true, false),
            // A list says who, not what: it does not open public repositories.
            (vec![], vec!["octo/hello"], false, false, false),
        ] {
            let policy = policy(&owners, &repositories, public);
            let decision = policy.admit(&job("self-hosted linux", private), &About::default());
            assert_eq!(decision.is_ok(), admitted, "{policy:?}, private {private}");
        }
    }

    #[test]
    fn internal_repositories_have_a_switch_of_their_own() {
        let about = About {
            internal: true,
            ..About::default()
        };
        for (public, internal, served) in [
            (false, false, false),
            (true, false, false),
            (false, true, true),
        ] {
            let mut policy = policy(&[], &[], public);
            policy.internal = internal;
            let decision = policy.admit(&job("self-hosted linux", true), &about);
            assert_eq!(decision.is_ok(), served, "{public} {internal}");
        }
    }

    #[test]
    fn code_of_another_repository_is_a_forks_and_so_is_that_of_none() {
        let repository: Repository = "octo/hello".parse().unwrap();
        for (head, event, own) in [
            (Some("octo/hello"), "push", true),
            (Some("Octo/Hello"), "pull_request", true),
            (Some("stranger/hello"), "pull_request", false),
            (Some("stranger/hello"), "pull_request_target", false),
            (Some("octo/hello-2"), "workflow_run", false),
            (None, "pull_request", false),
            (None, "schedule", true),
        ] {
            for forks in [false, true] {
                let sources = Sources {
                    public: false,
                    internal: false,
                    forks,
                };
                let decision = sources.admit_run(&repository, head, event);
                assert_eq!(decision.is_ok(), own || forks, "{head:?} {event} {forks}");
            }
        }
    }

    proptest! {
        #[test]
        fn nobody_whom_a_list_or_a_switch_leaves_out_is_ever_served(
            owners in prop::collection::vec("octo|acme|octo:7|acme:8|\\*", 0..3),
            repositories in prop::collection::vec("octo/hello|octo/x|acme/hello", 0..3),
            (public, internal, private, is_internal) in any::<(bool, bool, bool, bool)>(),
            owner_id in prop::option::of(7_u64..9),
        ) {
            let owners: Vec<&str> = owners.iter().map(String::as_str).collect();
            let repositories: Vec<&str> = repositories.iter().map(String::as_str).collect();
            let mut policy = policy(&owners, &repositories, public);
            policy.internal = internal;
            let about = About { group: None, owner_id, internal: is_internal };
            let served = policy.admit(&job("self-hosted linux", private), &about).is_ok();
            let by_owner = owners.is_empty() || owners.iter().any(|owner| match *owner {
                "*" | "octo" => true,
                "octo:7" => owner_id == Some(7),
                "acme:8" => owner_id == Some(8),
                _ => false,
            });
            let by_repository = repositories.is_empty() || repositories.contains(&"octo/hello");
            let by_visibility = (private || public) && (!is_internal || internal);
            prop_assert_eq!(served, by_owner && by_repository && by_visibility);
        }
    }

    #[test]
    fn jobs_for_githubs_own_runners_are_refused_by_what_they_lack() {
        let refusal = policy(&[], &[], true)
            .admit(&job("ubuntu-latest", true), &About::default())
            .unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the job does not ask for [self-hosted]"
        );
    }

    #[test]
    fn every_required_label_has_to_be_asked_for() {
        let mut policy = policy(&[], &[], true);
        policy.required = "self-hosted fargate".parse().unwrap();
        assert!(
            policy
                .admit(&job("self-hosted linux", true), &About::default())
                .is_err()
        );
        assert!(
            policy
                .admit(&job("Self-Hosted Fargate linux", true), &About::default())
                .is_ok()
        );
    }

    #[test]
    fn a_refusal_says_what_the_job_asks_for_and_what_would_be_served() {
        let mut policy = policy(&[], &[], true);
        policy.required = "self-hosted | group:Build".parse().unwrap();
        let in_group = |group: Option<&str>| About {
            group: group.map(str::to_owned),
            ..About::default()
        };
        let refusal = policy
            .admit(&job("", true), &in_group(Some("GPU")))
            .unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the job asks for [] in the runner group \"GPU\", which is none of REQUIRED_LABELS \
             (self-hosted | group:Build)"
        );
        assert!(policy.admit(&job("", true), &in_group(None)).is_ok());
    }

    #[test]
    fn only_jobs_that_name_githubs_own_runners_raise_no_question() {
        let policy = policy(&[], &[], true);
        for (labels, githubs) in [
            ("ubuntu-latest", true),
            ("Windows-2025", true),
            ("macos-15-xlarge", true),
            ("", false),
            ("dependabot", false),
            ("gpu linux", false),
        ] {
            let refusal = policy
                .admit(&job(labels, true), &About::default())
                .unwrap_err();
            assert_eq!(refusal.is_for_githubs_runners(), githubs, "{labels}");
        }
    }
}
