//! Apps that are made from a manifest:
//! <https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>.

use std::collections::BTreeMap;

use serde::Deserialize;
use time::OffsetDateTime;

use crate::state::installation::Access;

/// What a form posts as `manifest`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) name: Option<String>,
    /// The App's home page.
    pub(crate) url: String,
    pub(crate) hook_attributes: Option<HookAttributes>,
    pub(crate) redirect_url: String,
    #[serde(default)]
    pub(crate) public: bool,
    #[serde(default)]
    pub(crate) default_permissions: BTreeMap<String, Access>,
    #[serde(default)]
    pub(crate) default_events: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct HookAttributes {
    pub(crate) url: String,
}

/// A manifest that its owner confirmed.
#[derive(Clone, Debug)]
pub(crate) struct Confirmed {
    pub(crate) manifest: Manifest,
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) at: OffsetDateTime,
}

impl Manifest {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let manifest: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        // `workflow_job` is sent only to Apps that may read Actions.
        let may_read = manifest.default_permissions.contains_key("actions");
        if manifest
            .default_events
            .iter()
            .any(|event| event == "workflow_job")
            && !may_read
        {
            return Err("Default events unsupported: workflow_job".to_owned());
        }
        Ok(manifest)
    }
}
