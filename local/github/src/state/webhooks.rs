//! Webhooks: written, signed and put into the outbox.
//! <https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries>,
//! <https://docs.github.com/webhooks/webhook-events-and-payloads#delivery-headers>

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::sync::oneshot;

use crate::config::WebhookTarget;
use crate::faults::DeliveryFaultKind;
use crate::random;
use crate::state::delivery::{Delivery, Exchange, Hook, Outgoing};
use crate::state::job::Via;
use crate::state::shapes::event::job_event;
use crate::state::world::World;

/// The value of `X-Hub-Signature-256`: `sha256=` and the HMAC-SHA256 of the body in hexadecimal.
pub fn sign(secret: &str, body: &[u8]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    digest.iter().fold("sha256=".to_owned(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl World {
    /// Tells about a job, on each of its webhooks.
    pub(crate) fn tell(&mut self, job: u64, action: &str) {
        let Some(entry) = self.jobs.get(&job) else {
            return;
        };
        let hooks: &[Hook] = match entry.job.via {
            Via::App => &[Hook::App],
            Via::Repository => &[Hook::Repository],
            Via::Organization => &[Hook::Organization],
            Via::AppAndRepository => &[Hook::App, Hook::Repository],
            Via::AppAndOrganization => &[Hook::App, Hook::Organization],
        };
        let job_now = entry.job.clone();
        for hook in hooks {
            let Some(event) = job_event(self, &job_now, action, *hook) else {
                continue;
            };
            let fault = self.take_delivery_fault(action, job);
            let delivery = Delivery {
                installation_id: event.installation,
                repository_id: Some(event.repository),
                hook: *hook,
                hook_target: event.target,
                job: Some(job),
                action: Some(action.to_owned()),
                ..self.blank("workflow_job")
            };
            let payload = event.payload.to_string();
            self.send(delivery, payload, Some(job), fault.as_ref());
        }
    }

    /// GitHub's first webhook after an App was set up.
    pub(crate) fn ping(&mut self) {
        let payload = serde_json::json!({
            "zen": "Keep it logically awesome.",
            "hook_id": self.app.id,
            "hook": { "type": "App", "id": self.app.id, "active": true, "events": ["workflow_job"], "app_id": self.app.id },
        });
        let delivery = self.blank("ping");
        self.send(delivery, payload.to_string(), None, None);
    }

    /// A delivery of the App's that was not sent yet.
    fn blank(&mut self, event: &str) -> Delivery {
        Delivery {
            id: self.delivery_id(),
            guid: random::uuid(),
            delivered_at: String::new(),
            redelivery: false,
            duration: 0.0,
            status: String::new(),
            status_code: 0,
            event: event.to_owned(),
            action: None,
            installation_id: None,
            repository_id: None,
            hook: Hook::App,
            hook_target: self.app.id,
            job: None,
        }
    }

    /// Sends a recorded delivery again. Whether there is such a one.
    pub(crate) fn redeliver(&mut self, id: u64) -> bool {
        let Some(old) = self.deliveries.get(&id) else {
            return false;
        };
        let (old, payload) = (old.delivery.clone(), old.payload.clone());
        let delivery = Delivery {
            id: self.delivery_id(),
            redelivery: true,
            ..old
        };
        self.send(delivery, payload, None, None);
        true
    }

    /// Puts a delivery into the outbox. Those of one job leave one after the other, except what a
    /// fault delays.
    fn send(
        &mut self,
        delivery: Delivery,
        payload: String,
        in_order_of: Option<u64>,
        fault: Option<&DeliveryFaultKind>,
    ) {
        let Some(target) = self.target(delivery.hook).cloned() else {
            return;
        };
        let exchange = Exchange {
            request_headers: self.delivery_headers(&delivery, &payload),
            delivery,
            payload,
            response_headers: BTreeMap::new(),
            response: String::new(),
        };
        let mut outgoing = Outgoing {
            exchange,
            url: target.url,
            host: target.host,
            limit: Duration::from_millis(self.settings.delivery_timeout_ms),
            lost: None,
            delay: Duration::from_millis(self.settings.delivery_delay_ms),
            copies: 0,
            previous: None,
            done: None,
        };
        match fault {
            None => {}
            Some(DeliveryFaultKind::NeverSend) => return,
            Some(DeliveryFaultKind::Fail { status }) => outgoing.lost = Some(*status),
            Some(DeliveryFaultKind::Duplicate { copies }) => outgoing.copies = *copies,
            Some(DeliveryFaultKind::Delay { milliseconds }) => {
                outgoing.delay = Duration::from_millis(*milliseconds);
            }
        }
        if !matches!(fault, Some(DeliveryFaultKind::Delay { .. }))
            && let Some(entry) = in_order_of.and_then(|job| self.jobs.get_mut(&job))
        {
            let (done, next) = oneshot::channel();
            outgoing.done = Some(done);
            outgoing.previous = entry.last_delivery.replace(next);
        }
        self.outbox.push(outgoing);
    }

    fn target(&self, hook: Hook) -> Option<&WebhookTarget> {
        let own = match hook {
            Hook::Organization => self.organization_webhook.as_ref(),
            Hook::App | Hook::Repository => None,
        };
        own.or(self.webhook.as_ref())
    }

    fn delivery_headers(&self, delivery: &Delivery, payload: &str) -> BTreeMap<String, String> {
        let target_type = match delivery.hook {
            Hook::App => "integration",
            Hook::Repository => "repository",
            Hook::Organization => "organization",
        };
        [
            ("Accept", "*/*".to_owned()),
            ("Content-Type", "application/json".to_owned()),
            ("User-Agent", "GitHub-Hookshot/1a2b3c4".to_owned()),
            ("X-GitHub-Delivery", delivery.guid.clone()),
            ("X-GitHub-Event", delivery.event.clone()),
            ("X-GitHub-Hook-ID", delivery.hook_target.to_string()),
            (
                "X-GitHub-Hook-Installation-Target-ID",
                delivery.hook_target.to_string(),
            ),
            (
                "X-GitHub-Hook-Installation-Target-Type",
                target_type.to_owned(),
            ),
            (
                "X-Hub-Signature-256",
                sign(&self.webhook_secret, payload.as_bytes()),
            ),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_github_s_documentation() {
        assert_eq!(
            sign("It's a Secret to Everybody", b"Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
    }
}
