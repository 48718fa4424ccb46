//! Names of the errors that a step can throw.
//!
//! A Lambda function's error reaches the state machine as its error type, and `Retry` and `Catch`
//! match that string. So these names are an interface: `statemachine/README.md` documents them, and
//! a contract test compares this list, that table and `statemachine/runner.asl.json`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a fault means for the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Goes away without a change; the job is retried.
    Transient,
    /// A handler's decision, reported as an error so that the state machine needs no Choice state.
    Verdict,
    /// Needs a change; a retry is useless.
    Permanent,
}

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $variant:ident => $class:ident,)+) => {
        /// A named fault. The variant's name is the error type that the state machine sees.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Fault {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Fault {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)+ }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                match name { $(stringify!($variant) => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

faults! {
    /// AWS throttled a call.
    Throttled => Transient,
    /// AWS did not answer, or answered with a 5xx.
    AwsUnavailable => Transient,
    /// GitHub rate limited a call; the message is the delay in seconds.
    GitHubRateLimited => Transient,
    /// GitHub did not answer, or answered with a 5xx.
    GitHubUnavailable => Transient,

    /// No task definition offers all of the job's labels.
    Unmatched => Verdict,
    /// Too early to launch; the message is the delay in seconds.
    Deferred => Verdict,
    /// As many runners as may run at once do; the message says of what, and when to look again.
    NoFreeSlot => Verdict,
    /// The job left GitHub's queue before a task was launched.
    JobNotQueued => Verdict,
    /// The job is still queued; the message has the next attempt.
    StillQueued => Verdict,
    /// The execution fails; the message says why.
    GaveUp => Verdict,

    /// A step's input cannot be parsed.
    BadInput => Permanent,
    /// An environment variable or a deployment setting is wrong.
    BadConfiguration => Permanent,
    /// AWS rejects a call: a permission, a name or a parameter is wrong.
    AwsRefused => Permanent,
    /// An SSM parameter is missing or empty.
    SecretMissing => Permanent,
    /// The App's private key is invalid, or GitHub does not know it.
    AppKeyInvalid => Permanent,
    /// The App is not installed on the job's repository.
    AppNotInstalled => Permanent,
    /// GitHub rejects a call: the App lacks a permission.
    GitHubRefused => Permanent,
    /// The runner group does not exist.
    RunnerGroupMissing => Permanent,
    /// The job's repository, or the one that its code comes from, is not served.
    NotAdmitted => Permanent,
    /// The matched task definition has no container with the runner's name.
    ContainerMissing => Permanent,
    /// The job asks for a size that its runner cannot have.
    SizeRefused => Permanent,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for fault in Fault::ALL {
            assert_eq!(Fault::from_name(fault.name()), Some(*fault));
        }
        assert_eq!(Fault::from_name("States.ALL"), None);
    }
}
