//! What a webhook says.
//! <https://docs.github.com/webhooks/webhook-events-and-payloads#workflow_job>

use serde_json::{Value, json};

use crate::state::accounts::OwnerType;
use crate::state::delivery::Hook;
use crate::state::job::Job;
use crate::state::shapes::account::{account_json, organization_json};
use crate::state::shapes::job::job_json;
use crate::state::shapes::repository::repository_json;
use crate::state::world::World;

/// The payload of an event, and what its delivery is filed under.
pub(crate) struct Event {
    pub(crate) payload: Value,
    pub(crate) installation: Option<u64>,
    pub(crate) repository: u64,
    /// The id of what the webhook was set on.
    pub(crate) target: u64,
}

/// A `workflow_job` event; nothing if the App's webhook is meant and the App is not installed, or an
/// organization's and there is none.
pub(crate) fn job_event(world: &World, job: &Job, action: &str, hook: Hook) -> Option<Event> {
    let repository = world.directory.repository(&job.repository)?;
    let owner = world.directory.account(&repository.owner)?;
    let installation = match hook {
        Hook::App => Some(
            world
                .directory
                .installation_of(&owner.login)
                .filter(|installation| !installation.suspended)?
                .id,
        ),
        Hook::Repository | Hook::Organization => None,
    };
    let target = match (hook, owner.kind) {
        (Hook::App, _) => world.app.id,
        (Hook::Repository, _) => repository.id,
        (Hook::Organization, OwnerType::Organization) => owner.id,
        (Hook::Organization, OwnerType::User) => return None,
    };
    let mut payload = json!({
        "action": action,
        "workflow_job": job_json(world, job),
        "repository": repository_json(world, repository),
        "sender": account_json(&world.base, "octocat", 1, OwnerType::User),
    });
    if owner.kind == OwnerType::Organization {
        payload["organization"] = organization_json(&world.base, &owner.login, owner.id);
    }
    if let Some(id) = installation {
        payload["installation"] = json!({ "id": id, "node_id": format!("I_{id}") });
    }
    Some(Event {
        payload,
        installation,
        repository: repository.id,
        target,
    })
}
