//! Every outcome that an attempt may have, and its class.

use serde::{Deserialize, Serialize};

/// How the next attempt, if there is one, takes an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeClass {
    /// The runner ran a job, this one or another. Bounded by time: that GitHub gave a runner another
    /// job is nobody's fault.
    Ran,
    /// The runner was there and nobody gave it a job. Bounded by time.
    Unpicked,
    /// There was no room for it, or the room was taken back. Bounded by time.
    Capacity,
    /// Something outside this system was in the way: a rate limit, an outage, a network. Bounded by
    /// time.
    External,
    /// Something broke that may work next time. Bounded by count.
    Fault,
    /// It will break again until somebody changes something.
    Permanent,
}

macro_rules! outcomes {
    ($($(#[doc = $doc:literal])+ $variant:ident => $kind:ident,)+) => {
        /// What became of one attempt.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Outcome {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Outcome {
            /// Every outcome there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name in logs, metrics and a failed execution's error.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// How the next attempt takes it.
            pub const fn class(self) -> OutcomeClass {
                match self { $(Self::$variant => OutcomeClass::$kind,)+ }
            }
        }
    };
}

outcomes! {
    /// A job ran to its end on the runner.
    RanJob => Ran,
    /// The task was taken away while a job was running on the runner.
    LostInJob => Ran,
    /// The runner's worker process died while it ran a job.
    WorkerDied => Ran,
    /// The task's memory was exhausted while a job was running.
    ExhaustedInJob => Ran,
    /// The job had left the queue before anything was launched.
    NotNeeded => Ran,

    /// No job came within the agent's limit.
    NeverPickedUp => Unpicked,
    /// The listener ended by itself without a job: GitHub let the runner go, or we did.
    EndedWithoutJob => Unpicked,
    /// The task was stopped by us while it had no job.
    StoppedByUs => Unpicked,

    /// ECS had no capacity.
    NoCapacity => Capacity,
    /// Fargate Spot took the capacity back before a job began.
    SpotInterruption => Capacity,

    /// The listener never reached GitHub.
    NoConnection => External,
    /// AWS refused the call for its rate.
    Throttled => External,
    /// The registry was not reached, was busy, or broke off.
    ImagePullFailed => External,

    /// GitHub refused the registration.
    RegistrationRefused => Fault,
    /// The agent could not read its registration.
    RegistrationUnavailable => Fault,
    /// Another listener held the runner's session.
    SessionConflict => Fault,
    /// The listener failed.
    ListenerFailed => Fault,
    /// The image was not found. It may not have been pushed yet.
    ImageMissing => Fault,
    /// The task did not start.
    TaskNeverStarted => Fault,
    /// The task's memory did not suffice.
    OutOfMemory => Fault,
    /// The runner's task outlived its limit.
    TimedOut => Fault,
    /// A step failed for a reason that passes.
    StepFailed => Fault,
    /// The task ended in a way this system does not know.
    Unknown => Fault,

    /// GitHub refuses this runner version.
    RunnerTooOld => Permanent,
    /// The registry refuses the image, or it is for another platform.
    ImageRefused => Permanent,
    /// The task's environment or image is not this system's.
    Misconfigured => Permanent,
    /// ECS refuses the task: a permission, a subnet, a parameter is wrong.
    TaskRefused => Permanent,
    /// A step failed for a reason that stays; the error carries that fault's name.
    StepRefused => Permanent,
}
