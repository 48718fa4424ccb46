//! The bell of a warm task: how a task that waits without a job is told what to do.
//!
//! A bell is one item of the pool's table, under a key that only its task and its ticket know:
//!
//! | attribute | value |
//! |---|---|
//! | `pk` | `bell#<key>` |
//! | `sk` | `bell` |
//! | `what` | `ring`, `taken` or `leave` |
//! | `parameter`, `runner`, `execution` | of a ring: the path of the registration, and whose it is |
//! | `queued` | of a ring: when GitHub queued the job, in epoch seconds; for the job's summary alone |
//! | `expires` | epoch seconds, for the table's TTL |
//!
//! `decisions::stock` has the values of `what` and who writes them. The names are here and not in the
//! pool's own crate, because the agent links no client configuration of the handlers.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Attributes of every item of the table.
pub const PARTITION_KEY: &str = "pk";
pub const SORT_KEY: &str = "sk";
/// When the table drops the item, in epoch seconds.
pub const EXPIRES: &str = "expires";

/// The sort key of a bell.
pub const BELL: &str = "bell";
/// The attribute with the message.
pub const WHAT: &str = "what";
/// Attributes of a ring: the path of the registration, the runner's name, the execution's name.
pub const PARAMETER: &str = "parameter";
pub const RUNNER: &str = "runner";
pub const EXECUTION: &str = "execution";
/// The attribute of a ring with the time at which the job was queued; an earlier version writes none.
pub const QUEUED: &str = "queued";
/// How long the table keeps a bell after each write: a `taken` one must outlive its task. Whoever
/// writes a bell uses it, because its reader derives from `expires` when it was written.
pub const KEPT: Duration = Duration::from_hours(7 * 24);

/// Environment variables that make a task a warm one.
pub const AGENT_BELL: &str = "AGENT_BELL";
pub const AGENT_TABLE: &str = "AGENT_TABLE";
pub const AGENT_TICKET: &str = "AGENT_TICKET";
pub const AGENT_WARM_LIMIT_SECONDS: &str = "AGENT_WARM_LIMIT_SECONDS";

/// Characters of a key: 128 random bits as hex digits.
const LENGTH: usize = 32;

/// The key of a warm task's bell and the id of its ticket: 128 random bits, so that no job can guess
/// another task's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BellKey(String);

/// Text that is no key of a bell. The text is not repeated, because it may be most of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the key of a bell: use {LENGTH} lower-case hex digits")]
pub struct BellKeyError;

impl BellKey {
    /// Generates an unguessable key.
    pub fn mint() -> Result<Self, getrandom::Error> {
        crate::random::hex().map(Self)
    }

    /// The bell's partition key.
    pub fn partition(&self) -> String {
        format!("bell#{}", self.0)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BellKey {
    type Err = BellKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if crate::random::is_hex(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BellKeyError)
        }
    }
}

impl TryFrom<String> for BellKey {
    type Error = BellKeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<BellKey> for String {
    fn from(key: BellKey) -> Self {
        key.0
    }
}

/// Who knows a key can take the registration that is announced under it, so a log shows only its start.
impl fmt::Debug for BellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BellKey({}…)", self.0.get(..6).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_does_not_show_itself() {
        let key = BellKey::mint().unwrap();
        assert_eq!(key.as_str().parse(), Ok(key.clone()));
        assert_eq!(key.partition(), format!("bell#{}", key.as_str()));
        assert!(!format!("{key:?}").contains(key.as_str()));
        assert_ne!(key, BellKey::mint().unwrap());
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        for text in [
            "",
            "0123",
            "0123456789ABCDEF0123456789ABCDEF",
            "g".repeat(32).as_str(),
        ] {
            let error = text.parse::<BellKey>().unwrap_err();
            assert!(text.is_empty() || !error.to_string().contains(text));
        }
    }
}
