//! Claiming a ticket: whoever deletes it owns its task.

use std::time::Duration;

use decisions::may_claim;
use pool::{Claim, Slot, Ticket, TicketKey, Written};
use protocol::JobId;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::request::{Cold, Request, Stock};

/// A claim that is not done after this time is given up between two calls, so that a slow table does
/// not use up the time for the task's answer.
const LIMIT: Duration = Duration::from_secs(1);
/// How many tickets are tried after one look at all of them. Whoever loses that often competes with
/// many, and few tickets are left.
const TRIES: usize = 3;

/// Takes a ticket and returns it with its task's ARN.
///
/// The first try needs no look: in a full stock any slot will do, and jobs spread over them.
pub async fn claim(
    stock: &Stock,
    request: &Request<'_>,
    started: Instant,
) -> Result<(Ticket, String), Cold> {
    if let Some(limit) = request.warm.max_per_repository {
        let repository = &request.job.repository;
        let now = OffsetDateTime::now_utc();
        let share = stock
            .pool
            .take_share(request.family, repository, limit, now);
        if !share.await?.is_done() {
            return Err(Cold::ShareUsed);
        }
    }
    if let Some(slot) = slot_of(request.job.id, request.warm.slots) {
        let key = TicketKey {
            family: request.family.to_owned(),
            slot,
        };
        if let Some(taken) = take(stock, request, &key).await? {
            return Ok(taken);
        }
    }
    in_time(started)?;
    let stocked = stock.pool.stock(request.family).await?;
    let suits = |ticket: &Ticket| may_claim(&request.seen(Some(ticket)));
    let mut suitable: Vec<_> = stocked.tickets.into_iter().filter(suits).collect();
    shuffle(&mut suitable);
    for ticket in suitable.iter().take(TRIES) {
        in_time(started)?;
        if let Some(taken) = take(stock, request, &ticket.key).await? {
            return Ok(taken);
        }
    }
    Err(Cold::NoneReady)
}

async fn take(
    stock: &Stock,
    request: &Request<'_>,
    key: &TicketKey,
) -> Result<Option<(Ticket, String)>, Cold> {
    let claim = Claim {
        revision: request.revision,
        spot: request.spot,
    };
    let Written::Done(mut ticket) = stock.pool.claim(key, claim).await? else {
        return Ok(None);
    };
    // A ready ticket has a task; without one there is nobody to ring.
    Ok(ticket.task_arn.take().map(|arn| (ticket, arn)))
}

fn in_time(started: Instant) -> Result<(), Cold> {
    if started.elapsed() < LIMIT {
        Ok(())
    } else {
        Err(Cold::Slow)
    }
}

/// The slot that a job tries first. Job ids grow one by one in bursts; the factor is odd and spreads
/// them (Knuth's multiplicative hash, 2^64 divided by the golden ratio).
fn slot_of(job: JobId, slots: u8) -> Option<Slot> {
    let spread = job.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let number = spread.checked_rem(u64::from(slots))?;
    Slot::new(u8::try_from(number).ok()?)
}

/// Puts tickets into a random order, so that jobs that look at the same time try different ones.
fn shuffle(tickets: &mut [Ticket]) {
    for last in (1..tickets.len()).rev() {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let other = (runtime::random::fraction() * (last + 1) as f64) as usize;
        tickets.swap(last, other.min(last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jobs_of_a_burst_try_different_slots() {
        let slots: std::collections::BTreeSet<_> = (40_000_000_000..40_000_000_016)
            .map(|id| slot_of(JobId(id), 16).unwrap())
            .collect();
        assert!(slots.len() >= 8, "{slots:?}");
        assert_eq!(slot_of(JobId(1), 0), None);
        assert!(slot_of(JobId(u64::MAX), 100).is_some());
    }
}
