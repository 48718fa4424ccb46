//! The ARN of a state machine.

use std::fmt;
use std::str::FromStr;

use protocol::ExecutionName;

/// The ARN of a state machine, without a version or an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateMachineArn(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a state machine's ARN: use arn:aws:states:REGION:ACCOUNT:stateMachine:NAME")]
pub struct NotAStateMachine;

impl FromStr for StateMachineArn {
    type Err = NotAStateMachine;

    fn from_str(arn: &str) -> Result<Self, Self::Err> {
        match arn.split(':').collect::<Vec<_>>()[..] {
            ["arn", _, "states", _, _, "stateMachine", name] if !name.is_empty() => {
                Ok(Self(arn.to_owned()))
            }
            _ => Err(NotAStateMachine),
        }
    }
}

impl fmt::Display for StateMachineArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StateMachineArn {
    /// The ARN of one of its executions.
    pub fn execution(&self, name: &ExecutionName) -> String {
        let executions = self.0.replacen(":stateMachine:", ":execution:", 1);
        format!("{executions}:{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_lies_under_its_machine() {
        let machine: StateMachineArn = "arn:aws:states:eu-west-1:123456789012:stateMachine:runner"
            .parse()
            .unwrap();
        assert_eq!(
            machine.execution(&"hello-4242-r2".parse().unwrap()),
            "arn:aws:states:eu-west-1:123456789012:execution:runner:hello-4242-r2"
        );
    }

    #[test]
    fn other_arns_are_refused() {
        for arn in [
            "",
            "runner",
            "arn:aws:states:eu-west-1:123456789012:stateMachine:",
            "arn:aws:states:eu-west-1:123456789012:execution:runner:x",
            "arn:aws:states:eu-west-1:123456789012:stateMachine:runner:1",
            "arn:aws:lambda:eu-west-1:123456789012:function:runner",
        ] {
            assert!(arn.parse::<StateMachineArn>().is_err(), "{arn}");
        }
    }
}
