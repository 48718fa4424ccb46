//! Decides when to end a listener, and how.
//!
//! ```text
//! start ──connect limit──▶ interrupt ──stop limit──▶ kill
//!   │                          ▲ └─ a job after all: no limit but its own end ─┐
//! listening ──idle limit───────┘                                               │
//!   │                                                                          │
//!  job ──────── no limit: GitHub ends a job ───────────────────────────────────┤
//!   ├─ worker gone ──linger limit──▶ interrupt ──stop limit──▶ kill            ▼
//! job ended ───────linger limit──▶ interrupt ──stop limit──▶ kill           the end
//!
//! at any time: stop signal ──▶ interrupt ──stop limit──▶ kill
//! ```
//!
//! Pure: the caller passes the time and carries out the action.

use std::time::Duration;

use tokio::time::Instant;

use crate::event::Event;
use crate::verdict::{Seen, Stop};

/// Stands for the name of a job whose worker exists but whose start was not recognized.
pub const UNTOLD: &str = "(a job without a recognized start)";

/// Time limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until it listens.
    pub connect: Duration,
    /// Without a job, once it listens.
    pub idle: Duration,
    /// After its job, or after the job's worker disappeared. The listener completes the job at
    /// GitHub, closes its session and deletes its files, with retries. Only a fault takes longer,
    /// and then nothing else would end the task.
    pub linger: Duration,
    /// Between SIGINT and SIGKILL.
    pub stop: Duration,
}

/// An action on the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// SIGINT to the listener.
    Interrupt,
    /// SIGKILL to the listener and all its processes.
    Kill,
}

impl Action {
    /// Text for the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "asking the listener to end",
            Self::Kill => "killing the listener and its processes",
        }
    }
}

/// The deadlines of one runner, across all starts of its listener.
#[derive(Debug)]
pub struct Watch {
    seen: Seen,
    limits: Limits,
    /// A worker existed while the job ran.
    worker: bool,
    /// When to ask it to end, and why.
    interrupt: Option<(Instant, Stop)>,
    /// When to kill it.
    kill: Option<Instant>,
}

impl Watch {
    pub fn new(now: Instant, limits: Limits) -> Self {
        let interrupt = now
            .checked_add(limits.connect)
            .map(|at| (at, Stop::NoConnection));
        Self {
            seen: Seen::default(),
            limits,
            worker: false,
            interrupt,
            kill: None,
        }
    }

    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The next deadline, for [`Watch::expired`].
    pub fn deadline(&self) -> Option<Instant> {
        self.interrupt
            .map(|(at, _)| at)
            .into_iter()
            .chain(self.kill)
            .min()
    }

    /// Handles a line of the listener.
    pub fn heard(&mut self, event: Event, now: Instant) {
        let (listening, started, completed) = (
            matches!(event, Event::Listening),
            matches!(event, Event::Started(_)),
            matches!(event, Event::Completed(_)),
        );
        self.seen.note(event);
        if listening && self.waits_for(Stop::NoConnection) {
            self.interrupt = now.checked_add(self.limits.idle).map(|at| (at, Stop::Idle));
        }
        if started {
            self.interrupt = None;
            self.worker = false;
            if matches!(self.seen.stop, Some(Stop::Idle | Stop::NoConnection)) {
                // GitHub assigned a job as the limit expired. Nothing waits for this task to end,
                // so the job gets the time it needs.
                self.kill = None;
            }
        }
        if completed && self.kill.is_none() {
            self.interrupt = Some((now + self.limits.linger, Stop::Lingering));
        }
    }

    /// Handles a look for the job's worker process. An existing worker means a job, whatever the
    /// listener printed; without a worker nothing runs the job, whatever the listener believes.
    pub fn looked(&mut self, worker_is_there: bool, now: Instant) {
        if worker_is_there && self.seen.job.is_none() {
            self.heard(Event::Started(UNTOLD.to_owned()), now);
        }
        if !self.seen.is_running() {
            return;
        }
        if worker_is_there {
            self.worker = true;
            if self.waits_for(Stop::WorkerGone) {
                self.interrupt = None;
            }
        } else if self.worker && self.interrupt.is_none() && self.kill.is_none() {
            self.interrupt = Some((now + self.limits.linger, Stop::WorkerGone));
        }
    }

    /// The listener has ended; records the evidence about its memory and its worker.
    pub fn concluded(&mut self, exhausted: bool, worker_died: bool) {
        self.seen.exhausted = exhausted;
        self.seen.worker_died = worker_died;
    }

