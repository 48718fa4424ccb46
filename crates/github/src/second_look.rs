//! Whether to trust a rejection.
//!
//! During outages GitHub has answered 401, 403, 404 and 422 to calls that succeeded a minute
//! before. So a rejection is permanent only if it repeats after a delay and the App, its
//! installation and its permissions explain it. An unexplained rejection is transient.

use std::collections::BTreeMap;

use http::StatusCode;
use protocol::Repository;
use serde::Deserialize;

use crate::installations::RepositoryInfo;
use crate::permission::Permission;
use crate::standing::{Standing, contradicted, unexplained};
use crate::transport::{Answer, Call};
use crate::{Error, GitHub, Installation, Page, Scope};

/// Reads at most 10,000 repositories of an installation.
const MOST_PAGES: u32 = 100;

impl GitHub {
    /// Reads an installation as the App ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/apps/apps#get-an-installation-for-the-authenticated-app
    pub(crate) async fn standing(&self, installation: u64) -> Result<Standing, Error> {
        #[derive(Deserialize)]
        struct Shown {
            suspended_at: Option<String>,
            #[serde(default)]
            permissions: BTreeMap<String, String>,
        }
        let call = Call::get(format!("/app/installations/{installation}"));
        let mut answer = self.as_app(&call).await?;
        if !answer.status.is_success() {
            self.pause().await;
            answer = self.as_app(&call).await?;
        }
        if answer.status == StatusCode::NOT_FOUND {
            self.page().await?;
            return Ok(Standing::Gone);
        }
        if answer.status.is_client_error() {
            return Err(contradicted(&call, &answer));
        }
        let shown: Shown = answer.json(&call)?;
        Ok(match shown.suspended_at {
            Some(_) => Standing::Suspended,
            None => Standing::Granted(shown.permissions),
        })
    }

    /// The error that a call was rejected because the installation is suspended.
    pub(crate) fn suspended(&self, installation: u64, call: &Call, answer: &Answer) -> Error {
        Error::Refused {
            call: call.to_string(),
            status: answer.status.as_u16(),
            message: answer.message(),
            advice: self.unsuspend(installation),
        }
    }

    /// What to do about a permission that the installation was not granted.
    pub(crate) fn not_granted(&self, installation: u64, needs: Permission) -> String {
        format!(
            "; the App needs {needs} and installation {installation} lacks it: grant it in the App's settings and accept the change for the installation at {}",
            self.page_of_app()
        )
    }

    fn unsuspend(&self, installation: u64) -> String {
        format!(
            "; installation {installation} of the App is suspended: unsuspend it at {}",
            self.page_of_app()
        )
    }
}

impl Installation {
    /// Makes a call whose rejection would stop a job. A rejected call is repeated after a delay,
    /// and a second rejection is compared with the App's permissions.
    pub(crate) async fn settled(
        &self,
        call: &Call,
        repository: Option<&Repository>,
    ) -> Result<Answer, Error> {
        self.settled_but(call, repository, &[]).await
    }

    /// The same, but some statuses are regular results of this call.
    pub(crate) async fn settled_but(
        &self,
        call: &Call,
        repository: Option<&Repository>,
        answers: &[StatusCode],
    ) -> Result<Answer, Error> {
        let is_refused =
            |answer: &Answer| answer.status.is_client_error() && !answers.contains(&answer.status);
        let answer = self.call(call).await?;
        if !is_refused(&answer) {
            return Ok(answer);
        }
        self.github.pause().await;
        let again = self.call(call).await?;
        if !is_refused(&again) {
            return Ok(again);
        }
        Err(self.explain(call, &again, repository).await)
    }

    /// Classifies a second rejection of [`Self::jit_config`].
    pub async fn second_look(&self, scope: &Scope, refused: Error) -> Error {
        let Error::Refused {
            call,
            status,
            message,
            ..
        } = &refused
        else {
            return refused;
        };
        let refusal = Refusal {
            call,
            status: *status,
            message,
            needs: Some(scope.runner_permission()),
        };
        self.judge(refusal, scope.repository()).await
    }

