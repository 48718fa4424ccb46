//! How fast this sandbox calls StartExecution. Pure.
//!
//! StartExecution throttles the whole account ([quotas]), and sandboxes do not know of each other. Each
//! remembers what it was granted and refused; a call without an answer counts as refused.
//!
//! | after | webhooks | messages of the overflow queue |
//! |---|---|---|
//! | a refusal | are queued without a call for 2 to 4 seconds | are started half as fast, at least one in two seconds |
//! | a start | | are started faster, by one call a second |
//! | ten seconds without a message | | are started at five a second |
//!
//! Webhooks stop calling so that what StartExecution grants goes to the queue's few readers. Those find
//! the pace: growing by a constant and shrinking by a factor lets several readers share it evenly, and
//! less than a fifth of their calls is refused (`handlers/verify/tests/burst.rs`).
//!
//! [quotas]: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html

use std::time::Duration;

use tokio::time::Instant;

/// How long webhooks are queued without a call after a refusal; up to twice as long, so that sandboxes
/// that were refused together do not call together.
const HOLD: Duration = Duration::from_secs(2);
/// The pace at first, in calls a second.
const FIRST: f64 = 5.0;
/// What a start adds to it.
const STEP: f64 = 1.0;
/// What is left of it after a refusal.
const REST: f64 = 0.5;
/// The slowest: so soon it is noticed that StartExecution works again.
const SLOWEST: f64 = 0.5;
/// The fastest: more than a reader reaches.
const FASTEST: f64 = 500.0;
/// A pace that was last used longer ago says nothing.
const STALE: Duration = Duration::from_secs(10);

/// What a sandbox knows about StartExecution.
#[derive(Clone, Debug)]
pub struct Throttle {
    held_until: Option<Instant>,
    /// Calls a second.
    pace: f64,
    /// When the queue's latest call was made.
    called: Option<Instant>,
    /// When the pace was last reduced.
    reduced: Option<Instant>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            held_until: None,
            pace: FIRST,
            called: None,
            reduced: None,
        }
    }
}

impl Throttle {
    /// Whether a webhook's job is queued without a call.
    pub fn holds(&self, now: Instant) -> bool {
        self.held_until.is_some_and(|until| now < until)
    }

    /// A call for a webhook was refused. `jitter` is from 0 to 1.
    pub fn refused(&mut self, now: Instant, jitter: f64) {
        self.held_until = Some(now + HOLD.mul_f64(1.0 + jitter.clamp(0.0, 1.0)));
    }

    /// When the queue's next call may be made.
    pub fn next(&mut self, now: Instant) -> Instant {
        match self.called {
            Some(called) if now.duration_since(called) < STALE => {
                now.max(called + Duration::from_secs_f64(1.0 / self.pace))
            }
            _ => {
                self.pace = FIRST;
                now
            }
        }
    }

    /// The queue's next call is made.
    pub fn calls(&mut self, now: Instant) {
        self.called = Some(now);
    }

    /// A call for a message of the queue started its execution.
    pub fn granted_message(&mut self) {
        self.pace = (self.pace + STEP).min(FASTEST);
    }

    /// A call for a message that began at `begun` was refused. If the pace has been reduced since then,
    /// the call was made at the old pace and says nothing about the new one.
    pub fn refused_message(&mut self, begun: Instant, now: Instant, jitter: f64) {
        self.refused(now, jitter);
        if self.reduced.is_none_or(|reduced| reduced <= begun) {
            self.pace = (self.pace * REST).max(SLOWEST);
            self.reduced = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_refusal_holds_webhooks_for_two_to_four_seconds() {
        let now = Instant::now();
        for (jitter, held) in [(0.0, 2.0), (0.5, 3.0), (1.0, 4.0)] {
            let mut throttle = Throttle::default();
            assert!(!throttle.holds(now));
            throttle.refused(now, jitter);
            assert!(throttle.holds(now + seconds(held - 0.001)));
            assert!(!throttle.holds(now + seconds(held)), "{jitter}");
        }
    }

    #[test]
    fn a_refused_message_holds_webhooks_too_and_a_start_does_not_release_them() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        throttle.refused_message(now, now, 0.0);
        throttle.granted_message();
        assert!(throttle.holds(now + seconds(1.9)));
    }

    /// When the next call comes after one made now.
    fn pause(throttle: &mut Throttle, now: Instant) -> Duration {
        throttle.calls(now);
        throttle.next(now) - now
    }

    #[test]
    fn the_pace_grows_by_one_call_a_second_and_halves() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.next(now), now, "the first call waits for nothing");
        assert_eq!(pause(&mut throttle, now), seconds(0.2));
        for _ in 0..5 {
            throttle.granted_message();
        }
        assert_eq!(pause(&mut throttle, now), seconds(0.1));
        throttle.refused_message(now, now, 0.0);
        assert_eq!(pause(&mut throttle, now), seconds(0.2));
    }

    #[test]
    fn refusals_of_calls_made_at_the_same_pace_reduce_it_once() {
        let (mut throttle, begun) = (Throttle::default(), Instant::now());
        let now = begun + seconds(0.05);
        for _ in 0..5 {
            throttle.refused_message(begun, now, 0.0);
        }
        assert_eq!(pause(&mut throttle, now), seconds(0.4));
    }

    #[test]
    fn a_pace_of_long_ago_is_forgotten() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        throttle.calls(now);
        for step in 1..=20 {
            let at = now + seconds(f64::from(step) / 100.0);
            throttle.refused_message(at, at, 0.0);
        }
        assert_eq!(pause(&mut throttle, now), seconds(2.0));
        let later = now + STALE;
        assert_eq!(throttle.next(later), later);
        assert_eq!(pause(&mut throttle, later), seconds(0.2));
    }

    proptest! {
        #[test]
        fn the_next_call_is_never_more_than_two_seconds_away(starts in prop::collection::vec(any::<bool>(), 0..200)) {
            let (mut throttle, mut now) = (Throttle::default(), Instant::now());
            for start in starts {
                let next = throttle.next(now);
                prop_assert!(next >= now && next - now <= Duration::from_secs(2));
                now = next;
                throttle.calls(now);
                if start {
                    throttle.granted_message();
                } else {
                    throttle.refused_message(now, now, 0.5);
                }
            }
        }
    }
}
