//! Why an execution ends without its job served.
//!
//! [`judge`](crate::judge) gives a job up for a [`GiveUp`], whose name becomes the execution's error.
//! The event of that end, `sweep` and a later execution read the name back as a [`Failure`], which
//! also knows the errors that AWS names.

use std::fmt;

use protocol::{Class, Fault};
use serde::{Deserialize, Serialize};

use crate::outcomes::Outcome;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident,)+) => {
        /// Why an execution ends without its job served. Its name is the execution's error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum GiveUp {
            $($(#[doc = $doc])+ $variant,)+
            /// A step met this fault.
            Fault(Fault),
        }

        impl GiveUp {
            /// Every reason but the faults, which are [`Fault::ALL`].
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
    /// Runner after runner listened and got no job, until the job's day in the queue was over.
    NeverPickedUp,
    /// The attempts that may end in faults are spent.
    BudgetSpent,
    /// The job's day in the queue is over.
    QueueLimit,
    /// The job left the queue while its execution waited for the next attempt, which was stopped.
    JobCancelled,
    /// GitHub refuses this runner version.
    RunnerTooOld,
    /// The registry refuses the image, or it is for another platform.
    ImageRefused,
    /// The task's environment or image is not this system's.
    Misconfigured,
    /// ECS refuses the task.
    TaskRefused,
    /// A step failed for a permanent reason that is no fault of ours.
    StepRefused,
}

impl GiveUp {
    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.name() == name)
            .or_else(|| Fault::from_name(name).map(Self::Fault))
    }

    /// Why an attempt that ended so is the last one. The fault tells more than the outcome, where a
    /// step threw one.
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

/// The name of no reason that this version knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no reason for giving up that this version knows")]
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

/// What a failed execution's error tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// A reason of ours: `cleanup` gave up, or a step threw a fault that no state takes further.
    Named(GiveUp),
    /// The Lambda service failed, or throttled us.
    LambdaService,
    /// A role may not do what the state machine asks for.
    Permissions,
    /// Any other error: of AWS, of a newer version, or of a person who stopped the execution.
    Unknown,
}

impl Failure {
    /// Reads an execution's error. The names of Lambda's own service are those that AWS documents
    /// ([errors]).
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

    /// Whether it is an outage of AWS or GitHub, or their rate limits.
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
