//! Installation tokens, shared by all clients of an installation that need the same access.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, PoisonError};

use protocol::Secret;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use crate::access::Access;

/// A token is valid for an hour. It is renewed five minutes early, which covers a slow clock and
/// the use of the token after it was read.
const MARGIN: Duration = Duration::minutes(5);

/// A token from GitHub ([answer]).
///
/// [answer]: https://docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app
#[derive(Deserialize)]
pub(crate) struct Token {
    #[serde(rename = "token")]
    secret: Secret,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

impl Token {
    pub(crate) fn secret(&self) -> Secret {
        self.secret.clone()
    }

    pub(crate) fn is_fresh(&self) -> bool {
        OffsetDateTime::now_utc() + MARGIN < self.expires_at
    }
}

/// The result of a token request.
pub(crate) enum Issue {
    Token(Secret),
    /// GitHub knows no such installation.
    Gone,
    /// The installation does not include the repository. The one that does, where there is one.
    OutOfReach(Option<u64>),
}

/// One installation's token for one access. The lock is held while a token is created, so concurrent
/// calls create only one.
pub(crate) type Slot = Arc<Mutex<Option<Token>>>;

/// The tokens of all installations.
#[derive(Default)]
pub(crate) struct Tokens(Lock<HashMap<(u64, Access), Slot>>);

impl Tokens {
    pub(crate) fn slot(&self, installation: u64, access: &Access) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots
            .entry((installation, access.clone()))
            .or_default()
            .clone()
    }

    /// Removes a token that GitHub rejected, unless another caller has renewed it.
    pub(crate) async fn forget(&self, installation: u64, access: &Access, refused: &Secret) {
        let slot = self.slot(installation, access);
        let mut token = slot.lock().await;
        if token.as_ref().is_some_and(|token| token.secret == *refused) {
            *token = None;
        }
    }
}
