//! The names of everything that can go wrong in a step.
//!
//! A Lambda's error reaches the state machine as its error type, and `Retry` and `Catch` match that
//! string. So these names are an interface: the table in `statemachine/README.md` documents them,
//! and a test holds this list, that table and `statemachine/runner.asl.json` against each other.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a fault means for the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It passes by itself; the same job is tried again.
    Transient,
    /// A handler's decision, carried as an error so that the machine needs no Choice state.
    Verdict,
    /// It stays until somebody changes something; trying again is useless.
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
            /// Every fault there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The error type.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// What it means for the job.
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)+ }
            }

            /// The fault of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $(stringify!($variant) => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

faults! {
    /// AWS refused a call for its rate.
    Throttled => Transient,
    /// AWS did not answer, or answered with an error of its own.
    AwsUnavailable => Transient,
    /// GitHub's rate limit; the message carries the seconds to wait.
    GitHubRateLimited => Transient,
    /// GitHub did not answer, or answered with an error of its own.
    GitHubUnavailable => Transient,

    /// No task definition offers all of the job's labels.
    Unmatched => Verdict,
    /// It is too early to launch; the message carries the seconds to wait.
    Deferred => Verdict,
    /// The job left GitHub's queue before anything was launched for it.
    JobNotQueued => Verdict,
    /// The job is still queued; the message carries the next attempt.
    StillQueued => Verdict,
    /// The execution ends without its job served; the message says why.
    GaveUp => Verdict,

    /// A step was given something it cannot read.
    BadInput => Permanent,
    /// An environment variable or a deployment setting is wrong.
    BadConfiguration => Permanent,
    /// AWS denies a call: a permission, a name or a parameter is wrong.
    AwsRefused => Permanent,
    /// A parameter in SSM is missing or empty.
    SecretMissing => Permanent,
    /// The App's private key is no key, or GitHub does not know it.
    AppKeyInvalid => Permanent,
    /// The App is not installed where the job runs.
    AppNotInstalled => Permanent,
    /// GitHub denies a call: the App lacks a permission.
    GitHubRefused => Permanent,
    /// The runner group does not exist.
    RunnerGroupMissing => Permanent,
    /// The matched task definition has no container of the runner's name.
    ContainerMissing => Permanent,
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
