//! Waits until nothing more will happen.

use std::collections::BTreeMap;
use std::time::Duration;

use admission::answer::is_refusal;
use anyhow::Context;
use github_standin::{Delivery, Hook, JobStatus};
use protocol::ExecutionName;
use tokio::time::Instant;
use tooling::Step;

use crate::stock;

use super::{CALM, CHANCE, DELIVERIES, LIMIT, LIMIT_EACH, LOOK, Player, STANDSTILL};

impl Player<'_> {
    pub(super) async fn settle(&mut self, step: &Step) -> anyhow::Result<()> {
        let each = LIMIT_EACH * u32::try_from(self.queued.len()).unwrap_or(u32::MAX);
        let deadline = Instant::now() + LIMIT + each;
        let (mut last, mut changed) = (None, Instant::now());
        let mut look = tokio::time::interval(LOOK);
        loop {
            look.tick().await;
            let open = self.open().await?;
            if let Some(first) = open.first() {
                step.note(&format!("{} to settle, as: {first}", open.len()));
            }
            if last.as_ref() != Some(&open) {
                changed = Instant::now();
            }
            self.settled = open.is_empty();
            let calm = changed.elapsed();
            if self.settled && calm >= CALM || calm >= STANDSTILL || Instant::now() >= deadline {
                return Ok(());
            }
            last = Some(open);
        }
    }

    /// What is not settled yet, one line each.
    async fn open(&mut self) -> anyhow::Result<Vec<String>> {
        let observer = &self.site.observer;
        let mut open = observer.leftovers().await?;
        open.extend(self.stock().await?);
        open.extend(self.site.slots().await?);
        open.extend(self.site.notes().await?);
        let running = self.running().await?;
        let snapshot = self.site.github().snapshot();
        self.abandoned.clear();
        for queued in &self.queued {
            let job = snapshot.job(queued.id).context("a job is gone")?;
            let of_job = |name: &String| of_job(name, queued.id);
            if job.status == JobStatus::Queued
                && self.aborted.iter().any(of_job)
                && !running.iter().any(of_job)
            {
                self.abandoned.insert(queued.id);
            } else if job.status != JobStatus::Completed {
                open.push(format!("{} is {}", queued.name, job.status.as_str()));
            }
        }
        let again = snapshot.jobs.iter().filter(|job| job.run_attempt > 1);
        let again = again.filter(|job| job.status != JobStatus::Completed);
        open.extend(again.map(|job| format!("{} again is {}", job.name, job.status.as_str())));
        open.extend(unheard(&snapshot.deliveries));
        if !self.site.github().wait_for_deliveries(Duration::ZERO).await {
            open.push("webhooks are under way".to_owned());
        }
        Ok(open)
    }

    /// What is wrong with the stock, one line each; nothing without a pool.
    pub(super) async fn stock(&self) -> anyhow::Result<Vec<String>> {
        let wanted = usize::from(self.site.setup.warm);
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let stock = self.site.observer.stock().await?;
        // Read after the tickets, so that the task of each is known by then.
        let tasks = self.site.tasks().await?;
        Ok(stock::problems(&stock, &tasks, wanted))
    }

    /// Withdraws all faults, and cancels the jobs that an abort left in the queue.
    pub(super) async fn close(&mut self) -> anyhow::Result<()> {
        let github = self.site.github();
        for id in &self.abandoned {
            // A runner may just have taken it.
            let _ = github.cancel_job(*id);
        }
        if self.settled && !self.abandoned.is_empty() {
            github.wait_for_deliveries(CHANCE).await;
            self.site.observer.settled(CHANCE).await?;
        }
        Ok(())
    }
}

/// Whether an execution belongs to a job.
fn of_job(execution: &str, job: u64) -> bool {
    let name: Result<ExecutionName, _> = execution.parse();
    name.is_ok_and(|name| name.job().0 == job)
}

/// Webhooks that were never accepted and will be redelivered.
fn unheard(deliveries: &[Delivery]) -> Vec<String> {
    let mut tries: BTreeMap<&str, (bool, usize)> = BTreeMap::new();
    for delivery in deliveries.iter().filter(|one| one.hook == Hook::App) {
        let (settled, count) = tries.entry(&delivery.guid).or_default();
        // Any other status is not from `verify`, or not deliberate.
        *settled |= (200..300).contains(&delivery.status_code) || is_refusal(delivery.status_code);
        *count += 1;
    }
    tries
        .into_iter()
        .filter(|(_, (settled, count))| !settled && *count < DELIVERIES)
        .map(|(guid, _)| format!("webhook {guid} is not accepted yet"))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unheard_of(statuses: &[u16]) -> usize {
        let deliveries = statuses.iter().map(|status| {
            let delivery = json!({
                "id": 1, "guid": "g", "delivered_at": "", "redelivery": false, "duration": 0.0,
                "status": "", "status_code": status, "event": "workflow_job", "action": "queued",
                "installation_id": 1, "repository_id": 1, "hook": "app", "hook_target": 1, "job": 1,
            });
            serde_json::from_value(delivery).unwrap()
        });
        unheard(&deliveries.collect::<Vec<_>>()).len()
    }

    #[test]
    fn a_webhook_is_heard_when_it_is_taken_or_refused_on_purpose_and_not_by_the_front_door() {
        for heard in [&[202][..], &[401], &[413], &[422], &[502, 202], &[429; 6]] {
            assert_eq!(unheard_of(heard), 0, "{heard:?}");
        }
        for unheard in [&[403][..], &[408], &[429], &[502, 403], &[429; 5]] {
            assert_eq!(unheard_of(unheard), 1, "{unheard:?}");
        }
    }
}
