//! Installations of the App.

use http::StatusCode;
use protocol::{OwnerType, Repository, RepositoryError};
use serde::Deserialize;

use crate::access::Access;
use crate::encode::encode;
use crate::standing::contradicted;
use crate::tokens::Issue;
use crate::transport::{Answer, Call};
use crate::{Error, GitHub, Installation, Page, Scope};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "WireInstallation")]
pub struct InstallationInfo {
    pub id: u64,
    /// Login of its account.
    pub account: String,
    pub owner_type: OwnerType,
    /// Whether it is suspended; then it rejects every call.
    pub suspended: bool,
}

/// A repository that an installation includes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WireRepository")]
pub struct RepositoryInfo {
    pub repository: Repository,
    /// Whether it is private or internal.
    pub private: bool,
    /// Whether it is internal, if GitHub reports it.
    pub internal: bool,
    /// Its account's id, if GitHub reports it.
    pub owner_id: Option<u64>,
    /// Type of its account.
    pub owner_type: OwnerType,
    /// Whether it is archived; no jobs run there.
    pub archived: bool,
}

impl GitHub {
    /// Acts as the installation that serves a repository: the one `named` in its webhook, otherwise
    /// the one that GitHub returns ([endpoint]). The result is cached; if the App was removed and
    /// installed again, the new installation is looked up.
    ///
    /// Afterwards the token for `access`, which the caller needs first, is cached. Makes no calls if
    /// both are known.
    ///
    /// [endpoint]: https://docs.github.com/rest/apps/apps#get-a-repository-installation-for-the-authenticated-app
    pub async fn serving(
        &self,
        repository: &Repository,
        named: Option<u64>,
        access: &Access,
    ) -> Result<Installation, Error> {
        let scope = Scope::Repository(repository.clone());
        self.installed(&scope, named, access).await
    }

