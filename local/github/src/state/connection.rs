//! A listener's open request.

use std::sync::Arc;
use std::time::Instant;

use crate::state::shared::Shared;

/// Keeps a session connected while it lives.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    session: String,
}

impl Connection {
    pub(crate) fn new(shared: &Arc<Shared>, session: &str) -> Self {
        shared.note(|world| {
            if let Some(session) = world.sessions.get_mut(session) {
                session.connections += 1;
            }
        });
        Self {
            shared: shared.clone(),
            session: session.to_owned(),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.note(|world| {
            if let Some(session) = world.sessions.get_mut(&self.session) {
                session.connections = session.connections.saturating_sub(1);
                session.last_heard = Instant::now();
            }
        });
    }
}
