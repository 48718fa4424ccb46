//! Counts redeliveries of events that failed again. Pure.
//!
//! A first failure needs no record: GitHub's list says that the delivery was no redelivery. Only
//! later failures are counted here, so the record is usually empty, and small in an outage.

use std::fmt;
use std::str::FromStr;

use github::Delivery;
use time::{Duration, OffsetDateTime};

use super::seen::{Seen, by_event, earliest};

/// Pause before each redelivery, counted from the last attempt: the first one is immediate, the
/// last one almost six hours after the first failure. A job stays in GitHub's queue for a day.
const PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::minutes(10),
    Duration::minutes(30),
    Duration::hours(1),
    Duration::hours(4),
];

/// Maximum number of events in the record: each takes at most 40 characters, and a parameter holds
/// 4,096.
const ROOM: usize = 90;

/// Length of the stored prefix of an event's id. The id is a UUID of version 1, whose first group
/// changes with every event; the chance that two of ninety share it within three days is one in a
/// hundred million.
const KEY: usize = 8;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Failing(Vec<Entry>);

/// An event that failed again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// Prefix of the event's id.
    key: String,
    /// Its newest failed delivery.
    delivery: u64,
    /// Number of redeliveries.
    repeats: usize,
    /// Time of its last failure or redelivery, in seconds since 1970.
    at: i64,
}

/// A delivery to redeliver now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) id: u64,
    pub(super) guid: String,
    /// When it failed. The mark does not pass this time before the redelivery.
    pub(super) delivered_at: OffsetDateTime,
}

/// The redeliveries to request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Deliveries to redeliver, oldest first.
    pub(super) due: Vec<Due>,
    /// When the oldest delivery failed that did not fit into the record.
    pub(super) no_room: Option<OffsetDateTime>,
}

impl Failing {
    /// Merges the listed deliveries, newest first, and returns what to redeliver.
    pub(super) fn sort_out(&mut self, seen: &[Delivery], now: OffsetDateTime) -> Work {
        let mut work = Work::default();
        let mut events: Vec<_> = by_event(seen, now).into_values().collect();
        events.sort_by_key(|event| (event.newest.delivered_at, event.newest.id));
        for event in events {
            let newest = event.newest;
            let place = self.0.iter().position(|entry| entry.is_of(&newest.guid));
            match (event.state, place) {
                (Seen::OnItsWay, _) | (Seen::Settled, None) => {}
                (Seen::Settled, Some(place)) => drop(self.0.remove(place)),
                (Seen::Failed, Some(place)) => self.0[place].failed(newest),
                (Seen::Failed, None) if !newest.redelivery => work.due.push(Due::new(newest)),
                (Seen::Failed, None) if self.0.len() < ROOM => self.0.push(Entry::new(newest)),
                (Seen::Failed, None) => {
                    work.no_room = earliest(work.no_room, Some(newest.delivered_at));
                }
            }
        }
        let waiting = self.0.iter().filter(|entry| entry.is_due(now));
        work.due.extend(waiting.map(|entry| Due {
            id: entry.delivery,
            guid: entry.key.clone(),
            // The record keeps it, so the mark may pass it.
            delivered_at: now,
        }));
        work
    }

    /// Records a redelivery. The first one needs no record.
    pub(super) fn repeated(&mut self, due: &Due, now: OffsetDateTime) {
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.is_of(&due.guid)) {
            entry.repeats += 1;
            entry.at = now.unix_timestamp();
        }
    }

    /// Records that GitHub rejects the redelivery.
    pub(super) fn give_up(&mut self, due: &Due, now: OffsetDateTime) {
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.is_of(&due.guid)) {
            entry.repeats = PAUSES.len();
            entry.at = now.unix_timestamp();
        }
    }

    /// Removes events with no redeliveries left once the list that is read no longer shows them,
    /// and events that GitHub no longer keeps.
    pub(super) fn forget(&mut self, shown_since: OffsetDateTime, kept_since: OffsetDateTime) {
        self.0.retain(|entry| {
            let ends = if entry.repeats < PAUSES.len() {
                kept_since
            } else {
                shown_since
            };
            entry.at >= ends.unix_timestamp()
        });
    }
}

