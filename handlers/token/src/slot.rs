//! Takes one of the slots that caps leave, or says what the job waits for.
//!
//! First of all, because whoever waits must not hold a registration. A job that finds a slot free makes
//! one call here, and `cleanup` one when it gives the slot back. One that waits reads the item at each
//! look, and writes twice: when it joins the line, and when it takes its slot.
//!
//! Without an answer of the table a job waits: a cap protects what somebody pays for or shares, and the
//! job is bounded by its day in the queue. A deployment without caps takes the table away, or the right to
//! its item, and so frees the executions of an earlier one that wait.

use std::time::Duration;

use aws::ErrorKind;
use decisions::{Awaited, Cap, Caps, OnSlot, Place, Seeker, SlotAwaited, Slots, on_slot};
use pool::{Capped, Tried};
use protocol::Matched;
use runtime::telemetry::{Metric, Metrics};
use time::OffsetDateTime;

use crate::Error;
use crate::input::Input;

/// How often a write is tried that others precede. Each refusal carries the item as it is then.
const TRIES: u32 = 6;
/// The pause of a job that was always preceded.
const PRECEDED: Duration = Duration::from_secs(3);
/// The pause while the table does not answer.
const OUTAGE: Duration = Duration::from_secs(30);

/// Takes a slot for the attempt. [`Error::NoFreeSlot`] says that it waits.
pub async fn take(
    capped: &Capped,
    input: &Input,
    metrics: &Metrics,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let Some(matched) = &input.matched else {
        return Err(Error::NoMatch);
    };
    let seeker = seeker(capped, input, matched, now);
    if !capped.caps.concern(&seeker.at) {
        return Ok(());
    }
    let search = Search {
        capped,
        seeker: &seeker,
        now: seconds(now),
    };
    match search.run(input.slot.is_some()).await {
        Ok(Found::Slot) => Ok(()),
        Ok(Found::Line(awaited)) => {
            metrics.emit(Metric::SlotsAwaited, f64::from(awaited.waiting));
            let awaited = told(&awaited, &seeker.at);
            tracing::info!(
                detail = awaited.detail,
                seconds = awaited.wait_seconds,
                "waiting for a slot"
            );
            Err(Error::NoFreeSlot(Box::new(awaited)))
        }
        Ok(Found::Preceded) => Err(unplaced("waits for a slot: others were faster", PRECEDED)),
        Err(error) if is_gone(&error) => {
            tracing::warn!(%error, "a later deployment has no caps any more");
            Ok(())
        }
        Err(error) => {
            tracing::warn!(%error, "the table of slots does not answer; waiting");
            Err(unplaced(
                "waits for a slot: the table of slots does not answer",
                OUTAGE,
            ))
        }
    }
}

/// Whether the caps were removed while this execution waited: with them goes the table, or the right to
/// its item. `sweep` fails for the same reasons if they were not removed, and its alarm tells.
fn is_gone(error: &pool::Error) -> bool {
    let error = error.aws();
    error.kind() == ErrorKind::NotFound || error.is_denied()
}

fn seeker(capped: &Capped, input: &Input, matched: &Matched, now: OffsetDateTime) -> Seeker {
    let job = &input.order.job;
    let name = &input.runner.name;
    Seeker {
        execution: name.execution().clone(),
        attempt: name.attempt(),
        at: Place {
            // GitHub compares names without case.
            repository: job.repository.to_string().to_ascii_lowercase(),
            offer: matched.definition.family.clone(),
        },
        queued: seconds(job.queued_at),
        until: seconds(now) + capped.lease.as_secs(),
    }
}

fn seconds(at: OffsetDateTime) -> u64 {
    u64::try_from(at.unix_timestamp()).unwrap_or_default()
}

enum Found {
    Slot,
    Line(Awaited),
    /// Every write was refused because others had written first.
    Preceded,
}

struct Search<'a> {
    capped: &'a Capped,
    seeker: &'a Seeker,
    now: u64,
}

impl Search<'_> {
    /// `waited` is whether this is not the first look: then the line is not empty, and a write without a
    /// look would be refused.
    async fn run(&self, waited: bool) -> Result<Found, pool::Error> {
        let Self {
            capped,
            seeker,
            now,
        } = *self;
        let pool = &capped.pool;
        let mut slots = if waited {
            pool.slots().await?
        } else {
            match self
                .sure(pool.take_slot(seeker, &capped.caps, now).await)
                .await?
            {
                Tried::Done => return Ok(Found::Slot),
                Tried::Refused(slots) => *slots,
            }
        };
        for _ in 0..TRIES {
            slots = match self.decide(&slots) {
                OnSlot::Go => return Ok(Found::Slot),
                OnSlot::Take(next) => {
                    match self.sure(pool.put_slots(&slots, &next, now).await).await? {
                        Tried::Done => return Ok(Found::Slot),
                        Tried::Refused(slots) => *slots,
                    }
                }
                OnSlot::Wait(awaited) => {
                    if awaited.joins {
                        // Refused means that it stands there already; it looks again in any case.
                        self.sure(pool.join_line(seeker, now).await)
                            .await
                            .map(drop)?;
                    }
                    return Ok(Found::Line(awaited));
                }
            };
        }
        Ok(Found::Preceded)
    }

    fn decide(&self, slots: &Slots) -> OnSlot {
        let Self {
            capped,
            seeker,
            now,
        } = self;
        let caps: &Caps = &capped.caps;
        on_slot(slots, seeker, caps, *now, runtime::random::fraction())
    }

    /// If the answer to a write was lost, the item tells whether it was written.
    async fn sure(&self, tried: Result<Tried, pool::Error>) -> Result<Tried, pool::Error> {
        match tried {
            Err(error) if error.is_unknown() => {
                tracing::warn!(%error, "looking whether it was written");
                Ok(Tried::Refused(Box::new(self.capped.pool.slots().await?)))
            }
            tried => tried,
        }
    }
}

fn unplaced(detail: &str, after: Duration) -> Error {
    Error::NoFreeSlot(Box::new(SlotAwaited {
        detail: detail.to_owned(),
        place: None,
        wait_seconds: after.as_secs(),
    }))
}

/// What an operator reads: in the console, in the execution's history, in `why`.
fn told(awaited: &Awaited, at: &Place) -> SlotAwaited {
    let Awaited {
        limit,
        place,
        waiting,
        ..
    } = awaited;
    let of = match awaited.cap {
        Cap::Deployment => "the deployment",
        Cap::Repository => &at.repository,
        Cap::Offer => &at.offer,
    };
    SlotAwaited {
        detail: format!(
            "waits for a slot of {of}: at most {limit} at once, place {place} of {waiting} in line"
        ),
        place: Some(*place),
        wait_seconds: awaited.after.as_secs().max(1),
    }
}
