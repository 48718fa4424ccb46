//! The App's installation on an account, and what it was granted there.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::state::accounts::OwnerType;

/// How far a permission of an installation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// To look.
    Read,
    /// To look and to change.
    Write,
}

#[derive(Clone, Debug)]
pub(crate) struct Installation {
    pub(crate) id: u64,
    pub(crate) login: String,
    pub(crate) kind: OwnerType,
    pub(crate) account_id: u64,
    pub(crate) permissions: BTreeMap<String, Access>,
    pub(crate) suspended: bool,
    /// Repositories (`owner/name` in lower case) that it does not include.
    pub(crate) excluded: BTreeSet<String>,
}

impl Installation {
    /// Whether it includes a repository of its account.
    pub(crate) fn includes(&self, full_name: &str) -> bool {
        !self.excluded.contains(&full_name.to_lowercase())
    }
}
