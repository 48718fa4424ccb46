//! A call by an installation: its token, and what path and query say.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OriginalUri, Path};
use axum::http::Uri;
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::Value;

use crate::state::accounts::Scope;
use crate::state::refusal::Refusal;
use crate::state::shared::Shared;
use crate::state::token::{Needs, Token};
use crate::state::world::World;
use crate::wire::answer::query;
use crate::wire::auth::installation_token;
use crate::wire::paging;

/// A call by an installation, whose token is valid.
pub(crate) struct Call {
    pub(crate) token: Token,
    pub(crate) uri: Uri,
    place: BTreeMap<String, String>,
}

impl FromRequestParts<Arc<Shared>> for Call {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Arc<Shared>,
    ) -> Result<Self, Self::Rejection> {
        let token = installation_token(shared, &parts.headers)?;
        let place = Path::from_request_parts(parts, shared).await;
        let uri: Result<OriginalUri, Infallible> =
            OriginalUri::from_request_parts(parts, shared).await;
        let Ok(OriginalUri(uri)) = uri;
        Ok(Self {
            token,
            uri,
            place: place.map(|Path(place)| place).unwrap_or_default(),
        })
    }
}

impl Call {
    /// The organization or the repository of the path, where the token may do what is needed.
    pub(crate) fn scope(&self, world: &World, needs: Needs) -> Result<Scope, Refusal> {
        let part = |name: &str| self.place.get(name).map(String::as_str);
        let scope = match (part("org"), part("owner"), part("repo")) {
            (Some(login), ..) => world.directory.scope(login, None),
            (None, Some(owner), Some(name)) => world.directory.scope(owner, Some(name)),
            _ => Err(Refusal::not_found()),
        }?;
        world.authorize(&self.token, &scope, needs)?;
        Ok(scope)
    }

    /// A variable part of the path.
    pub(crate) fn text(&self, name: &str) -> Result<&str, Refusal> {
        self.place
            .get(name)
            .map(String::as_str)
            .ok_or_else(Refusal::not_found)
    }

    /// The same where it is a number.
    pub(crate) fn number(&self, name: &str) -> Result<u64, Refusal> {
        self.text(name)?.parse().map_err(|_| Refusal::not_found())
    }

    /// A parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        query(&self.uri, name)
    }

    /// The wanted page of a list, under its name.
    pub(crate) fn list<T>(
        &self,
        world: &World,
        name: &str,
        items: &[T],
        show: impl FnMut(&T) -> Value,
    ) -> Response {
        paging::list(&world.base, &self.uri, name, items, show)
    }
}