    /// The same for records that can be older than the App's removal: `None` if it is no longer
    /// installed, so that nothing can be read or changed.
    pub async fn still_serving(
        &self,
        repository: &Repository,
        named: Option<u64>,
        access: &Access,
    ) -> Result<Option<Installation>, Error> {
        match self.serving(repository, named, access).await {
            Ok(installation) => Ok(Some(installation)),
            Err(error @ Error::AppNotInstalled { .. }) => {
                tracing::warn!(%error, "skipping: the App is not installed there");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Acts as the installation on an organization ([endpoint]); otherwise as [`Self::serving`].
    ///
    /// [endpoint]: https://docs.github.com/rest/apps/apps#get-an-organization-installation-for-the-authenticated-app
    pub async fn installation_of_org(&self, login: &str) -> Result<Installation, Error> {
        let scope = Scope::Organization(login.to_owned());
        self.installed(&scope, None, &Access::runners(&scope)).await
    }

    async fn installed(
        &self,
        scope: &Scope,
        named: Option<u64>,
        access: &Access,
    ) -> Result<Installation, Error> {
        let mut looked_up = None;
        if let Some(id) = named.or_else(|| self.found(scope)) {
            match self.token(id, access).await? {
                Issue::Token(_) => return Ok(self.installation(id)),
                Issue::Gone => {}
                Issue::OutOfReach(None) => return Err(self.not_installed(scope).await),
                Issue::OutOfReach(other) => looked_up = other,
            }
            tracing::info!(installation = id, %scope, "the cached installation does not serve it any more; looking it up again");
            self.remember(scope, None);
        }
        let id = match looked_up {
            Some(id) => id,
            None => self.look_up(scope).await?,
        };
        if !matches!(self.token(id, access).await?, Issue::Token(_)) {
            return Err(self.not_installed(scope).await);
        }
        self.remember(scope, Some(id));
        Ok(self.installation(id))
    }

    /// The installation that serves there. Its absence counts only if GitHub reports it again after
    /// a delay, and shows the App itself meanwhile.
    pub(crate) async fn look_up(&self, scope: &Scope) -> Result<u64, Error> {
        #[derive(Deserialize)]
        struct Found {
            id: u64,
        }
        let call = Call::get(match scope {
            Scope::Repository(repository) => format!("/repos/{repository}/installation"),
            Scope::Organization(login) => format!("/orgs/{}/installation", encode(login)),
        });
        let mut answer = self.as_app(&call).await?;
        if answer.status.is_client_error() {
            self.pause().await;
            answer = self.as_app(&call).await?;
        }
        if answer.status == StatusCode::NOT_FOUND {
            return Err(self.not_installed(scope).await);
        }
        if answer.status.is_client_error() {
            return Err(contradicted(&call, &answer));
        }
        Ok(answer.json::<Found>(&call)?.id)
    }

    /// The error that the App is not installed there, with the page on which to install it. Asking
    /// the App for that page also detects a wrong App id, which GitHub answers with the same 404,
    /// and an outage that answers 404 to everything.
    async fn not_installed(&self, scope: &Scope) -> Error {
        match self.page().await {
            Ok(page) => Error::AppNotInstalled {
                target: scope.to_string(),
                hint: format!("{page}/installations/new"),
            },
            Err(error) => error,
        }
    }

    /// The error that the App's installation does not include a repository.
    pub(crate) async fn not_installed_at(&self, repository: &Repository) -> Error {
        let scope = Scope::Repository(repository.clone());
        self.not_installed(&scope).await
    }

    /// The App itself ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/apps/apps#get-the-authenticated-app
    pub(crate) async fn page(&self) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Page {
            html_url: String,
        }
        let call = Call::get("/app");
        let answer = self.as_app(&call).await?;
        if answer.status.is_client_error() {
            return Err(contradicted(&call, &answer));
        }
        Ok(answer.json::<Page>(&call)?.html_url)
    }

    /// A page, from 1, of all installations ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/apps/apps#list-installations-for-the-authenticated-app
    pub async fn installations(&self, page: u32) -> Result<Page<InstallationInfo>, Error> {
        let call = Call::get("/app/installations").page(page);
        let answer = self.as_app(&call).await?;
        Ok(Page::new(answer.json(&call)?))
    }
}

impl Installation {
    /// A repository as it is now ([endpoint]). Uses the token that reads its jobs, which the caller has.
    ///
    /// [endpoint]: https://docs.github.com/rest/repos/repos#get-a-repository
    pub async fn repository(&self, repository: &Repository) -> Result<RepositoryInfo, Error> {
        let call = Call::get(format!("/repos/{repository}")).needs(Access::jobs(repository));
        self.settled(&call, Some(repository)).await?.json(&call)
    }

    /// A page, from 1, of the repositories that the installation includes ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/apps/installations#list-repositories-accessible-to-the-app-installation
    pub async fn repositories(&self, page: u32) -> Result<Page<RepositoryInfo>, Error> {
        let call = Call::get("/installation/repositories").page(page);
        listed(&call, &self.settled(&call, None).await?)
    }

    /// The same without a second look, for use within one.
    pub(crate) async fn repositories_once(&self, page: u32) -> Result<Page<RepositoryInfo>, Error> {
        let call = Call::get("/installation/repositories").page(page);
        let answer = self.call(&call).await?;
        if answer.status.is_client_error() {
            return Err(contradicted(&call, &answer));
        }
        listed(&call, &answer)
    }
}

fn listed(call: &Call, answer: &Answer) -> Result<Page<RepositoryInfo>, Error> {
    #[derive(Deserialize)]
    struct List {
        repositories: Vec<RepositoryInfo>,
    }
    Ok(Page::new(answer.json::<List>(call)?.repositories))
}

#[derive(Deserialize)]
struct Account {
    login: String,
    id: Option<u64>,
    #[serde(rename = "type")]
    kind: String,
}

impl Account {
    fn owner_type(&self) -> OwnerType {
        if self.kind == "Organization" {
            OwnerType::Organization
        } else {
            OwnerType::User
        }
    }
}

#[derive(Deserialize)]
struct WireInstallation {
    id: u64,
    account: Account,
    suspended_at: Option<String>,
}

impl From<WireInstallation> for InstallationInfo {
    fn from(wire: WireInstallation) -> Self {
        Self {
            id: wire.id,
            owner_type: wire.account.owner_type(),
            account: wire.account.login,
            suspended: wire.suspended_at.is_some(),
        }
    }
}

#[derive(Deserialize)]
struct WireRepository {
    full_name: String,
    private: bool,
    visibility: Option<String>,
    owner: Account,
    #[serde(default)]
    archived: bool,
}

impl TryFrom<WireRepository> for RepositoryInfo {
    type Error = RepositoryError;

    fn try_from(wire: WireRepository) -> Result<Self, Self::Error> {
        Ok(Self {
            repository: wire.full_name.parse()?,
            private: wire.private,
            internal: wire.visibility.as_deref() == Some("internal"),
            owner_id: wire.owner.id,
            owner_type: wire.owner.owner_type(),
            archived: wire.archived,
        })
    }
}
