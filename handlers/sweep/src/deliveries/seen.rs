//! Each event's state, from its listed deliveries. Pure.

use std::collections::BTreeMap;

use admission::answer::is_refusal;
use github::Delivery;
use time::{Duration, OffsetDateTime};

/// A younger delivery that looks failed may still be awaiting its response.
pub(super) const SETTLED: Duration = Duration::seconds(30);

/// An event's newest delivery and its state.
pub(super) struct Word<'a> {
    pub(super) newest: &'a Delivery,
    pub(super) state: Seen,
}

/// An event's state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Its newest delivery failed.
    Failed,
    /// Its newest delivery may still succeed.
    OnItsWay,
    /// Needs no redelivery.
    Settled,
}

/// Groups the listed deliveries by event.
pub(super) fn by_event(seen: &[Delivery], now: OffsetDateTime) -> BTreeMap<&str, Word<'_>> {
    let mut events: BTreeMap<&str, Word<'_>> = BTreeMap::new();
    // GitHub lists the newest first, so the first delivery of an event is its newest.
    for delivery in seen {
        if delivery.event != "workflow_job" {
            continue;
        }
        let word = events.entry(&delivery.guid).or_insert(Word {
            newest: delivery,
            state: if is_refusal(delivery.status_code) {
                // `verify` rejected it deliberately and would reject it again.
                Seen::Settled
            } else if now - delivery.delivered_at < SETTLED {
                Seen::OnItsWay
            } else {
                Seen::Failed
            },
        });
        // One accepted delivery is enough, whatever the result of another.
        if delivery.succeeded() {
            word.state = Seen::Settled;
        }
    }
    events
}

/// The earlier of the given times.
pub(super) fn earliest(
    a: Option<OffsetDateTime>,
    b: Option<OffsetDateTime>,
) -> Option<OffsetDateTime> {
    a.into_iter().chain(b).min()
}