impl Due {
    fn new(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id,
            guid: delivery.guid.clone(),
            delivered_at: delivery.delivered_at,
        }
    }
}

impl Entry {
    /// An event whose redelivery failed and that has no record: it was redelivered at least once.
    fn new(delivery: &Delivery) -> Self {
        Self {
            key: key(&delivery.guid),
            delivery: delivery.id,
            repeats: 1,
            at: delivery.delivered_at.unix_timestamp(),
        }
    }

    fn is_of(&self, guid: &str) -> bool {
        self.key == key(guid)
    }

    /// Records its newest failure; ignores a known one.
    fn failed(&mut self, newest: &Delivery) {
        if newest.id != self.delivery {
            self.delivery = newest.id;
            self.at = newest.delivered_at.unix_timestamp();
        }
    }

    fn is_due(&self, now: OffsetDateTime) -> bool {
        PAUSES
            .get(self.repeats)
            .is_some_and(|pause| now.unix_timestamp() - self.at >= pause.whole_seconds())
    }
}

/// The stored prefix of an event's id, without the record's separators.
fn key(guid: &str) -> String {
    guid.chars()
        .filter(char::is_ascii_alphanumeric)
        .take(KEY)
        .collect()
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            let Entry {
                key,
                delivery,
                repeats,
                at,
            } = entry;
            write!(f, "{separator}{key}:{delivery}:{repeats}:{at}")?;
        }
        Ok(())
    }
}

impl Failing {
    /// Parses a record. Skips invalid entries: their events are redelivered anew.
    pub(super) fn read(text: &str) -> Self {
        Self(
            text.split(' ')
                .filter_map(|item| item.parse().ok())
                .collect(),
        )
    }
}

/// Not an entry of the record.
struct NotAnEntry;

