//! Self-hosted runners: register, find, delete.

use std::fmt;

use http::StatusCode;
use protocol::{LabelSet, Secret};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use crate::access::Access;
use crate::page::PAGE_SIZE;
use crate::transport::{Call, unavailable};
use crate::{Error, Installation, Page, Scope};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "WireRunner")]
pub struct Runner {
    pub id: u64,
    pub name: String,
    /// Whether its listener is connected.
    pub online: bool,
    /// Whether it runs a job.
    pub busy: bool,
    pub labels: LabelSet,
}

/// A just-in-time runner to register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JitRequest {
    /// Unique in its scope.
    pub name: String,
    /// Runner group; 1 at a repository.
    pub runner_group_id: u64,
    /// All its labels: GitHub adds none, not even `self-hosted`.
    pub labels: Vec<String>,
    /// Work directory, relative to its home.
    pub work_folder: String,
}

/// A registered just-in-time runner that waits for its listener.
#[derive(Clone, PartialEq, Eq)]
pub struct JitRunner {
    pub id: u64,
    /// Configuration for its listener, usable once.
    pub config: Secret,
}

impl fmt::Debug for JitRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JitRunner")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Credential for `config.sh`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RegistrationToken {
    pub token: Secret,
    /// Valid for an hour.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

/// Result of a runner's deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// Deleted (204).
    Gone,
    /// No runner with that id (404).
    Absent,
    /// It runs a job, so GitHub keeps it (422).
    Busy,
}

impl Installation {
    /// Registers a just-in-time runner ([repository], [organization]).
    /// A name in use is [`Error::NameTaken`], also if GitHub acted on an earlier try whose response
    /// was lost. A rejection is only GitHub's first answer: retry after [`Self::pause`] and let
    /// [`Self::second_look`] decide about the second one.
    ///
    /// [repository]: https://docs.github.com/rest/actions/self-hosted-runners#create-configuration-for-a-just-in-time-runner-for-a-repository
    /// [organization]: https://docs.github.com/rest/actions/self-hosted-runners#create-configuration-for-a-just-in-time-runner-for-an-organization
    pub async fn jit_config(
        &self,
        scope: &Scope,
        request: &JitRequest,
    ) -> Result<JitRunner, Error> {
        #[derive(Deserialize)]
        struct Issued {
            runner: Id,
            encoded_jit_config: Secret,
        }
        #[derive(Deserialize)]
        struct Id {
            id: u64,
        }
        let call = Call::post(scope.actions("runners/generate-jitconfig"))
            .body(json!(request))
            .needs(Access::runners(scope))
            .repeatable();
        let answer = self.call(&call).await?;
        if answer.status == StatusCode::CONFLICT {
            return Err(Error::NameTaken {
                name: request.name.clone(),
                scope: scope.to_string(),
            });
        }
        let issued: Issued = answer.json(&call)?;
        Ok(JitRunner {
            id: issued.runner.id,
            config: issued.encoded_jit_config,
        })
    }

    /// Creates a registration token, for servers without just-in-time runners ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/actions/self-hosted-runners#create-a-registration-token-for-a-repository
    pub async fn registration_token(&self, scope: &Scope) -> Result<RegistrationToken, Error> {
        let call = Call::post(scope.actions("runners/registration-token"))
            .needs(Access::runners(scope))
            .repeatable();
        self.settled(&call, scope.repository()).await?.json(&call)
    }

    /// The runner with exactly this name.
    pub async fn find_runner(&self, scope: &Scope, name: &str) -> Result<Option<Runner>, Error> {
        let call = Call::get(scope.actions("runners"))
            .with("name", name)
            .with("per_page", &PAGE_SIZE.to_string());
        let runners = self.list(scope, call).await?;
        // GitHub does not document its comparison, and older servers ignore the parameter.
        Ok(runners.into_iter().find(|runner| runner.name == name))
    }

    /// A page, from 1, of all runners ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/actions/self-hosted-runners#list-self-hosted-runners-for-a-repository
    pub async fn runners(&self, scope: &Scope, page: u32) -> Result<Page<Runner>, Error> {
        let call = Call::get(scope.actions("runners")).page(page);
        self.list(scope, call).await.map(Page::new)
    }

    /// Deletes a runner ([endpoint]). GitHub keeps one that runs a job. If GitHub deleted it and
    /// the response was lost, the retry finds it absent, which stops no task. A 404 counts only if
    /// GitHub does not show the runner either: otherwise it would stay registered.
    ///
    /// [endpoint]: https://docs.github.com/rest/actions/self-hosted-runners#delete-a-self-hosted-runner-from-a-repository
    pub async fn delete_runner(&self, scope: &Scope, runner: u64) -> Result<Deleted, Error> {
        let call =
            Call::delete(scope.actions(&format!("runners/{runner}"))).needs(Access::runners(scope));
        let answers = [StatusCode::NOT_FOUND, StatusCode::UNPROCESSABLE_ENTITY];
        let answer = self
            .settled_but(&call, scope.repository(), &answers)
            .await?;
        match answer.status {
            StatusCode::NOT_FOUND if self.is_shown(scope, runner).await? => Err(unavailable(
                &call,
                "404 for a runner that GitHub still shows".to_owned(),
            )),
            StatusCode::NOT_FOUND => Ok(Deleted::Absent),
            StatusCode::UNPROCESSABLE_ENTITY => Ok(Deleted::Busy),
            _ => answer.success(&call).map(|()| Deleted::Gone),
        }
    }

    /// Whether GitHub shows the runner ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/actions/self-hosted-runners#get-a-self-hosted-runner-for-a-repository
    async fn is_shown(&self, scope: &Scope, runner: u64) -> Result<bool, Error> {
        let call =
            Call::get(scope.actions(&format!("runners/{runner}"))).needs(Access::runners(scope));
        let answers = [StatusCode::NOT_FOUND];
        let answer = self
            .settled_but(&call, scope.repository(), &answers)
            .await?;
        Ok(answer.status.is_success())
    }

    async fn list(&self, scope: &Scope, call: Call) -> Result<Vec<Runner>, Error> {
        #[derive(Deserialize)]
        struct List {
            runners: Vec<Runner>,
        }
        let call = call.needs(Access::runners(scope));
        let list: List = self.settled(&call, scope.repository()).await?.json(&call)?;
        Ok(list.runners)
    }
}

#[derive(Deserialize)]
struct WireRunner {
    id: u64,
    name: String,
    status: String,
    busy: bool,
    #[serde(default)]
    labels: Vec<WireLabel>,
}

#[derive(Deserialize)]
struct WireLabel {
    name: String,
}

impl From<WireRunner> for Runner {
    fn from(wire: WireRunner) -> Self {
        Self {
            id: wire.id,
            name: wire.name,
            online: wire.status == "online",
            busy: wire.busy,
            labels: LabelSet::new(wire.labels.into_iter().map(|label| label.name)),
        }
    }
}
