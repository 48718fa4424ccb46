//! Registration by `config.sh`: a token for an hour, and any number of runners with it.

use time::{Duration, OffsetDateTime};

use crate::random;
use crate::state::accounts::Scope;
use crate::state::world::World;

/// How long GitHub's registration tokens are valid.
const LIFETIME: Duration = Duration::HOUR;

impl World {
    pub(crate) fn issue_registration_token(&mut self, scope: Scope) -> (String, OffsetDateTime) {
        let token = random::alphanumeric(29).to_uppercase();
        let expires_at = self.now() + LIFETIME;
        self.registration_tokens
            .insert(token.clone(), (scope, expires_at));
        (token, expires_at)
    }
}
