//! Makes an App of a manifest that its owner confirmed.

use time::Duration;

use crate::config::WebhookTarget;
use crate::random;
use crate::state::app::{AppIdentity, HookConfig};
use crate::state::installation::Access;
use crate::state::manifest::{Confirmed, Manifest};
use crate::state::refusal::Refusal;
use crate::state::world::World;

/// How long a code is valid.
const CODE_LIFETIME: Duration = Duration::hours(1);

/// The longest name of an App.
const NAME_LIMIT: usize = 34;

impl World {
    /// The owner confirms a manifest: the code with which the App is fetched.
    pub(crate) fn confirm(
        &mut self,
        manifest: Manifest,
        owner: &str,
        name: &str,
    ) -> Result<String, String> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > NAME_LIMIT {
            return Err(format!("Name must have 1 to {NAME_LIMIT} characters"));
        }
        let code = random::alphanumeric(40).to_lowercase();
        let confirmed = Confirmed {
            manifest,
            name: name.to_owned(),
            owner: owner.to_owned(),
            at: self.now(),
        };
        self.manifests.insert(code.clone(), confirmed);
        Ok(code)
    }

    /// Makes the App of a code, which works once and for an hour. The App takes the place of the one
    /// that was, and has its key: a stand-in has one App.
    pub(crate) fn convert(&mut self, code: &str) -> Result<(), Refusal> {
        let confirmed = self
            .manifests
            .remove(code)
            .filter(|confirmed| self.now() - confirmed.at < CODE_LIFETIME)
            .ok_or_else(Refusal::not_found)?;
        let manifest = confirmed.manifest;
        let slug = confirmed.name.to_lowercase().replace(' ', "-");
        let client_id = format!("Iv23li{}", random::alphanumeric(14));
        let mut permissions = manifest.default_permissions;
        permissions.insert("metadata".to_owned(), Access::Read);
        self.directory.change_app(permissions.clone());
        self.app = AppIdentity {
            owner: confirmed.owner,
            external_url: manifest.url,
            public: manifest.public,
            permissions,
            events: manifest.default_events,
            hook: HookConfig {
                url: manifest.hook_attributes.map(|hook| hook.url),
                ..HookConfig::default()
            },
            ..AppIdentity::new(self.id(), &client_id, &slug)
        };
        self.webhook_secret = random::alphanumeric(40).to_lowercase();
        if let Some(url) = self.app.hook.url.clone() {
            self.send_hooks_to(&url);
        }
        Ok(())
    }

    /// Webhooks go to another address. The target of a local engine's function URL, whose host name
    /// leads nowhere, stays what it is.
    pub(crate) fn send_hooks_to(&mut self, url: &str) {
        let host = url.split("://").nth(1).unwrap_or(url).split('/').next();
        let known = self
            .webhook
            .as_ref()
            .is_some_and(|target| target.host.as_deref() == host);
        if !known {
            self.webhook = Some(WebhookTarget {
                url: url.to_owned(),
                host: None,
            });
        }
    }
}
