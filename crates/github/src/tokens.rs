//! Installation tokens, shared by everybody who acts as the same installation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, PoisonError};

use protocol::Secret;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

/// A token lives for an hour. It is renewed five minutes before, which covers a clock that runs
/// behind and whatever is done with the token once it was taken.
const MARGIN: Duration = Duration::minutes(5);

/// A token that GitHub issued ([answer]).
///
/// [answer]: https://docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app
#[derive(Deserialize)]
pub(crate) struct Token {
    #[serde(rename = "token")]
    secret: Secret,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// What the token may do, such as `checks` → `write`.
    #[serde(default)]
    permissions: HashMap<String, String>,
}

impl Token {
    pub(crate) fn secret(&self) -> Secret {
        self.secret.clone()
    }

    pub(crate) fn may_write(&self, permission: &str) -> bool {
        let level = self.permissions.get(permission).map(String::as_str);
        matches!(level, Some("write" | "admin"))
    }

    pub(crate) fn is_fresh(&self) -> bool {
        OffsetDateTime::now_utc() + MARGIN < self.expires_at
    }
}

/// One installation's token. Whoever finds it missing holds the lock while it is issued, so that
/// concurrent calls cost one token.
pub(crate) type Slot = Arc<Mutex<Option<Token>>>;

/// The tokens of all installations.
#[derive(Default)]
pub(crate) struct Tokens(Lock<HashMap<u64, Slot>>);

impl Tokens {
    pub(crate) fn slot(&self, installation: u64) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(installation).or_default().clone()
    }

    /// Forgets a token that GitHub refused, unless somebody has renewed it meanwhile.
    pub(crate) async fn forget(&self, installation: u64, refused: &Secret) {
        let slot = self.slot(installation);
        let mut token = slot.lock().await;
        if token.as_ref().is_some_and(|token| token.secret == *refused) {
            *token = None;
        }
    }
}
