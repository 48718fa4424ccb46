//! Webhooks: on their way, and as GitHub records them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// Whose webhook it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// The App's.
    App,
    /// A repository's.
    Repository,
    /// An organization's.
    Organization,
}

/// One delivery of a webhook, successful or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its number; a redelivery has its own.
    pub id: u64,
    /// `X-GitHub-Delivery`; a redelivery has the same.
    pub guid: String,
    /// When it was sent.
    pub delivered_at: String,
    /// Whether it was asked for.
    pub redelivery: bool,
    /// How long the receiver took, in seconds.
    pub duration: f64,
    /// `OK`, or what went wrong.
    pub status: String,
    /// The receiver's status; 502 without a connection, 504 after the time limit.
    pub status_code: u16,
    /// `workflow_job` or `ping`.
    pub event: String,
    /// `queued`, `waiting`, `in_progress` or `completed`.
    pub action: Option<String>,
    /// The installation that the payload names.
    pub installation_id: Option<u64>,
    /// The repository of the payload.
    pub repository_id: Option<u64>,
    /// Whose webhook it is.
    pub hook: Hook,
    /// The id of the App, the repository or the organization.
    pub hook_target: u64,
    /// The job it tells about.
    pub job: Option<u64>,
}

/// A delivery with what went over the wire. Apart, because a list of these is large.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// The delivery.
    pub delivery: Delivery,
    /// What was sent with it.
    pub request_headers: BTreeMap<String, String>,
    /// The body, byte for byte.
    pub payload: String,
    /// What the receiver answered with.
    pub response_headers: BTreeMap<String, String>,
    /// What the receiver answered, the first part.
    pub response: String,
}

impl Delivery {
    /// Whether the receiver took it.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status_code)
    }
}

/// A webhook on its way.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) exchange: Exchange,
    pub(crate) url: String,
    pub(crate) host: Option<String>,
    pub(crate) limit: Duration,
    /// What does not arrive, and the status GitHub notes for it.
    pub(crate) lost: Option<u16>,
    pub(crate) delay: Duration,
    pub(crate) copies: u32,
    /// The one before it about the same job.
    pub(crate) previous: Option<oneshot::Receiver<()>>,
    /// Dropped when this one is done.
    pub(crate) done: Option<oneshot::Sender<()>>,
}
