//! The agent's exit codes, which name its runner's outcome.
//!
//! Zero means "a job ran to its end", whatever the job's result: a failed job is GitHub's business,
//! and a non-zero code would fail the task. The other codes avoid 1 and 2 (shells), 125 to 127
//! (container engines) and 128 + n (signals).

macro_rules! exits {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal,)+) => {
        /// How the agent ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum AgentExit {
            $($(#[doc = $doc])+ $variant = $code,)+
        }

        impl AgentExit {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The outcome's name in the agent's log.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }
    };
}

exits! {
    /// A job ran to its end.
    RanJob = 0,
    /// No job came within the limit; the watchdog ended the listener.
    Idle = 20,
    /// The listener exited well without a job: GitHub dismissed the runner.
    EndedWithoutJob = 21,
    /// GitHub rejected the registration.
    Refused = 22,
    /// GitHub rejects this runner version.
    VersionTooOld = 23,
    /// Another listener has this runner's session.
    SessionConflict = 24,
    /// The listener failed in another way.
    ListenerFailed = 25,
    /// SIGTERM without a job.
    Stopped = 26,
    /// SIGTERM during a job.
    StoppedInJob = 27,
    /// The registration could not be read from SSM.
    RegistrationUnavailable = 28,
    /// The task's environment or the image is wrong.
    Misconfigured = 29,
    /// The listener did not reach GitHub within the connect limit.
    NoConnection = 30,
    /// The job's worker process died.
    WorkerDied = 31,
    /// The task ran out of memory during a job.
    MemoryExhausted = 32,
    /// A warm task was told to leave, or waited for its limit. It never had a registration.
    Released = 33,
}

impl AgentExit {
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Parses an exit code as ECS reports it.
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|exit| i32::from(exit.code()) == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_back_and_are_distinct() {
        for exit in AgentExit::ALL {
            assert_eq!(AgentExit::from_code(i32::from(exit.code())), Some(*exit));
        }
        assert_eq!(AgentExit::from_code(137), None);
    }
}