    /// Waits before a rejected call is repeated.
    pub async fn pause(&self) {
        self.github.pause().await;
    }

    /// Classifies a second rejection.
    pub(crate) async fn explain(
        &self,
        call: &Call,
        answer: &Answer,
        repository: Option<&Repository>,
    ) -> Error {
        let refusal = Refusal {
            call: &call.to_string(),
            status: answer.status.as_u16(),
            message: &answer.message(),
            needs: call.permission(),
        };
        self.judge(refusal, repository).await
    }

    async fn judge(&self, refusal: Refusal<'_>, repository: Option<&Repository>) -> Error {
        let permissions = match self.github.standing(self.id()).await {
            Ok(Standing::Gone) => return self.gone(),
            Ok(Standing::Suspended) => {
                return refusal.permanent(self.github.unsuspend(self.id()));
            }
            Ok(Standing::Granted(permissions)) => permissions,
            Err(error) => return error,
        };
        if let Some(needs) = refusal.needs.filter(|it| !it.is_granted(&permissions)) {
            return refusal.permanent(self.github.not_granted(self.id(), needs));
        }
        // GitHub's verdict on a malformed request does not change, and an owner's policy is not a
        // permission of the App.
        if matches!(refusal.status, 400 | 422) || names_a_policy(refusal.message) {
            return refusal.permanent(String::new());
        }
        if let Some(repository) = repository
            && matches!(refusal.status, 403 | 404)
        {
            match self.is_out_of_reach(repository).await {
                Ok(false) => {}
                Ok(true) => return self.github.not_installed_at(repository).await,
                Err(error) => return error,
            }
        }
        refusal.transient()
    }

    /// Whether the installation cannot see a repository: GitHub hides it, and the installation does
    /// not include it.
    async fn is_out_of_reach(&self, repository: &Repository) -> Result<bool, Error> {
        let call = Call::get(format!("/repos/{repository}"));
        let shown = self.call(&call).await?;
        if !matches!(shown.status.as_u16(), 403 | 404) {
            return Ok(false);
        }
        Ok(!self.includes(repository).await?)
    }

    /// Whether the installation's list has this repository.
    pub(crate) async fn includes(&self, repository: &Repository) -> Result<bool, Error> {
        let wanted = repository.to_string();
        for page in 1..=MOST_PAGES {
            let Page { items, more } = self.repositories_once(page).await?;
            let is_it =
                |info: &RepositoryInfo| info.repository.to_string().eq_ignore_ascii_case(&wanted);
            if items.iter().any(is_it) {
                return Ok(true);
            }
            if !more {
                return Ok(false);
            }
        }
        // The list was not read completely, so the repository may be missing from it.
        Ok(true)
    }
}

/// A call that was rejected twice.
struct Refusal<'a> {
    call: &'a str,
    status: u16,
    message: &'a str,
    needs: Option<Permission>,
}

impl Refusal<'_> {
    fn permanent(&self, advice: String) -> Error {
        Error::Refused {
            call: self.call.to_owned(),
            status: self.status,
            message: self.message.to_owned(),
            advice,
        }
    }

    fn transient(&self) -> Error {
        Error::Unavailable {
            call: self.call.to_owned(),
            reason: unexplained(self.status, self.message),
        }
    }
}

/// Whether GitHub's message says that the owner disabled self-hosted runners. No permission of the
/// App shows that; another system got it as a 403 ([report]).
///
/// [report]: https://github.com/runs-on/runs-on/issues/417
fn names_a_policy(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("self-hosted runners are disabled")
        || message.contains("self-hosted runners have been disabled")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_policy_against_self_hosted_runners_is_one() {
        assert!(names_a_policy(
            "Repository level self-hosted runners are disabled on this repository."
        ));
        for message in ["Resource not accessible by integration", "Not Found", ""] {
            assert!(!names_a_policy(message), "{message}");
        }
    }
}
