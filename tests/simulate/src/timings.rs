//! How long things take that nobody limits.

use fastrand::Rng;

use crate::limit::{SECOND, Time};
use crate::load::{micros, normal};

/// A duration: its median, and how far it varies (the standard deviation of its logarithm).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    seconds: f64,
    spread: f64,
}

const fn took(seconds: f64, spread: f64) -> Took {
    Took { seconds, spread }
}

impl Took {
    pub(crate) fn draw(self, rng: &mut Rng) -> Time {
        micros(self.seconds * (self.spread * normal(rng)).exp())
    }
}

/// How long each step takes.
#[derive(Clone, Debug)]
pub(crate) struct Timings {
    /// From a job's queueing until `verify` has called StartExecution.
    pub(crate) webhook: Took,
    pub(crate) match_: Took,
    pub(crate) launch: Took,
    pub(crate) token: Took,
    pub(crate) cleanup: Took,
    /// What Step Functions needs between two states.
    pub(crate) transition: Took,
    /// From RunTask until the container runs, the pull of the image included.
    pub(crate) start: Took,
    /// From the container's start, or a warm task's bell, until its runner listens.
    pub(crate) listen: Took,
    /// From a job's end until its task has stopped and the execution knows.
    pub(crate) stop: Took,
    /// Seconds of a processor that each of these takes, if all of them share some.
    pub(crate) machine: Option<Processors>,
    /// Factor on the state machine's waits.
    pub(crate) waits: f64,
}

/// The local stack has everything on one machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processors {
    pub(crate) count: usize,
    /// Seconds that an invocation of a function takes of one.
    pub(crate) function: f64,
    /// Seconds that a task's start takes of one.
    pub(crate) task: f64,
}

impl Timings {
    /// In AWS. Functions as measured (`docs/performance.md`). Fargate's start is what operators report for
    /// images of about a gigabyte: 20 to 45 seconds.
    pub(crate) const AWS: Self = Self {
        webhook: took(0.4, 0.3),
        match_: took(0.03, 0.3),
        launch: took(0.01, 0.3),
        token: took(0.16, 0.3),
        cleanup: took(0.14, 0.3),
        transition: took(0.02, 0.3),
        start: took(29.0, 0.2),
        listen: took(3.0, 0.2),
        stop: took(12.0, 0.3),
        machine: None,
        waits: 1.0,
    };

    /// On the local stack: the steps of one job of `cargo xtask local --once` on two processors, the
    /// machine's waits a fifth.
    pub(crate) const LOCAL: Self = Self {
        webhook: took(0.14, 0.1),
        match_: took(0.17, 0.1),
        launch: took(0.05, 0.1),
        token: took(0.25, 0.1),
        cleanup: took(0.21, 0.1),
        transition: took(0.01, 0.1),
        start: took(0.1, 0.1),
        listen: took(0.1, 0.1),
        stop: took(0.05, 0.1),
        machine: Some(Processors {
            count: 2,
            function: 0.06,
            task: 0.13,
        }),
        waits: 0.2,
    };
}

/// How long a repeated read of a registration waits.
pub(crate) fn read_pause(rng: &mut Rng) -> Time {
    SECOND + rng.u64(0..7 * SECOND)
}
