//! Why a command ends early: a sentence with the next step, and an exit code.

use crate::exit::Exit;
use crate::nearest::nearest;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "found no AWS credentials ({0}): run `aws sso login`, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    NoCredentials(String),
    #[error(
        "the AWS configuration has no profile {name}{}",
        profile_meant(name, existing)
    )]
    NoProfile {
        name: String,
        /// Profiles that are there.
        existing: Vec<String>,
    },
    #[error("AWS rejects the credentials ({0}): log in again, for example with `aws sso login`")]
    Credentials(String),
    #[error("no region is set: give --region, or set AWS_REGION")]
    NoRegion,
    #[error(
        "cannot reach AWS in region {region} ({problem}): check the region's name, the network, and AWS_ENDPOINT_URL if it is set"
    )]
    Unreachable { region: String, problem: String },
    #[error("{}", no_stack(name, region, existing))]
    NoStack {
        name: String,
        region: String,
        /// Deployments that are there.
        existing: Vec<String>,
    },
    #[error(
        "no deployment of Fargate Runners is in region {region}: give --region, or deploy one there (README, Deploy to AWS){}",
        broken(.failed)
    )]
    NoDeployment {
        region: String,
        /// Stacks that failed to come up, of whatever app.
        failed: Vec<String>,
    },
    #[error("stack {stack} is in {status}, and has no outputs yet: try again when that has ended")]
    Unfinished { stack: String, status: String },
    #[error(
        "stack {stack} is in {status}, so its deployment is not there: `aws cloudformation describe-stack-events --stack-name {stack}` tells what failed; then delete the stack, and deploy again"
    )]
    Broken { stack: String, status: String },
    #[error(
        "stack {stack} is no deployment of Fargate Runners: {}",
        meant(stack, existing)
    )]
    Another {
        stack: String,
        /// Deployments that are there.
        existing: Vec<String>,
    },
    #[error(
        "no deployment of Fargate Runners is in region {region}: give --region, deploy one there first (cdk deploy), or give --prefix PREFIX to work without a stack"
    )]
    NothingToSetUp { region: String },
    #[error("region {region} has {} deployments: choose one with --stack ({})", .names.len(), .names.join(", "))]
    Several { region: String, names: Vec<String> },
    #[error(
        "stack {stack} has no output {output}: deploy this version of the app, which adds it (cdk deploy)"
    )]
    NoOutput { stack: String, output: &'static str },
    #[error("stack {stack} has the output {output}, which cannot be used: {problem}")]
    BadOutput {
        stack: String,
        output: &'static str,
        problem: String,
    },
    #[error(
        "cannot serve on port {port} of 127.0.0.1 ({problem}): choose another with --port, or --port 0 for any free one"
    )]
    Port { port: u16, problem: String },
    /// A reader that went away, such as `head`, is no failure.
    #[error("cannot write to standard output ({0})")]
    Output(std::io::Error),
    #[error("{0}")]
    NoJob(String),
    #[error(transparent)]
    Aws(#[from] aws::Error),
    #[error(transparent)]
    GitHub(#[from] github::Error),
    #[error(transparent)]
    Fleet(#[from] fleet::Error),
    #[error(transparent)]
    Settings(#[from] runtime::settings::Error),
    /// A sentence of its own, for what only one command meets.
    #[error("{0}")]
    Other(String),
}

fn no_stack(name: &str, region: &str, existing: &[String]) -> String {
    format!(
        "region {region} has no stack {name}; {}",
        meant(name, existing)
    )
}

fn meant(name: &str, existing: &[String]) -> String {
    nearest(name, existing).map_or_else(
        || "no deployment of Fargate Runners is there: give --region".to_owned(),
        |nearest| format!("did you mean --stack {nearest}?"),
    )
}

fn profile_meant(name: &str, existing: &[String]) -> String {
    match nearest(name, existing) {
        Some(nearest) => format!(": did you mean --profile {nearest}?"),
        None => {
            ", nor any other: write one with `aws configure`, or `aws configure sso`".to_owned()
        }
    }
}

fn broken(failed: &[String]) -> String {
    if failed.is_empty() {
        return String::new();
    }
    format!(
        ". If it is one of these stacks, its deployment failed, and --stack NAME tells more: {}",
        failed.join(", ")
    )
}

impl Error {
    /// Whether the same may succeed in a moment: AWS throttles, or did not answer.
    pub fn passes(&self) -> bool {
        let kind = match self {
            Self::Aws(error) => Some(error.kind()),
            _ => None,
        };
        matches!(
            kind,
            Some(aws::ErrorKind::Throttled | aws::ErrorKind::Unavailable)
        )
    }

    pub const fn exit(&self) -> Exit {
        match self {
            Self::NoCredentials(_)
            | Self::NoProfile { .. }
            | Self::Credentials(_)
            | Self::NoRegion
            | Self::Unreachable { .. } => Exit::NotConnected,
            Self::NoStack { .. }
            | Self::NoDeployment { .. }
            | Self::NothingToSetUp { .. }
            | Self::Unfinished { .. }
            | Self::Broken { .. }
            | Self::Another { .. }
            | Self::Several { .. }
            | Self::NoOutput { .. }
            | Self::BadOutput { .. } => Exit::NoDeployment,
            Self::Port { .. } => Exit::Usage,
            Self::NoJob(_) => Exit::NoJob,
            Self::Aws(_)
            | Self::GitHub(_)
            | Self::Fleet(_)
            | Self::Settings(_)
            | Self::Output(_)
            | Self::Other(_) => Exit::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_stack_is_named() {
        let error = |existing: &[&str]| {
            Error::NoStack {
                name: "fargate-runner".to_owned(),
                region: "eu-west-1".to_owned(),
                existing: existing.iter().map(ToString::to_string).collect(),
            }
            .to_string()
        };
        assert_eq!(
            error(&["staging", "fargate-runners"]),
            "region eu-west-1 has no stack fargate-runner; did you mean --stack fargate-runners?"
        );
        assert!(error(&[]).ends_with("give --region"));
    }

    #[test]
    fn each_exit_code_is_documented_once() {
        for (index, (exit, _)) in Exit::ALL.iter().enumerate() {
            assert_eq!(usize::from(exit.code()), index);
        }
    }
}
