//! Gives slots back, and repairs what was not given back.

use std::collections::BTreeSet;

use decisions::{Place, Slots, release_slot, repair_slots};
use pool::{Capped, Pool, Tried};
use protocol::{ExecutionName, Job, Matched};
use time::OffsetDateTime;

use crate::{Error, Fleet};

/// How often a write is tried that others precede.
const TRIES: u32 = 6;

/// What a job's runner counts as.
fn place(job: &Job, matched: &Matched) -> Place {
    Place {
        // GitHub compares names without case.
        repository: job.repository.to_string().to_ascii_lowercase(),
        offer: matched.definition.family.clone(),
    }
}

fn seconds(at: OffsetDateTime) -> u64 {
    u64::try_from(at.unix_timestamp()).unwrap_or_default()
}

impl Fleet {
    /// Gives the slot of an attempt back whose task has ended. One call, unless there is none to give
    /// back; none where no cap concerns the job.
    pub async fn give_slot_back(
        &self,
        execution: &ExecutionName,
        attempt: u32,
        (job, matched): (&Job, &Matched),
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let at = place(job, matched);
        let Some(Capped { pool, .. }) = self.capped.as_ref().filter(|it| it.caps.concern(&at))
        else {
            return Ok(());
        };
        match pool.give_slot_back(execution, attempt, &at).await? {
            Tried::Done => Ok(()),
            Tried::Refused(slots) => {
                let left = |slots: &Slots| release_slot(slots, execution, Some(attempt));
                rewrite(pool, *slots, left, now).await.map(drop)
            }
        }
    }

    /// Gives back what a closed execution has: its slot, its place in line.
    pub async fn leave_slots(
        &self,
        execution: &ExecutionName,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let Some(Capped { pool, .. }) = &self.capped else {
            return Ok(());
        };
        let slots = pool.slots().await?;
        let left = |slots: &Slots| release_slot(slots, execution, None);
        rewrite(pool, slots, left, now).await.map(drop)
    }

    /// The slots; `None` without caps.
    pub async fn slots(&self) -> Result<Option<Slots>, Error> {
        match &self.capped {
            Some(Capped { pool, .. }) => Ok(Some(pool.slots().await?)),
            None => Ok(None),
        }
    }

    /// Removes what closed executions have left, and records the caps of this deployment for those that
    /// an earlier one began.
    pub async fn repair_slots(
        &self,
        slots: Slots,
        closed: &BTreeSet<ExecutionName>,
        now: OffsetDateTime,
    ) -> Result<Slots, Error> {
        let Some(Capped { pool, caps, .. }) = &self.capped else {
            return Ok(slots);
        };
        let left = |slots: &Slots| repair_slots(slots, closed, caps, seconds(now));
        rewrite(pool, slots, left, now).await
    }
}

/// Writes what is left of the item, and decides again on what others have written before.
async fn rewrite(
    pool: &Pool,
    mut slots: Slots,
    left: impl Fn(&Slots) -> Option<Slots>,
    now: OffsetDateTime,
) -> Result<Slots, Error> {
    for _ in 0..TRIES {
        let Some(next) = left(&slots) else {
            return Ok(slots);
        };
        match pool.put_slots(&slots, &next, seconds(now)).await? {
            Tried::Done => return Ok(next),
            Tried::Refused(newer) => slots = *newer,
        }
    }
    tracing::warn!("others write the slots all the time; the next sweep repairs them");
    Ok(slots)
}
