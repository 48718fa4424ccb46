//! All outcomes of an attempt, and their classes.

use serde::{Deserialize, Serialize};

/// How an outcome affects the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeClass {
    /// The runner ran a job, this one or another. Bounded by time: GitHub may give a runner another
    /// job.
    Ran,
    /// The runner listened and got no job. Bounded by time.
    Unpicked,
    /// No capacity, or the capacity was taken back. Bounded by time.
    Capacity,
    /// An external cause: a rate limit, an outage, a network. Bounded by time.
    External,
    /// A fault that a retry may fix. Bounded by count.
    Fault,
    /// A permanent fault: it needs a change.
    Permanent,
}

macro_rules! outcomes {
    ($($(#[doc = $doc:literal])+ $variant:ident => $kind:ident,)+) => {
        /// The outcome of an attempt.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Outcome {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Outcome {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name in logs, metrics and a failed execution's error.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// How it affects the next attempt.
            pub const fn class(self) -> OutcomeClass {
                match self { $(Self::$variant => OutcomeClass::$kind,)+ }
            }
        }
    };
}

outcomes! {
    /// A job ran to its end on the runner.
    RanJob => Ran,
    /// The task was stopped while the runner had a job.
    LostInJob => Ran,
    /// The runner's worker process died during a job.
    WorkerDied => Ran,
    /// The task ran out of memory during a job.
    ExhaustedInJob => Ran,
    /// The job left the queue before anything was launched.
    NotNeeded => Ran,

    /// No job came within the agent's limit.
    NeverPickedUp => Unpicked,
    /// The listener exited without a job: GitHub dismissed the runner, or this system deleted it.
    EndedWithoutJob => Unpicked,
    /// This system stopped the task while it had no job.
    StoppedByUs => Unpicked,

    /// ECS had no capacity.
    NoCapacity => Capacity,
    /// Fargate Spot took the capacity back before a job started.
    SpotInterruption => Capacity,

    /// The listener never reached GitHub.
    NoConnection => External,
    /// AWS throttled the call.
    Throttled => External,
    /// The registry was unreachable, busy or disconnected.
    ImagePullFailed => External,

    /// GitHub rejected the registration.
    RegistrationRefused => Fault,
    /// The agent could not read its registration.
    RegistrationUnavailable => Fault,
    /// Another listener had the runner's session.
    SessionConflict => Fault,
    /// The listener exited with another error.
    ListenerFailed => Fault,
    /// The image was not found; it may not have been pushed yet.
    ImageMissing => Fault,
    /// The task stopped before its runner started.
    TaskNeverStarted => Fault,
    /// The task's memory was too small.
    OutOfMemory => Fault,
    /// The runner's task exceeded its time limit.
    TimedOut => Fault,
    /// A step failed for a transient reason.
    StepFailed => Fault,
    /// The task ended in an unknown way.
    Unknown => Fault,

    /// GitHub rejects this runner version.
    RunnerTooOld => Permanent,
    /// The registry rejects the image, or it is for another platform.
    ImageRefused => Permanent,
    /// The task's environment or image is wrong.
    Misconfigured => Permanent,
    /// ECS rejects the task: a permission, a subnet or a parameter is wrong.
    TaskRefused => Permanent,
    /// A step failed for a permanent reason; the error has that fault's name.
    StepRefused => Permanent,
}
