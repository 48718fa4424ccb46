//! The names of the state machine's states.
//!
//! An execution's history names the state that it entered last, and decisions go by it. A test holds
//! this list against the keys of `statemachine/runner.asl.json`.

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
            /// Every state there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }
    };
}

states! {
    /// Finds the task definition that serves.
    Match,
    /// Plans the runner.
    Launch,
    /// Registers the runner.
    Token,
    /// Runs the runner's task.
    Runner,
    /// Removes what the attempt left, and judges.
    Cleanup,
    /// The pause before the next attempt.
    Wait,
    /// The pause before GitHub is asked again.
    WaitForGitHub,
    /// The end of a job whose labels nothing offers.
    Unmatched,
    /// The end without the job served.
    Failed,
}

/// The name of no state that this version knows. A newer version of the machine may have one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no state of this version's state machine")]
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
