//! Warm tasks: ends that no event told, and tasks that nobody owns.
//!
//! Without a pool, nothing here makes a call.

use std::collections::{BTreeMap, BTreeSet};

use decisions::{OnOrphan, OnWait, OrphanSeen, WaitingSeen, on_orphan, on_wait};
use fleet::{DescribedTask, Stopped, WarmTask};
use pool::{Pool, Wait};
use protocol::BellKey;
use serde_json::Value;

use crate::Deps;
use crate::snapshot::Snapshot;

/// Maximum number of waits per sweep whose task is described: one call.
const DESCRIBED: usize = 100;
/// Maximum number of waits per sweep that are ended or deleted.
const ENDED: usize = 500;
/// Maximum number of tasks without a ticket per sweep whose bell is read.
const LOOKED_AT: usize = 100;

/// Tells executions of warm tasks whose end no event told, and deletes waits that nobody needs.
/// Returns the number of executions told.
pub async fn end_waits(deps: &Deps, snapshot: &Snapshot) -> Result<usize, fleet::Error> {
    let Some(pool) = &deps.fleet.pool else {
        return Ok(0);
    };
    let seen = |wait: &Wait, ended: bool| WaitingSeen {
        age: snapshot.since(wait.written_at),
        waiting: wait.token.is_some(),
        ended,
    };
    // Of the others it does not matter whether the task has ended.
    let asked = snapshot
        .waits
        .iter()
        .filter(|wait| wait.ended.is_none() && on_wait(seen(wait, true)) == OnWait::End);
    let asked: Vec<_> = asked
        .map(|wait| wait.task_arn.clone())
        .take(DESCRIBED)
        .collect();
    let described = if asked.is_empty() {
        Vec::new()
    } else {
        deps.fleet.describe_tasks(&asked).await?
    };
    let mut told = 0;
    let mut failed = None;
    let mut done = 0;
    for wait in &snapshot.waits {
        let asked = asked.contains(&wait.task_arn);
        let stopped = stopped(wait, asked, &described);
        let result = match on_wait(seen(wait, stopped.is_some())) {
            OnWait::Leave => continue,
            OnWait::End => {
                tracing::warn!(task = wait.task_arn, execution = ?wait.execution, "no event told the end of a warm task");
                told += 1;
                let stopped = stopped.unwrap_or_else(|| Stopped::forgotten(&wait.task_arn));
                let ended = deps.fleet.end_adopted(pool, &stopped, snapshot.now).await;
                ended.map(|_| ())
            }
            OnWait::Delete => pool
                .forget_wait(&wait.task_arn)
                .await
                .map(|_| ())
                .map_err(fleet::Error::from),
        };
        // A failure must not block the others.
        if let Err(error) = result {
            failed.get_or_insert(error);
        }
        done += 1;
        if done == ENDED {
            break;
        }
    }
    failed.map_or(Ok(told), Err)
}

/// The end of a wait's task, if it has ended: as it was noted, or as ECS describes it.
fn stopped(wait: &Wait, asked: bool, described: &[DescribedTask]) -> Option<Stopped> {
    let noted = wait.ended.as_ref().filter(|task| **task != Value::Null);
    if let Some(task) = noted {
        return Some(Stopped {
            arn: wait.task_arn.clone(),
            task: task.clone(),
        });
    }
    let found = described.iter().find(|task| task.arn == wait.task_arn);
    match found {
        Some(task) => task.stopped.then(|| Stopped {
            arn: task.arn.clone(),
            task: task.task.clone(),
        }),
        None => (asked || wait.ended.is_some()).then(|| Stopped::forgotten(&wait.task_arn)),
    }
}

/// Ends warm tasks that have no ticket and took no registration: a claim crashed, or the table lost
/// the ticket. Returns the number of tasks that were told to leave or stopped.
pub async fn release_orphans(deps: &Deps, snapshot: &Snapshot) -> Result<usize, fleet::Error> {
    let Some(pool) = &deps.fleet.pool else {
        return Ok(0);
    };
    let seen = |task: &WarmTask| OrphanSeen {
        age: snapshot.since(task.created_at),
        has_ticket: false,
        has_runner: task.has_runner,
        bell: None,
        told_for: std::time::Duration::ZERO,
    };
    let old = snapshot.warm.iter();
    let old: Vec<_> = old
        .filter(|task| on_orphan(seen(task)) != OnOrphan::Leave)
        .collect();
    let mut tickets = BTreeMap::new();
    for family in old.iter().map(|task| task.ticket.family.as_str()) {
        if !tickets.contains_key(family) {
            tickets.insert(family, ids(pool, family).await?);
        }
    }
    let mut released = 0;
    let mut failed = None;
    let without_ticket = old.into_iter().filter(|task| {
        let family = tickets.get(task.ticket.family.as_str());
        !family.is_some_and(|ids| ids.contains(&task.bell))
    });
    for task in without_ticket.take(LOOKED_AT) {
        // A failure must not block the others.
        match release(deps, pool, snapshot, task, seen(task)).await {
            Ok(done) => released += usize::from(done),
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(released), Err)
}

/// The ids of a family's tickets.
async fn ids(pool: &Pool, family: &str) -> Result<BTreeSet<BellKey>, fleet::Error> {
    let stocked = pool.stock(family).await?;
    Ok(stocked
        .tickets
        .into_iter()
        .map(|ticket| ticket.id)
        .collect())
}

async fn release(
    deps: &Deps,
    pool: &Pool,
    snapshot: &Snapshot,
    task: &WarmTask,
    seen: OrphanSeen,
) -> Result<bool, fleet::Error> {
    let bell = pool.bell(&task.bell).await?;
    let seen = OrphanSeen {
        bell: bell.map(|seen| seen.bell),
        told_for: bell.map_or(seen.told_for, |bell| snapshot.since(bell.written_at)),
        ..seen
    };
    match on_orphan(seen) {
        OnOrphan::Leave => Ok(false),
        OnOrphan::TellToLeave => {
            tracing::warn!(task = task.arn, ticket = %task.ticket, "telling a warm task without a ticket to leave");
            Ok(pool
                .tell_to_leave(&task.bell, snapshot.now)
                .await?
                .is_done())
        }
        OnOrphan::Stop => {
            let reason = "it is nobody's, and does not leave";
            tracing::warn!(task = task.arn, ticket = %task.ticket, reason, "stopping a warm task");
            deps.fleet.stop_task(&task.arn, reason).await?;
            Ok(true)
        }
    }
}
