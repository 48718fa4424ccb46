//! When to end a listener, and how hard.
//!
//! ```text
//! no job ──idle limit──▶ interrupt ──stop limit──▶ kill
//!   │                        └─ a job after all: no limit but its own end ─┐
//!  job ──────── no limit: GitHub ends a job ───────────────────────────────┤
//!   │                                                                      ▼
//! job ended ──linger limit──▶ interrupt ──stop limit──▶ kill            the end
//!
//! at any time: stop signal ──▶ interrupt ──stop limit──▶ kill
//! ```
//!
//! Pure: it is told the time, and says what to do.

use std::time::Duration;

use tokio::time::Instant;

use crate::event::Event;
use crate::verdict::{Seen, Stop};

/// How long a listener may take to say good-bye after its job: it closes its session and deletes
/// its files, with retries. Only a fault takes longer, and then nobody else would end the task.
const LINGER_LIMIT: Duration = Duration::from_mins(2);

/// What to do with the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask it to end in order (SIGINT).
    Interrupt,
    /// End it and all its processes (SIGKILL).
    Kill,
}

impl Action {
    /// For the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "asking the listener to end",
            Self::Kill => "killing the listener and all it has started",
        }
    }
}

/// The agent's patience with one runner, over all starts of its listener.
#[derive(Debug)]
pub struct Watch {
    seen: Seen,
    stop_limit: Duration,
    /// When to ask it to end, and why.
    interrupt: Option<(Instant, Stop)>,
    /// When to kill it.
    kill: Option<Instant>,
}

impl Watch {
    /// Starts counting.
    pub fn new(now: Instant, idle_limit: Duration, stop_limit: Duration) -> Self {
        let interrupt = now.checked_add(idle_limit).map(|at| (at, Stop::Idle));
        Self {
            seen: Seen::default(),
            stop_limit,
            interrupt,
            kill: None,
        }
    }

    /// What was seen so far.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// When [`Watch::expired`] is to be asked next.
    pub fn deadline(&self) -> Option<Instant> {
        self.interrupt
            .map(|(at, _)| at)
            .into_iter()
            .chain(self.kill)
            .min()
    }

    /// The listener printed something.
    pub fn heard(&mut self, event: Event, now: Instant) {
        let (started, completed) = (
            matches!(event, Event::Started(_)),
            matches!(event, Event::Completed(_)),
        );
        self.seen.note(event);
        if started {
            self.interrupt = None;
            if self.seen.stop == Some(Stop::Idle) {
                // GitHub assigned a job just as the limit ran out. Nobody is waiting for this task
                // to end, so the job gets the time it takes.
                self.kill = None;
            }
        }
        if completed && self.kill.is_none() {
            self.interrupt = Some((now + LINGER_LIMIT, Stop::Lingering));
        }
    }

    /// The task is being stopped.
    pub fn stopped(&mut self, now: Instant) -> Option<Action> {
        let first = self.seen.stop.is_none();
        self.ask_to_end(Stop::Signal, now);
        first.then_some(Action::Interrupt)
    }

    /// A deadline has passed.
    pub fn expired(&mut self, now: Instant) -> Option<Action> {
        if self.kill.is_some_and(|at| at <= now) {
            self.kill = None;
            return Some(Action::Kill);
        }
        let (_, why) = self.interrupt.filter(|(at, _)| *at <= now)?;
        self.ask_to_end(why, now);
        Some(Action::Interrupt)
    }

    fn ask_to_end(&mut self, why: Stop, now: Instant) {
        self.seen.stop.get_or_insert(why);
        self.interrupt = None;
        let at = now + self.stop_limit;
        self.kill = Some(self.kill.map_or(at, |earlier| earlier.min(at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_mins(15);
    const STOP: Duration = Duration::from_secs(110);

    struct Clock(Instant);

    impl Clock {
        fn start() -> (Self, Watch) {
            let now = Instant::now();
            (Self(now), Watch::new(now, IDLE, STOP))
        }

        fn at(&self, seconds: u64) -> Instant {
            self.0 + Duration::from_secs(seconds)
        }
    }

    fn job() -> Event {
        Event::Started("build".into())
    }

    #[test]
    fn an_idle_listener_is_interrupted_at_the_limit_and_killed_after_the_stop_limit() {
        let (clock, mut watch) = Clock::start();
        watch.heard(Event::Listening, clock.at(2));
        assert_eq!(watch.deadline(), Some(clock.at(900)));
        assert_eq!(watch.expired(clock.at(899)), None);
        assert_eq!(watch.expired(clock.at(900)), Some(Action::Interrupt));
        assert_eq!(watch.deadline(), Some(clock.at(1010)));
        assert_eq!(watch.expired(clock.at(1010)), Some(Action::Kill));
        assert_eq!(watch.deadline(), None);
        assert_eq!(watch.seen().stop, Some(Stop::Idle));
    }

    #[test]
    fn a_job_has_no_limit() {
        let (clock, mut watch) = Clock::start();
        watch.heard(job(), clock.at(10));
        assert_eq!(watch.deadline(), None);
    }

    #[test]
    fn a_job_that_starts_during_an_idle_shutdown_is_not_killed() {
        let (clock, mut watch) = Clock::start();
        assert_eq!(watch.expired(clock.at(900)), Some(Action::Interrupt));
        watch.heard(job(), clock.at(901));
        assert_eq!(watch.deadline(), None);
    }

    #[test]
    fn a_stop_signal_bounds_even_that_job() {
        let (clock, mut watch) = Clock::start();
        watch.expired(clock.at(900));
        watch.heard(job(), clock.at(901));
        assert_eq!(
            watch.stopped(clock.at(950)),
            None,
            "it was interrupted already"
        );
        assert_eq!(watch.expired(clock.at(1060)), Some(Action::Kill));
    }

    #[test]
    fn a_stop_signal_interrupts_a_job_once() {
        let (clock, mut watch) = Clock::start();
        watch.heard(job(), clock.at(10));
        assert_eq!(watch.stopped(clock.at(20)), Some(Action::Interrupt));
        assert_eq!(watch.stopped(clock.at(60)), None);
        assert_eq!(
            watch.deadline(),
            Some(clock.at(130)),
            "a second signal gives no more time"
        );
        assert_eq!(watch.seen().stop, Some(Stop::Signal));
    }

    #[test]
    fn a_job_that_starts_during_a_stop_does_not_move_the_deadline() {
        let (clock, mut watch) = Clock::start();
        watch.stopped(clock.at(20));
        watch.heard(job(), clock.at(21));
        assert_eq!(watch.deadline(), Some(clock.at(130)));
    }

    #[test]
    fn a_listener_that_outlives_its_job_is_ended() {
        let (clock, mut watch) = Clock::start();
        watch.heard(job(), clock.at(10));
        watch.heard(Event::Completed("Succeeded".into()), clock.at(5_000));
        assert_eq!(watch.deadline(), Some(clock.at(5_120)));
        assert_eq!(watch.expired(clock.at(5_120)), Some(Action::Interrupt));
        assert_eq!(watch.expired(clock.at(5_230)), Some(Action::Kill));
        assert!(watch.seen().undisturbed);
    }
}
