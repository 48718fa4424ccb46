//! Caps: how many runners run at once, and whose turn it is.
//!
//! An execution takes a *lease* before it registers its runner, and gives it back when the runner has
//! ended. Leases are counted, never tasks: a lease is there before its task is. While a cap is
//! reached, executions stand in *line*. All of it is one item of the deployment's table ([`Slots`]),
//! so each write sees all caps at once, and of two writes that exclude each other one is refused.
//!
//! - [`Slots::takes_at_once`] is the condition of the write by which a job takes a slot that nobody
//!   waits for, without having read the item.
//! - [`on_slot`] decides for whoever has read it.
//! - [`release_slot`] and [`repair_slots`] tell what is left when an execution has ended.

mod item;
mod line;

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::ExecutionName;

use item::small;
pub use item::{Cap, Caps, InLine, Lease, Place, Seeker, Slots};

/// The shortest pause between two looks. Each costs two state transitions.
const SHORTEST: u64 = 10;
/// The longest pause of whoever is among the next.
const LONGEST_IN_FRONT: u64 = 120;
/// The longest pause.
const LONGEST: u64 = 300;

/// What [`on_slot`] decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnSlot {
    /// Go on: the lease is there, or no cap concerns the job any more.
    Go,
    /// Write this, unless the item has another version meanwhile; then go on.
    Take(Slots),
    /// Every slot is taken or somebody else's.
    Wait(Awaited),
}

/// What an execution waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// The cap that is reached; if several are, the narrowest.
    pub cap: Cap,
    pub limit: u32,
    /// Its place among those who wait for that cap, from 1.
    pub place: u32,
    /// How many wait for it.
    pub waiting: u32,
    /// Whether to write it into the line.
    pub joins: bool,
    /// When to look again.
    pub after: Duration,
}

/// Decides for an execution that has read the item. `caps` are those of its deployment, `jitter` is a
/// random number in `0..1`.
pub fn on_slot(slots: &Slots, seeker: &Seeker, caps: &Caps, now: u64, jitter: f64) -> OnSlot {
    let caps = slots.caps.as_ref().unwrap_or(caps);
    let mut next = slots.without_expired(now);
    match next.leases.get_mut(&seeker.execution) {
        // The answer to the write was lost, or Step Functions repeats the step. The lease of a later
        // attempt means that this call is late; its execution does not wait for it any more.
        Some(lease) if lease.attempt >= seeker.attempt => return OnSlot::Go,
        // Giving back failed: the slot is still its own, and nobody else's lease of this attempt.
        Some(lease) => {
            lease.attempt = seeker.attempt;
            lease.until = seeker.until;
            next.version += 1;
            return OnSlot::Take(next);
        }
        None => {}
    }
    if !caps.concern(&seeker.at) {
        return OnSlot::Go;
    }
    let stands = next.line.contains_key(&seeker.execution);
    let entry = InLine {
        at: seeker.at.clone(),
        queued: seeker.queued,
        since: now,
    };
    next.line.entry(seeker.execution.clone()).or_insert(entry);
    let order = line::order(&next, caps);
    if order.now.contains(&&seeker.execution) {
        drop(order);
        next.grant(seeker, now);
        return OnSlot::Take(next);
    }
    let (cap, limit) = order.full(&seeker.at, caps);
    let counts = |one: &&InLine| cap.is_shared(&one.at, &seeker.at);
    let ahead = order
        .all()
        .take_while(|one| **one != seeker.execution)
        .filter_map(|one| next.line.get(one))
        .filter(counts)
        .count();
    let waiting = next.line.values().filter(counts).count();
    let joined = next.line[&seeker.execution].since;
    OnSlot::Wait(Awaited {
        cap,
        limit,
        place: small(ahead + 1),
        waiting: small(waiting),
        joins: !stands && slots.has_room_in_line(&seeker.at.repository),
        after: pause(
            &next,
            (cap, limit),
            seeker,
            ahead,
            now - joined.min(now),
            now,
            jitter,
        ),
    })
}

/// What is left when an attempt of an execution has ended; `None` if there is nothing to give back.
/// `attempt` is `None` if the whole execution has ended. A lease of a later attempt stays: this call
/// is late.
pub fn release_slot(
    slots: &Slots,
    execution: &ExecutionName,
    attempt: Option<u32>,
) -> Option<Slots> {
    let mut next = slots.clone();
    if next
        .leases
        .get(execution)
        .is_some_and(|lease| attempt.is_none_or(|attempt| lease.attempt <= attempt))
    {
        next.leases.remove(execution);
    }
    next.line.remove(execution);
    next.changed_from(slots)
}

/// What `sweep` leaves: without the leases and the places of executions that are `closed`, without
/// expired ones, and with the caps of this deployment. `None` if nothing changes.
pub fn repair_slots(
    slots: &Slots,
    closed: &BTreeSet<ExecutionName>,
    caps: &Caps,
    now: u64,
) -> Option<Slots> {
    let mut next = slots.without_expired(now);
    next.leases
        .retain(|execution, _| !closed.contains(execution));
    next.line.retain(|execution, _| !closed.contains(execution));
    next.caps = Some(caps.clone());
    next.changed_from(slots)
}

/// The pause until the next look. Whoever is among the next looks often, the others rarely: how soon
/// slots become free shows in how long they have been taken. A pause grows with the time waited, so
/// that a day in line has some hundred looks.
fn pause(
    slots: &Slots,
    (cap, limit): (Cap, u32),
    seeker: &Seeker,
    ahead: usize,
    waited: u64,
    now: u64,
    jitter: f64,
) -> Duration {
    let taken = slots.leases.values();
    let mut ages: Vec<_> = taken
        .filter(|lease| cap.is_shared(&lease.at, &seeker.at))
        .map(|lease| now.saturating_sub(lease.since))
        .collect();
    ages.sort_unstable();
    let age = ages.get(ages.len() / 2).copied().unwrap_or_default();
    let in_front = (age / 6).clamp(SHORTEST, LONGEST_IN_FRONT);
    let rounds = ahead as u64 / u64::from(limit.max(1));
    let pause = (in_front * (rounds + 1)).max(waited / 40).min(LONGEST);
    // A fifth more or less, so that a matrix that came at once does not look at once.
    Duration::from_secs(pause).mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
