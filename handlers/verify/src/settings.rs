//! What the operator decides about webhooks.

use admission::Policy;
use aws::executions::StateMachineArn;
use protocol::DeploymentId;
use runtime::settings::{Error, Settings, Variable, shared};
use runtime::telemetry;
use time::Duration;

use crate::source::Sources;

const CLEANUP_FUNCTION: Variable = Variable::required(
    "CLEANUP_FUNCTION",
    "function that handles cancelled and displaced jobs, by name or ARN",
);
const SECRET_TTL_SECONDS: Variable = Variable::with_default(
    "SECRET_TTL_SECONDS",
    "300",
    "seconds that the webhook secret is cached",
);
const OVERFLOW_QUEUE_URL: Variable = Variable::optional(
    "OVERFLOW_QUEUE_URL",
    "SQS queue for jobs while StartExecution is throttled; without it the delivery fails and is redelivered",
);

const ALLOWED_SOURCES: Variable = Variable::optional(
    "ALLOWED_SOURCES",
    "ranges of addresses (CIDR, IPv4 or IPv6) that webhooks come from, separated by spaces or commas; from anywhere if not set",
);

/// Every variable that `verify` reads.
pub const VARIABLES: &[&[Variable]] = &[
    &[
        shared::DEPLOYMENT,
        shared::PREFIX,
        shared::STATE_MACHINE_ARN,
        CLEANUP_FUNCTION,
        SECRET_TTL_SECONDS,
        OVERFLOW_QUEUE_URL,
        ALLOWED_SOURCES,
    ],
    admission::VARIABLES,
    pool::VARIABLES,
    aws::VARIABLES,
    telemetry::VARIABLES,
];

/// The configuration of `verify`.
#[derive(Clone, Debug)]
pub struct Config {
    pub deployment: DeploymentId,
    /// The parameter with the webhook's secrets.
    pub secret_parameter: String,
    /// The parameter that is there while the deployment is paused.
    pub paused_parameter: String,
    /// How long secrets are used before they are read again.
    pub secret_ttl: Duration,
    pub policy: Policy,
    pub state_machine: StateMachineArn,
    pub cleanup_function: String,
    pub overflow_queue: Option<String>,
    /// Where requests may come from.
    pub sources: Sources,
}

impl Config {
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let prefix = settings.text(&shared::PREFIX)?;
        let secret_ttl = settings.seconds(&SECRET_TTL_SECONDS)?;
        Ok(Self {
            deployment: settings.parsed(&shared::DEPLOYMENT)?,
            secret_parameter: format!("/{}/github/webhook-secret", prefix.trim_matches('/')),
            paused_parameter: protocol::paused_parameter(&prefix),
            secret_ttl: secret_ttl.try_into().unwrap_or(Duration::MAX),
            policy: Policy::from_settings(settings)?,
            state_machine: settings.parsed(&shared::STATE_MACHINE_ARN)?,
            cleanup_function: settings.text(&CLEANUP_FUNCTION)?,
            overflow_queue: settings.maybe(&OVERFLOW_QUEUE_URL),
            sources: Sources::new(settings.parsed_list(&ALLOWED_SOURCES)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: [(&str, &str); 5] = [
        ("DEPLOYMENT", "fr"),
        ("PREFIX", "fargate-runners"),
        (
            "STATE_MACHINE_ARN",
            "arn:aws:states:eu-west-1:123456789012:stateMachine:runner",
        ),
        ("CLEANUP_FUNCTION", "cleanup"),
        ("ALLOWED_OWNERS", "octo"),
    ];

    fn read(more: &[(&str, &str)]) -> Result<Config, Error> {
        Config::from_settings(&Settings::from_pairs(SET.iter().chain(more).copied()))
    }

    #[test]
    fn by_default_private_repositories_jobs_for_self_hosted_runners_are_served() {
        let config = read(&[]).unwrap();
        assert_eq!(
            config.secret_parameter,
            "/fargate-runners/github/webhook-secret"
        );
        assert_eq!(config.policy.required.to_string(), "self-hosted");
        assert!(!config.policy.public && !config.policy.internal);
        assert_eq!(config.overflow_queue, None);
    }

    #[test]
    fn a_repository_without_its_owner_is_told_so() {
        let error = read(&[("ALLOWED_REPOSITORIES", "octo/hello, world")]).unwrap_err();
        assert!(
            error.to_string().starts_with(
                "environment variable ALLOWED_REPOSITORIES is \"world\": \"world\" is not a repository's full name"
            ),
            "{error}"
        );
    }

    #[test]
    fn nobodys_jobs_are_served_unless_that_is_said() {
        let error = read(&[("ALLOWED_OWNERS", "")]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("environment variable ALLOWED_OWNERS is not set"),
            "{error}"
        );
    }

    #[test]
    fn a_range_that_is_none_is_told_so() {
        let error = read(&[("ALLOWED_SOURCES", "192.30.252.0/22 192.30.252.0/40")]).unwrap_err();
        assert!(
            error.to_string().starts_with(
                "environment variable ALLOWED_SOURCES is \"192.30.252.0/40\": it is not a range of addresses"
            ),
            "{error}"
        );
    }

    #[test]
    fn an_arn_of_something_else_is_told_so() {
        let error = read(&[("STATE_MACHINE_ARN", "arn:aws:lambda:x")]).unwrap_err();
        assert!(
            error.to_string().contains("not a state machine's ARN"),
            "{error}"
        );
    }

    #[test]
    fn required_labels_that_name_no_alternative_are_told_so() {
        let error = read(&[("REQUIRED_LABELS", "self-hosted | ")]).unwrap_err();
        assert!(error.to_string().contains("empty alternative"), "{error}");
    }
}
