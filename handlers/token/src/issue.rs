//! Having GitHub issue a runner's registration.

use decisions::size::is_for_a_run;
use github::{Deleted, Error as GitHubError, Installation, JitRequest, JitRunner, Scope};
use protocol::{LabelSet, PlannedRunner, Registration, SELF_HOSTED, TokenRegistration};

use crate::{Deps, Error, Mode};

/// Where a runner works, relative to its home; the runner's own default.
const WORK_FOLDER: &str = "_work";

/// What GitHub issued.
#[derive(Debug)]
pub struct Issued {
    /// The runner's id; none where the runner registers itself.
    pub runner_id: Option<u64>,
    /// What the runner needs to start.
    pub registration: Registration,
}

/// Issues a registration in the group of that id.
pub async fn issue(
    deps: &Deps,
    installation: &Installation,
    scope: &Scope,
    runner: &PlannedRunner,
    group: u64,
) -> Result<Issued, Error> {
    match deps.config.mode {
        Mode::Jit => {
            let jit = jit(deps, installation, scope, runner, group).await?;
            Ok(Issued {
                runner_id: Some(jit.id),
                registration: Registration::Jit(jit.config),
            })
        }
        Mode::Token => {
            let issued = installation.registration_token(scope).await?;
            Ok(Issued {
                runner_id: None,
                registration: Registration::Token(TokenRegistration {
                    url: deps.github.web_url(scope),
                    token: issued.token,
                    name: runner.name.to_string(),
                    labels: labels(&runner.labels).join(","),
                    group: matches!(scope, Scope::Organization(_))
                        .then(|| deps.config.group_of(runner).to_owned()),
                }),
            })
        }
    }
}

/// How often one configuration is asked for: a name may be taken and a refusal be out of date, each
/// once, and the answer to a try may be lost after GitHub registered the runner.
const TRIES: u32 = 4;

/// A just-in-time configuration. Two refusals have a remedy: a name that an earlier try of this
/// attempt left behind is freed, and a group whose remembered id is out of date is looked up again.
/// Any other is asked for once more after a pause; what GitHub refuses twice is looked into.
async fn jit(
    deps: &Deps,
    installation: &Installation,
    scope: &Scope,
    runner: &PlannedRunner,
    group: u64,
) -> Result<JitRunner, Error> {
    let mut request = JitRequest {
        name: runner.name.to_string(),
        runner_group_id: group,
        labels: labels(&runner.labels),
        work_folder: WORK_FOLDER.to_owned(),
    };
    let mut refused = false;
    for _ in 1..TRIES {
        match installation.jit_config(scope, &request).await {
            Err(GitHubError::NameTaken { name, .. }) => {
                free(installation, scope, &name).await?;
            }
            Err(error @ GitHubError::Refused { .. }) if refused => {
                return Err(installation.second_look(scope, error).await.into());
            }
            Err(error @ GitHubError::Refused { .. }) => {
                tracing::warn!(%error, "retrying the registration");
                refused = true;
                // GitHub does not say which part of the request it does not know.
                let name = deps.config.group_of(runner);
                installation.forget_runner_group(scope, name);
                request.runner_group_id = installation.runner_group(scope, name).await?;
                installation.pause().await;
            }
            done => return Ok(done?),
        }
    }
    Ok(installation.jit_config(scope, &request).await?)
}

/// Frees a runner's name. Only an earlier try of the same attempt can have taken it: one that timed
/// out after GitHub had registered the runner.
async fn free(installation: &Installation, scope: &Scope, name: &str) -> Result<(), Error> {
    let Some(runner) = installation.find_runner(scope, name).await? else {
        return Ok(());
    };
    match installation.delete_runner(scope, runner.id).await? {
        Deleted::Gone | Deleted::Absent => {
            tracing::info!(
                runner = name,
                id = runner.id,
                "deleted an earlier registration"
            );
            Ok(())
        }
        Deleted::Busy => Err(Error::NameBusy {
            name: name.to_owned(),
            scope: scope.to_string(),
        }),
    }
}

/// The job's labels and `self-hosted`: GitHub adds no label to a just-in-time runner, and many
/// workflows ask for that one. A job with a label for its run alone gets a runner without it, which no
/// other run's job can be given.
fn labels(wanted: &LabelSet) -> Vec<String> {
    let own = LabelSet::new([SELF_HOSTED]);
    let missing = if wanted.iter().any(|label| is_for_a_run(label.as_str())) {
        LabelSet::default()
    } else {
        wanted.lacking(&own)
    };
    missing
        .iter()
        .chain(wanted.iter())
        .map(|label| label.as_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_carries_its_jobs_labels_and_self_hosted_once() {
        assert_eq!(
            labels(&LabelSet::parse("x64 linux")),
            ["self-hosted", "linux", "x64"]
        );
        assert_eq!(
            labels(&LabelSet::parse("x64 Self-Hosted")),
            ["self-hosted", "x64"]
        );
    }

    #[test]
    fn a_runner_for_a_run_has_no_label_that_other_runs_ask_for() {
        let labels = |text| labels(&LabelSet::parse(text));
        assert_eq!(labels("fargate=99/cpu=4"), ["fargate=99/cpu=4"]);
        assert_eq!(
            labels("fargate=99 self-hosted"),
            ["fargate=99", "self-hosted"]
        );
    }
}
