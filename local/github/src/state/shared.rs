//! The world behind one lock, shared by all routes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::state::delivery::Outgoing;
use crate::state::world::World;

/// The world, shared by all routes.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    changed: watch::Sender<()>,
    stopping: watch::Sender<bool>,
    outbox: mpsc::UnboundedSender<Outgoing>,
}

impl Shared {
    pub(crate) fn new(world: World, outbox: mpsc::UnboundedSender<Outgoing>) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(world),
            changed: watch::Sender::new(()),
            stopping: watch::Sender::new(false),
            outbox,
        })
    }

    /// A look.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A quiet change: nothing that a waiting runner or test looks for.
    pub(crate) fn note<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A change: jobs are given to runners, webhooks go out, and whoever waits looks again.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let (result, outbox) = self.note(|world| {
            let result = change(world);
            world.dispatch();
            world.sending += world.outbox.len();
            (result, std::mem::take(&mut world.outbox))
        });
        for outgoing in outbox {
            // Nobody sends any more once the stand-in is stopped.
            let _ = self.outbox.send(outgoing);
        }
        self.changed.send_replace(());
        result
    }

    /// Lets time pass: sessions, leases and idle runners have limits.
    pub(crate) fn tick(&self) {
        let now = Instant::now();
        if self.read(|world| world.is_overdue(now)) {
            self.change(|world| world.expire(now));
        }
    }

    /// Nobody waits any longer.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) async fn stopped(&self) {
        // The sender lives as long as this does.
        let _ = self
            .stopping
            .subscribe()
            .wait_for(|stopping| *stopping)
            .await;
    }

    /// Waits until `look` finds something, `limit` has passed, or the stand-in is stopped.
    pub(crate) async fn wait<T>(
        &self,
        limit: Duration,
        mut look: impl FnMut(&World) -> Option<T>,
    ) -> Option<T> {
        let mut news = self.changed.subscribe();
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            if let Some(found) = self.read(&mut look) {
                return Some(found);
            }
            tokio::select! {
                change = news.changed() => change.ok()?,
                () = self.stopped() => return None,
                () = tokio::time::sleep_until(deadline) => return self.read(&mut look),
            }
        }
    }
}
