//! Where each event stands, by the deliveries seen. Pure.

use std::collections::BTreeMap;

use admission::answer::is_refusal;
use github::Delivery;
use time::{Duration, OffsetDateTime};

/// A delivery that GitHub is still trying counts as failed until it is answered.
pub(super) const SETTLED: Duration = Duration::seconds(30);

/// What is known of an event.
pub(super) struct Word<'a> {
    pub(super) newest: &'a Delivery,
    pub(super) state: Seen,
}

/// Where an event stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Its newest delivery failed.
    Failed,
    /// Its newest delivery may be on its way.
    OnItsWay,
    /// Nothing is left to be done for it.
    Settled,
}

/// What the deliveries seen say of each event.
pub(super) fn by_event(seen: &[Delivery], now: OffsetDateTime) -> BTreeMap<&str, Word<'_>> {
    let mut events: BTreeMap<&str, Word<'_>> = BTreeMap::new();
    // Newest first, as GitHub lists them: the first one is its event's newest.
    for delivery in seen {
        if delivery.event != "workflow_job" {
            continue;
        }
        let word = events.entry(&delivery.guid).or_insert(Word {
            newest: delivery,
            state: if is_refusal(delivery.status_code) {
                // What `verify` refused on purpose it refuses again.
                Seen::Settled
            } else if now - delivery.delivered_at < SETTLED {
                Seen::OnItsWay
            } else {
                Seen::Failed
            },
        });
        // What was taken is done, whatever came of another attempt.
        if delivery.succeeded() {
            word.state = Seen::Settled;
        }
    }
    events
}

/// The earlier of two times, where there are two.
pub(super) fn earliest(
    a: Option<OffsetDateTime>,
    b: Option<OffsetDateTime>,
) -> Option<OffsetDateTime> {
    a.into_iter().chain(b).min()
}
