//! Looks from outside: what there is, what was called, what was told.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::server::Server;
use crate::state::check_run::CheckRun;
use crate::state::delivery::{Delivery, Exchange};
use crate::state::job::Job;
use crate::state::runner::Runner;
use crate::state::snapshot::Snapshot;
use crate::state::token::IssuedToken;
use crate::state::traffic::RequestRecord;
use crate::state::world::World;

impl Server {
    /// The job of that number.
    pub fn job(&self, id: u64) -> Option<Job> {
        self.shared.read(|world| world.job(id)).ok()
    }

    /// All jobs, the oldest first.
    pub fn jobs(&self) -> Vec<Job> {
        self.snapshot().jobs
    }

    /// All check runs, the oldest first.
    pub fn check_runs(&self) -> Vec<CheckRun> {
        self.shared
            .read(|world| world.check_runs.values().cloned().collect())
    }

    /// All runners in GitHub's lists.
    pub fn runners(&self) -> Vec<Runner> {
        self.snapshot().runners
    }

    /// All deliveries, the oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.snapshot().deliveries
    }

    /// A delivery with what went over the wire.
    pub fn exchange(&self, id: u64) -> Option<Exchange> {
        self.shared.read(|world| world.deliveries.get(&id).cloned())
    }

    /// Everything.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.read(World::snapshot)
    }

    /// What is not finished: jobs without a conclusion, runners still registered, jobs begun twice.
    pub fn leftovers(&self) -> Vec<String> {
        self.shared.read(World::leftovers)
    }

    /// Waits until `look` says yes.
    ///
    /// # Errors
    ///
    /// It has not within `limit`; what there was then.
    pub async fn wait_for(
        &self,
        limit: Duration,
        look: impl Fn(&Snapshot) -> bool,
    ) -> Result<Snapshot, Box<Snapshot>> {
        let found = self
            .shared
            .wait(limit, |world| {
                let snapshot = world.snapshot();
                look(&snapshot).then_some(snapshot)
            })
            .await;
        found.ok_or_else(|| Box::new(self.snapshot()))
    }

    /// Waits until no webhook is under way; whether that was so within `limit`.
    pub async fn wait_for_deliveries(&self, limit: Duration) -> bool {
        let idle = |world: &World| (world.sending == 0).then_some(());
        self.shared.wait(limit, idle).await.is_some()
    }

    /// Sends a delivery again, as the App's settings page does. Whether there is such a one.
    pub fn redeliver(&self, id: u64) -> bool {
        self.shared.change(|world| world.redeliver(id))
    }

    /// The last calls of GitHub's API.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared
            .read(|world| world.traffic.records.iter().cloned().collect())
    }

    /// How often each route was called: `POST /orgs/{org}/actions/runners/generate-jitconfig` → 3.
    pub fn request_counts(&self) -> BTreeMap<String, u64> {
        self.shared.read(|world| world.traffic.counts.clone())
    }

    /// Forgets the calls that were made. What they used of a limit stays used.
    pub fn clear_requests(&self) {
        self.shared.note(|world| world.traffic.clear());
    }

    /// The installation tokens that were handed out.
    pub fn issued_tokens(&self) -> Vec<IssuedToken> {
        self.shared.read(|world| world.tokens.issued())
    }
}