impl FromStr for Entry {
    type Err = NotAnEntry;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fields: Vec<_> = text.split(':').collect();
        let [key, delivery, repeats, at] = fields[..] else {
            return Err(NotAnEntry);
        };
        Ok(Self {
            key: key.to_owned(),
            delivery: delivery.parse().map_err(|_| NotAnEntry)?,
            repeats: repeats.parse().map_err(|_| NotAnEntry)?,
            at: at.parse().map_err(|_| NotAnEntry)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-01-01 12:00 UTC);

    fn delivery(id: u64, guid: &str, status_code: u16, seconds_ago: i64) -> Delivery {
        Delivery {
            id,
            guid: guid.to_owned(),
            delivered_at: NOW - Duration::seconds(seconds_ago),
            redelivery: false,
            status: String::new(),
            status_code,
            event: "workflow_job".to_owned(),
            action: Some("queued".to_owned()),
            installation_id: Some(1),
            repository_id: Some(1),
        }
    }

    fn again(id: u64, guid: &str, status_code: u16, seconds_ago: i64) -> Delivery {
        Delivery {
            redelivery: true,
            ..delivery(id, guid, status_code, seconds_ago)
        }
    }

    fn due(seen: &[Delivery]) -> Vec<u64> {
        let work = Failing::default().sort_out(seen, NOW);
        work.due.into_iter().map(|due| due.id).collect()
    }

    #[test]
    fn whatever_verify_did_not_answer_itself_is_repeated() {
        for status in [
            0, 300, 302, 400, 403, 404, 408, 409, 410, 429, 500, 502, 503, 504,
        ] {
            assert_eq!(due(&[delivery(1, "a", status, 60)]), [1], "{status}");
        }
    }

    #[test]
    fn the_oldest_failure_is_repeated_first() {
        let seen = [
            delivery(3, "c", 502, 60),
            delivery(2, "b", 429, 61),
            delivery(1, "a", 200, 62),
        ];
        assert_eq!(due(&seen), [2, 3]);
    }

    #[test]
    fn what_was_taken_or_refused_on_purpose_is_not_repeated() {
        for status in [200, 202, 401, 413, 422] {
            assert!(due(&[delivery(1, "a", status, 60)]).is_empty(), "{status}");
        }
        let refused_at_last = [again(2, "a", 401, 60), delivery(1, "a", 503, 120)];
        assert!(due(&refused_at_last).is_empty());
    }

    #[test]
    fn an_event_that_any_try_delivered_is_not_repeated() {
        for seen in [
            [again(2, "a", 202, 60), delivery(1, "a", 0, 120)],
            [again(2, "a", 202, 5), delivery(1, "a", 0, 120)],
            [again(2, "a", 500, 60), delivery(1, "a", 200, 120)],
        ] {
            assert!(due(&seen).is_empty(), "{seen:?}");
        }
    }

    #[test]
    fn a_delivery_on_its_way_and_other_events_are_left_alone() {
        assert!(due(&[delivery(1, "a", 0, 5)]).is_empty());
        let repeated = [again(2, "a", 0, 5), delivery(1, "a", 0, 120)];
        assert!(due(&repeated).is_empty());
        let mut push = delivery(1, "a", 500, 60);
        push.event = "push".to_owned();
        assert!(due(&[push]).is_empty());
    }

    /// Sweeps every five minutes over a day in which `verify` fails until `works_after`. Returns
    /// the minutes of the redeliveries. Each sweep lists the last window with some overlap.
    fn a_day_of_failures(works_after: i64) -> Vec<i64> {
        let mut list = vec![delivery(1, "36918e40-c13d", 429, 60)];
        let mut failing = Failing::default();
        let mut repeated = Vec::new();
        for minute in (0..1_440).step_by(5) {
            let now = NOW + Duration::minutes(minute);
            let since = now - Duration::minutes(7);
            let seen: Vec<_> = list
                .iter()
                .rev()
                .filter(|delivery| delivery.delivered_at >= since)
                .cloned()
                .collect();
            let mut failing_read = Failing::read(&failing.to_string());
            assert_eq!(failing_read, failing, "it is kept whole");
            for due in failing_read.sort_out(&seen, now).due {
                failing_read.repeated(&due, now);
                repeated.push(minute);
                let id = list.len() as u64 + 1;
                let status = if minute < works_after { 500 } else { 200 };
                let mut next = again(id, "36918e40-c13d", status, 0);
                next.delivered_at = now + Duration::seconds(2);
                list.push(next);
            }
            failing_read.forget(since - Duration::hours(1), now - Duration::days(3));
            failing = failing_read;
        }
        assert_eq!(failing, Failing::default(), "and forgotten at last");
        repeated
    }

    #[test]
    fn an_event_that_always_fails_is_repeated_five_times_with_growing_pauses() {
        assert_eq!(a_day_of_failures(9_999), [0, 15, 50, 115, 360]);
    }

    #[test]
    fn an_event_is_repeated_until_it_is_taken() {
        assert_eq!(a_day_of_failures(0), [0]);
        assert_eq!(a_day_of_failures(100), [0, 15, 50, 115]);
    }

    #[test]
    fn what_the_record_has_no_room_for_holds_the_mark_back() {
        let mut failing = Failing::default();
        let seen: Vec<_> = (0..100)
            .map(|id| {
                again(
                    1_000 - id,
                    &format!("{id:08x}-"),
                    500,
                    60 + i64::try_from(id).unwrap(),
                )
            })
            .collect();
        let work = failing.sort_out(&seen, NOW);
        assert_eq!(failing.0.len(), ROOM);
        // The oldest are taken in first.
        assert_eq!(work.no_room, Some(NOW - Duration::seconds(69)));
        assert!(failing.to_string().len() < 3_700);
    }

    #[test]
    fn the_longest_entries_fit_into_a_parameter() {
        let entry = Entry {
            key: "x".repeat(KEY),
            delivery: 999_999_999_999_999_999,
            repeats: PAUSES.len(),
            at: 9_999_999_999,
        };
        let text = Failing(vec![entry; ROOM]).to_string();
        assert!(text.len() <= 3_700, "{}", text.len());
    }
}
