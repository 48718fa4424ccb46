//! Who is calling.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::state::refusal::Refusal;
use crate::state::shared::Shared;
use crate::state::token::Token;
use crate::state::world::World;

/// The token of the `Authorization` header, with either of GitHub's schemes.
pub(crate) fn presented(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token"))
        .then_some(token.trim())
}

/// The App, by its JWT.
pub(crate) struct AppCaller;

impl FromRequestParts<Arc<Shared>> for AppCaller {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Arc<Shared>,
    ) -> Result<Self, Self::Rejection> {
        shared.note(|world| check_app(world, &parts.headers))?;
        Ok(Self)
    }
}

fn check_app(world: &mut World, headers: &HeaderMap) -> Result<(), Refusal> {
    let token = presented(headers)
        .ok_or_else(|| Refusal::unauthorized("A JSON web token could not be decoded"))?;
    world.app.check(token, world.now().unix_timestamp())?;
    let first = world.tokens.see_jwt(token);
    if !first && world.settings.refuse_repeated_jwt {
        return Err(Refusal::new(404, "Integration not found"));
    }
    Ok(())
}

/// The token of the installation that calls, if it is still worth something.
pub(crate) fn installation_token(shared: &Shared, headers: &HeaderMap) -> Result<Token, Refusal> {
    let text =
        presented(headers).ok_or_else(|| Refusal::unauthorized("Requires authentication"))?;
    shared.read(|world| world.valid_token(text))
}
