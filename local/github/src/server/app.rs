//! The App: its keys, its webhook, and what can be set.

use crate::config::{Settings, WebhookTarget};
use crate::server::Server;
use crate::state::app::public_half;
use crate::state::refusal::Rejected;
use crate::state::world::World;

impl Server {
    /// The App's number.
    pub fn app_id(&self) -> u64 {
        self.shared.read(|world| world.app.id)
    }

    /// The secret that signs webhooks.
    pub fn webhook_secret(&self) -> String {
        self.shared.read(|world| world.webhook_secret.clone())
    }

    /// From now on webhooks are signed with this secret.
    pub fn set_webhook_secret(&self, secret: &str) {
        self.shared
            .note(|world| secret.clone_into(&mut world.webhook_secret));
    }

    /// Where webhooks go from now on; nowhere if nothing is given.
    pub fn set_webhook(&self, target: Option<WebhookTarget>) {
        self.shared.note(|world| world.webhook = target);
    }

    /// Changes the App's webhook, as its settings page does.
    pub fn set_hook(&self, url: &str, content_type: &str) {
        self.shared.note(|world| {
            world.app.hook.url = Some(url.to_owned());
            content_type.clone_into(&mut world.app.hook.content_type);
        });
    }

    /// Where organizations' webhooks go from now on; where all go if nothing is given.
    pub fn set_organization_webhook(&self, target: Option<WebhookTarget>) {
        self.shared
            .note(|world| world.organization_webhook = target);
    }

    /// What can be changed, as it is.
    pub fn settings(&self) -> Settings {
        self.shared.read(|world| world.settings.clone())
    }

    /// Changes settings.
    pub fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        self.shared.change(|world| world.change_settings(change));
    }

    /// Gives the App a further key, as its settings page does; a private key in PEM.
    ///
    /// # Errors
    ///
    /// It is not one.
    pub fn add_app_key(&self, pem: &str) -> Result<(), Rejected> {
        let key = public_half(pem).map_err(Rejected::invalid)?;
        self.shared.note(|world| world.app.keys.push(key));
        Ok(())
    }

    /// Deletes a key of the App.
    ///
    /// # Errors
    ///
    /// It is not a private key in PEM.
    pub fn delete_app_key(&self, pem: &str) -> Result<(), Rejected> {
        let key = public_half(pem).map_err(Rejected::invalid)?;
        self.shared
            .note(|world| world.app.keys.retain(|known| *known != key));
        Ok(())
    }

    /// Makes every installation token worthless, as if its hour were over.
    pub fn expire_tokens(&self) {
        self.shared.note(|world| world.tokens.expire_all());
    }

    /// Sends a `ping`.
    pub fn ping(&self) {
        self.shared.change(World::ping);
    }
}
