//! Reasons for which an execution fails.
//!
//! [`judge`](crate::judge) gives a job up with a [`GiveUp`], whose name becomes the execution's
//! error. The event of that failure, `sweep` and a later execution parse the name as a [`Failure`],
//! which also knows AWS's error names.

use std::fmt;

use protocol::{Class, Fault};
use serde::{Deserialize, Serialize};

use crate::outcomes::Outcome;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident,)+) => {
        /// Why an execution fails. Its name is the execution's error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum GiveUp {
            $($(#[doc = $doc])+ $variant,)+
            /// A step threw this fault.
            Fault(Fault),
        }

        impl GiveUp {
            /// Every reason except the faults, which are [`Fault::ALL`].
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The execution's error.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)+
                    Self::Fault(fault) => fault.name(),
                }
            }
        }
    };
}

reasons! {
    /// Runners listened and got no job until the queue limit.
    NeverPickedUp,
    /// The fault budget is spent.
    BudgetSpent,
    /// The queue limit is reached.
    QueueLimit,
    /// The job left the queue while its execution waited for the next attempt, so `sweep` stopped
    /// it.
    JobCancelled,
    /// GitHub rejects this runner version.
    RunnerTooOld,
    /// The registry rejects the image, or it is for another platform.
    ImageRefused,
    /// The task's environment or image is wrong.
    Misconfigured,
    /// ECS rejects the task.
    TaskRefused,
    /// A step failed for a permanent reason that is not one of this system's faults.
    StepRefused,
}

impl GiveUp {
    /// The reason with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.name() == name)
            .or_else(|| Fault::from_name(name).map(Self::Fault))
    }

    /// Why an attempt with this end is the last one. A step's fault is more specific than the
    /// outcome.
    pub(crate) fn of(outcome: Outcome, fault: Option<Fault>) -> Self {
        match (fault, outcome) {
            (Some(fault), _) => Self::Fault(fault),
            (None, Outcome::RunnerTooOld) => Self::RunnerTooOld,
            (None, Outcome::ImageRefused) => Self::ImageRefused,
            (None, Outcome::Misconfigured) => Self::Misconfigured,
            (None, Outcome::TaskRefused) => Self::TaskRefused,
            (None, _) => Self::StepRefused,
        }
    }
}

impl From<GiveUp> for &'static str {
    fn from(reason: GiveUp) -> Self {
        reason.name()
    }
}

/// The name of an unknown reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a known reason for giving up")]
pub struct UnknownReason(String);

impl TryFrom<String> for GiveUp {
    type Error = UnknownReason;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::from_name(&name).ok_or(UnknownReason(name))
    }
}

impl fmt::Display for GiveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A failed execution's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// A reason of this system: `cleanup` gave up, or a step threw a fault that no state catches.
    Named(GiveUp),
    /// The Lambda service failed or throttled.
    LambdaService,
    /// A role lacks a permission that the state machine needs.
    Permissions,
    /// Any other error: of AWS, of a newer version, or of whatever stopped the execution.
    Unknown,
}

impl Failure {
    /// Parses an execution's error. AWS documents the Lambda service's names ([errors]).
    ///
    /// [errors]: https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception
    pub fn from_name(error: &str) -> Self {
        if let Some(reason) = GiveUp::from_name(error) {
            return Self::Named(reason);
        }
        match error {
            "Lambda.TooManyRequestsException"
            | "Lambda.ServiceException"
            | "Lambda.AWSLambdaException"
            | "Lambda.SdkClientException" => Self::LambdaService,
            "States.Permissions" => Self::Permissions,
            _ => Self::Unknown,
        }
    }

    /// Whether it is an outage or a rate limit of AWS or GitHub.
    pub(crate) fn is_external(self) -> bool {
        match self {
            Self::Named(GiveUp::Fault(fault)) => fault.class() == Class::Transient,
            Self::LambdaService => true,
            Self::Named(_) | Self::Permissions | Self::Unknown => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcomes::OutcomeClass;

    #[test]
    fn names_read_back() {
        let faults = Fault::ALL.iter().map(|fault| GiveUp::Fault(*fault));
        for reason in GiveUp::ALL.iter().copied().chain(faults) {
            assert_eq!(GiveUp::from_name(reason.name()), Some(reason));
            let json = serde_json::to_value(reason).unwrap();
            assert_eq!(json, reason.name());
            assert_eq!(serde_json::from_value::<GiveUp>(json).unwrap(), reason);
        }
        assert_eq!(GiveUp::from_name("States.ALL"), None);
        assert!(serde_json::from_value::<GiveUp>("States.ALL".into()).is_err());
    }

    #[test]
    fn no_reason_has_a_faults_name() {
        for reason in GiveUp::ALL {
            assert_eq!(Fault::from_name(reason.name()), None);
        }
    }

    #[test]
    fn every_permanent_outcome_is_a_reason_of_its_own_name() {
        for outcome in Outcome::ALL {
            if outcome.class() == OutcomeClass::Permanent {
                assert_eq!(GiveUp::of(*outcome, None).name(), outcome.name());
            }
        }
    }

    #[test]
    fn what_aws_names_is_no_reason_of_ours() {
        for (error, failure) in [
            ("Lambda.ServiceException", Failure::LambdaService),
            ("States.Permissions", Failure::Permissions),
            ("Lambda.Unknown", Failure::Unknown),
            ("Runtime.ExitError", Failure::Unknown),
        ] {
            assert_eq!(Failure::from_name(error), failure);
        }
    }
}
