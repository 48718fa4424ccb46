//! Has GitHub issue installation tokens.

use http::StatusCode;
use protocol::Repository;
use serde::Deserialize;
use serde_json::Value;

use crate::access::Access;
use crate::standing::{Standing, contradicted};
use crate::tokens::{Issue, Token};
use crate::transport::{Answer, Call};
use crate::{Error, GitHub, Scope};

impl GitHub {
    /// The installation's token for an access, issued if need be.
    ///
    /// A request that GitHub refuses twice is held against what it shows of the installation: a
    /// permission that was not granted is named, and a repository that was renamed is asked for by
    /// its id. Both come as 422, told apart by GitHub's words ([report]); what nothing explains is
    /// [`Error::Unavailable`].
    ///
    /// [report]: https://github.com/nearform/lastlight/issues/214
    pub(crate) async fn token(&self, installation: u64, access: &Access) -> Result<Issue, Error> {
        let slot = self.tokens().slot(installation, access);
        let mut held = slot.lock().await;
        if let Some(token) = held.as_ref().filter(|token| token.is_fresh()) {
            return Ok(Issue::Token(token.secret()));
        }
        let mut call = request(installation, access.request());
        let mut answer = self.as_app(&call).await?;
        if answer.status.is_client_error() {
            let permissions = match self.standing(installation).await? {
                Standing::Gone => return Ok(Issue::Gone),
                Standing::Suspended => return Err(self.suspended(installation, &call, &answer)),
                Standing::Granted(permissions) => permissions,
            };
            answer = self.as_app(&call).await?;
            if answer.status.is_client_error() && !access.permission().is_granted(&permissions) {
                return Err(Error::Refused {
                    call: call.to_string(),
                    status: answer.status.as_u16(),
                    message: answer.message(),
                    advice: self.not_granted(installation, access.permission()),
                });
            }
        }
        if let Some(repository) = access.repository().filter(|_| names_a_repository(&answer)) {
            let scope = Scope::Repository(repository.clone());
            match self.look_up(&scope).await {
                Ok(id) if id == installation => {}
                Ok(other) => return Ok(Issue::OutOfReach(Some(other))),
                Err(Error::AppNotInstalled { .. }) => return Ok(Issue::OutOfReach(None)),
                Err(error) => return Err(error),
            }
            // It includes the repository, by another name.
            let id = Box::pin(self.id_of(installation, repository)).await?;
            call = request(installation, access.request_by_id(id));
            answer = self.as_app(&call).await?;
        }
        if answer.status.is_client_error() {
            return Err(contradicted(&call, &answer));
        }
        let token: Token = answer.json(&call)?;
        let secret = token.secret();
        *held = Some(token);
        Ok(Issue::Token(secret))
    }

    /// The id of a repository, which stays when it is renamed ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/repos/repos#get-a-repository
    async fn id_of(&self, installation: u64, repository: &Repository) -> Result<u64, Error> {
        #[derive(Deserialize)]
        struct Shown {
            id: u64,
        }
        let call = Call::get(format!("/repos/{repository}"));
        let answer = self.installation(installation).call(&call).await?;
        if answer.status.is_client_error() {
            return Err(contradicted(&call, &answer));
        }
        Ok(answer.json::<Shown>(&call)?.id)
    }
}

/// A second token beside one whose answer was lost does no harm.
fn request(installation: u64, body: Value) -> Call {
    let call = Call::post(format!("/app/installations/{installation}/access_tokens"));
    call.body(body).repeatable()
}

/// Whether GitHub refused a token for the repository that was named.
fn names_a_repository(answer: &Answer) -> bool {
    answer.status == StatusCode::UNPROCESSABLE_ENTITY
        && answer
            .message()
            .to_ascii_lowercase()
            .contains("repository that does not exist")
}
