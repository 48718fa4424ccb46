//! How the agent says by its exit code what became of its runner.
//!
//! Zero means "a job ran to its end", whatever the job's result was: a failed job is GitHub's
//! business, and a non-zero code makes Step Functions see a failed task. The other codes keep clear
//! of 1, 2 (a shell's), 125 to 127 (a container engine's) and 128 + n (a signal's).

macro_rules! exits {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal,)+) => {
        /// What the agent ended with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum AgentExit {
            $($(#[doc = $doc])+ $variant = $code,)+
        }

        impl AgentExit {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The outcome's name, as the agent logs it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }
    };
}

exits! {
    /// A job ran to its end.
    RanJob = 0,
    /// No job came within the limit; the agent's watchdog shut the listener down.
    Idle = 20,
    /// The listener ended well without having run a job: GitHub let the runner go.
    EndedWithoutJob = 21,
    /// GitHub refused the registration.
    Refused = 22,
    /// GitHub refuses this runner version.
    VersionTooOld = 23,
    /// Another listener holds this runner's session.
    SessionConflict = 24,
    /// The listener failed otherwise.
    ListenerFailed = 25,
    /// SIGTERM came while no job was running.
    Stopped = 26,
    /// SIGTERM came while a job was running.
    StoppedInJob = 27,
    /// The registration could not be read from SSM.
    RegistrationUnavailable = 28,
    /// The task's environment or the image is wrong.
    Misconfigured = 29,
    /// The listener never reached GitHub: it was not listening within the connection limit.
    NoConnection = 30,
    /// The runner's worker process died while a job was running.
    WorkerDied = 31,
    /// The task's memory limit was reached while a job was running.
    MemoryExhausted = 32,
}

impl AgentExit {
    /// The process exit code.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Reads an exit code as ECS reports it.
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