    fn waits_for(&self, stop: Stop) -> bool {
        self.interrupt.is_some_and(|(_, why)| why == stop)
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
        let at = now + self.limits.stop;
        self.kill = Some(self.kill.map_or(at, |earlier| earlier.min(at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        connect: Duration::from_mins(3),
        idle: Duration::from_mins(5),
        linger: Duration::from_mins(3),
        stop: Duration::from_secs(110),
    };

    struct Clock(Instant);

    impl Clock {
        fn start() -> (Self, Watch) {
            let now = Instant::now();
            (Self(now), Watch::new(now, LIMITS))
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
        watch.heard(Event::Listening, clock.at(20));
        assert_eq!(watch.deadline(), Some(clock.at(320)));
        assert_eq!(watch.expired(clock.at(319)), None);
        assert_eq!(watch.expired(clock.at(320)), Some(Action::Interrupt));
        assert_eq!(watch.deadline(), Some(clock.at(430)));
        assert_eq!(watch.expired(clock.at(430)), Some(Action::Kill));
        assert_eq!(watch.deadline(), None);
        assert_eq!(watch.seen().stop, Some(Stop::Idle));
    }

    #[test]
    fn a_listener_that_never_listens_is_interrupted_at_the_connect_limit() {
        let (clock, mut watch) = Clock::start();
        watch.heard(Event::ConnectError("no route".into()), clock.at(5));
        assert_eq!(watch.deadline(), Some(clock.at(180)));
        assert_eq!(watch.expired(clock.at(180)), Some(Action::Interrupt));
        assert_eq!(watch.seen().stop, Some(Stop::NoConnection));
        assert_eq!(watch.expired(clock.at(290)), Some(Action::Kill));
    }

    #[test]
    fn a_listener_that_listens_just_in_time_has_its_whole_idle_limit() {
        let (clock, mut watch) = Clock::start();
        watch.heard(Event::Listening, clock.at(179));
        assert_eq!(watch.expired(clock.at(180)), None);
        assert_eq!(watch.deadline(), Some(clock.at(479)));
        // It says so again after an update; that gives it no more time.
        watch.heard(Event::Listening, clock.at(300));
        assert_eq!(watch.deadline(), Some(clock.at(479)));
    }

    #[test]
    fn a_job_has_no_limit() {
        let (clock, mut watch) = Clock::start();
        watch.heard(job(), clock.at(10));
        assert_eq!(watch.deadline(), None);
        watch.looked(true, clock.at(70));
        assert_eq!(watch.deadline(), None);
    }

    #[test]
    fn a_job_that_starts_during_an_idle_shutdown_is_not_killed() {
        let (clock, mut watch) = Clock::start();
        watch.heard(Event::Listening, clock.at(0));
        assert_eq!(watch.expired(clock.at(300)), Some(Action::Interrupt));
        watch.heard(job(), clock.at(301));
        assert_eq!(watch.deadline(), None);
    }

    #[test]
    fn a_job_that_starts_during_the_shutdown_of_a_late_listener_is_not_killed() {
        let (clock, mut watch) = Clock::start();
        assert_eq!(watch.expired(clock.at(180)), Some(Action::Interrupt));
        watch.heard(Event::Listening, clock.at(181));
        watch.heard(job(), clock.at(182));
        assert_eq!(watch.deadline(), None);
    }

    #[test]
    fn a_stop_signal_bounds_even_that_job() {
        let (clock, mut watch) = Clock::start();
        watch.heard(Event::Listening, clock.at(0));
        watch.expired(clock.at(300));
        watch.heard(job(), clock.at(301));
        assert_eq!(
            watch.stopped(clock.at(350)),
            None,
            "it was interrupted already"
        );
        assert_eq!(watch.expired(clock.at(460)), Some(Action::Kill));
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
        watch.looked(true, clock.at(30));
        watch.looked(false, clock.at(40));
        assert_eq!(watch.deadline(), Some(clock.at(130)));
    }

    #[test]
    fn a_listener_that_outlives_its_job_is_ended() {
        let (clock, mut watch) = Clock::start();
        watch.heard(job(), clock.at(10));
        watch.heard(Event::Completed("Succeeded".into()), clock.at(5_000));
        assert_eq!(watch.deadline(), Some(clock.at(5_180)));
        assert_eq!(watch.expired(clock.at(5_180)), Some(Action::Interrupt));
        assert_eq!(watch.expired(clock.at(5_290)), Some(Action::Kill));
        assert!(watch.seen().undisturbed);
    }

    #[test]
    fn a_listener_that_outlives_its_worker_without_a_word_is_ended() {
        let (clock, mut watch) = Clock::start();
        watch.heard(job(), clock.at(10));
        watch.looked(false, clock.at(11));
        assert_eq!(watch.deadline(), None, "it has not started its worker yet");
        watch.looked(true, clock.at(70));
        watch.looked(false, clock.at(130));
        watch.looked(false, clock.at(190));
        assert_eq!(watch.deadline(), Some(clock.at(310)));
        assert_eq!(watch.expired(clock.at(310)), Some(Action::Interrupt));
        assert_eq!(watch.seen().stop, Some(Stop::WorkerGone));
        assert_eq!(watch.deadline(), Some(clock.at(420)));
    }

    #[test]
    fn a_worker_is_a_job_whatever_the_listener_has_printed() {
        let (clock, mut watch) = Clock::start();
        watch.heard(Event::Listening, clock.at(0));
        watch.looked(true, clock.at(60));
        assert_eq!(watch.deadline(), None, "an idle limit would cut it off");
        assert!(watch.seen().is_running());
        watch.heard(job(), clock.at(61));
        assert_eq!(watch.seen().job.as_deref(), Some("build"));
    }

    #[test]
    fn a_worker_that_is_found_again_or_whose_end_is_told_is_not_missed() {
        let (clock, mut watch) = Clock::start();
        watch.heard(job(), clock.at(10));
        watch.looked(true, clock.at(70));
        watch.looked(false, clock.at(130));
        watch.looked(true, clock.at(190));
        assert_eq!(watch.deadline(), None);
        watch.looked(false, clock.at(250));
        watch.heard(Event::Completed("Failed".into()), clock.at(260));
        watch.looked(false, clock.at(310));
        assert_eq!(watch.deadline(), Some(clock.at(440)));
        watch.expired(clock.at(440));
        assert_eq!(watch.seen().stop, Some(Stop::Lingering));
    }
}
