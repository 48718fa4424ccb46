//! Names of the state machine's states.
//!
//! An execution's history has the state that it entered last, and decisions use it. A contract test
//! compares this list with the keys of `statemachine/runner.asl.json`, [`State::OF_A_POOL`] and
//! [`State::OF_CAPS`].

use std::fmt;
use std::str::FromStr;

macro_rules! states {
    ($($(#[doc = $doc:literal])+ $variant:ident,)+) => {
        /// A state of the state machine. The variant's name is the state's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum State {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl State {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }
    };
}

impl State {
    /// The states that only a deployment with a pool of warm tasks has.
    pub const OF_A_POOL: &'static [Self] = &[Self::Start, Self::WarmRunner];

    /// The states that only a deployment with caps has.
    pub const OF_CAPS: &'static [Self] = &[Self::WaitForSlot];
}

states! {
    /// Selects the task definition.
    Match,
    /// Plans the runner.
    Launch,
    /// Registers the runner.
    Token,
    /// Waits until fewer runners run. Only a deployment with caps has it.
    WaitForSlot,
    /// Chooses whether a warm task runs the runner. Only a deployment with a pool has it.
    Start,
    /// Runs the runner's task.
    Runner,
    /// Waits for the end of an adopted warm task. Only a deployment with a pool has it.
    WarmRunner,
    /// Removes what the attempt left, and decides.
    Cleanup,
    /// Pauses before the next attempt.
    Wait,
    /// Waits for the end of GitHub's rate limit.
    WaitForGitHub,
    /// Fails because no task definition offers the job's labels.
    Unmatched,
    /// Fails without having served the job.
    Failed,
}

/// An unknown state name. A newer version of the state machine may have it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a state of this version's state machine")]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|state| state.as_str() == name)
            .ok_or_else(|| UnknownState(name.to_owned()))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        assert!("Redrive".parse::<State>().is_err());
    }
}
