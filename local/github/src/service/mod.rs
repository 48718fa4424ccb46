//! The runners' service, which listeners speak with.

use std::sync::Arc;

use axum::Router;

use crate::state::shared::Shared;

mod registrations;
mod sessions;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    registrations::routes().merge(sessions::routes())
}
