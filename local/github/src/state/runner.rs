//! Self-hosted runners: what GitHub knows of one.

use std::time::Instant;

use protocol::LabelSet;
use serde::{Deserialize, Serialize};

use crate::state::accounts::Scope;
use crate::state::jit::Credential;

/// A registered runner, for a look from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runner {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// `owner/name` or the organization it is registered at.
    pub scope: String,
    /// In lower case, sorted.
    pub labels: Vec<String>,
    /// Its group.
    pub group_id: u64,
    /// Whether its listener is connected.
    pub online: bool,
    /// Whether it has a job.
    pub busy: bool,
    /// That job, begun or only leased.
    pub job: Option<u64>,
    /// Its version, once it has connected.
    pub version: Option<String>,
    /// Whether it ends with its first job.
    pub ephemeral: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct RunnerEntry {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) scope: Scope,
    pub(crate) group_id: u64,
    pub(crate) labels: LabelSet,
    pub(crate) ephemeral: bool,
    pub(crate) credential: Credential,
    pub(crate) job: Option<u64>,
    pub(crate) session: Option<String>,
    /// Since when it has been idle and connected.
    pub(crate) idle_since: Option<Instant>,
    /// When it was last heard of, if it has gone without a word.
    pub(crate) lost_at: Option<Instant>,
    /// Until when it does not hear of the job that was leased to it.
    pub(crate) held_until: Option<Instant>,
    pub(crate) version: Option<String>,
}

impl RunnerEntry {
    pub(crate) fn view(&self) -> Runner {
        Runner {
            id: self.id,
            name: self.name.clone(),
            scope: self.scope.as_str().to_owned(),
            labels: self.labels.iter().map(ToString::to_string).collect(),
            group_id: self.group_id,
            online: self.session.is_some(),
            busy: self.job.is_some(),
            job: self.job,
            version: self.version.clone(),
            ephemeral: self.ephemeral,
        }
    }

    /// Whether it is time that it hears of its job.
    pub(crate) fn hears(&self, now: Instant) -> bool {
        self.held_until.is_some_and(|until| until <= now)
    }

    /// Whether GitHub counts it as busy: not before it has heard of its job.
    pub(crate) fn is_busy(&self) -> bool {
        self.job.is_some() && self.held_until.is_none()
    }
}

/// What a runner is registered with.
pub(crate) struct Registration {
    pub(crate) name: String,
    pub(crate) group_id: u64,
    pub(crate) labels: Vec<String>,
    pub(crate) ephemeral: bool,
}
