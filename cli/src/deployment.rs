//! The deployment, as its `CloudFormation` stack's outputs tell.

use std::collections::BTreeMap;
use std::str::FromStr;

use aws::ErrorKind;
use aws::executions::StateMachineArn;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{Stack, StackStatus};
use github::ApiUrl;
use protocol::DeploymentId;

use crate::{Connection, Error};

/// Pages of stacks that are searched; a page has a hundred or so.
const PAGES: usize = 10;

/// One deployment of Fargate Runners.
#[derive(Clone, Debug)]
pub struct Deployment {
    pub stack: String,
    /// Prefix of all names.
    pub prefix: String,
    /// First part of the runners' names.
    pub id: DeploymentId,
    pub machine: StateMachineArn,
    pub cluster: String,
    pub webhook_url: String,
    pub github: ApiUrl,
    /// Log group of the runners' tasks.
    pub task_logs: String,
    /// The name of the function `verify`.
    pub verify: String,
    pub cleanup: String,
    /// URL of the queue of events that failed for good; nothing in a stack of an earlier version.
    pub dead_letters: Option<String>,
    /// Version of the package that deployed it; nothing in a stack of an earlier one.
    pub version: Option<String>,
    /// `CloudFormation`'s status of the stack.
    pub status: String,
}

/// The outputs of a stack, by their names.
pub type Outputs = BTreeMap<String, String>;

impl Deployment {
    /// Finds the stack of that name, or the only deployment of the region.
    pub async fn find(connection: &Connection, name: Option<&str>) -> Result<Self, Error> {
        Self::find_with(&Client::new(&connection.config), &connection.region, name).await
    }

    pub async fn find_with(
        client: &Client,
        region: &str,
        name: Option<&str>,
    ) -> Result<Self, Error> {
        if let Some(name) = name {
            let stacks = client.describe_stacks().stack_name(name).send().await;
            match stacks {
                Ok(found) => {
                    if let Some(stack) = found.stacks().first() {
                        let outputs = outputs(stack);
                        if SIGNS.iter().any(|sign| outputs.contains_key(*sign)) {
                            return Self::read(name, &outputs).map(|found| found.in_status(stack));
                        }
                        return Err(Self::without_outputs(client, region, name, stack).await);
                    }
                }
                Err(error) => {
                    let told = problem(region, &error);
                    // CloudFormation has no error name of its own for it.
                    if !matches!(&told, Error::Aws(error) if error.to_string().contains("does not exist"))
                    {
                        return Err(told);
                    }
                }
            }
            return Err(Error::NoStack {
                name: name.to_owned(),
                region: region.to_owned(),
                existing: names(&all(client, region).await?.deployments),
            });
        }
        let All {
            deployments,
            failed,
        } = all(client, region).await?;
        match &deployments[..] {
            [] => Err(Error::NoDeployment {
                region: region.to_owned(),
                failed,
            }),
            [stack] => {
                let found = Self::read(stack.stack_name().unwrap_or_default(), &outputs(stack))?;
                Ok(found.in_status(stack))
            }
            several => Err(Error::Several {
                region: region.to_owned(),
                names: names(several),
            }),
        }
    }

    /// Why a stack has none of a deployment's outputs.
    async fn without_outputs(client: &Client, region: &str, name: &str, stack: &Stack) -> Error {
        let (stack, status) = (name.to_owned(), status(stack));
        if FAILED.contains(&status.as_str()) {
            return Error::Broken { stack, status };
        }
        if status.ends_with("IN_PROGRESS") {
            return Error::Unfinished { stack, status };
        }
        match all(client, region).await {
            Ok(all) => Error::Another {
                stack,
                existing: names(&all.deployments),
            },
            Err(error) => error,
        }
    }

    fn in_status(self, stack: &Stack) -> Self {
        Self {
            status: status(stack),
            ..self
        }
    }

    /// Reads a stack's outputs.
    pub fn read(stack: &str, outputs: &Outputs) -> Result<Self, Error> {
        let text = |output: &'static str| {
            outputs.get(output).cloned().ok_or_else(|| Error::NoOutput {
                stack: stack.to_owned(),
                output,
            })
        };
        let path = text(PATH)?;
        let prefix = path
            .trim_matches('/')
            .strip_suffix("/github")
            .ok_or_else(|| Error::BadOutput {
                stack: stack.to_owned(),
                output: PATH,
                problem: format!("{path:?} is not /PREFIX/github"),
            })?;
        Ok(Self {
            stack: stack.to_owned(),
            prefix: prefix.to_owned(),
            id: parsed(stack, "DeploymentId", &text("DeploymentId")?)?,
            machine: parsed(stack, MACHINE, &text(MACHINE)?)?,
            cluster: text("ClusterName")?,
            webhook_url: text("WebhookUrl")?,
            github: parsed(stack, "GitHubApiUrl", &text("GitHubApiUrl")?)?,
            task_logs: text("TaskLogGroup")?,
            verify: text("VerifyFunction")?,
            cleanup: text("CleanupFunction")?,
            dead_letters: outputs.get("DeadLetterQueue").cloned(),
            version: outputs.get("Version").cloned(),
            status: String::new(),
        })
    }
}

/// Parses an output.
fn parsed<T: FromStr<Err: std::fmt::Display>>(
    stack: &str,
    output: &'static str,
    text: &str,
) -> Result<T, Error> {
    text.parse().map_err(|problem: T::Err| Error::BadOutput {
        stack: stack.to_owned(),
        output,
        problem: problem.to_string(),
    })
}

const PATH: &str = "ParameterPath";
const MACHINE: &str = "StateMachineArn";

/// The outputs by which a stack is known as a deployment.
const SIGNS: [&str; 3] = [MACHINE, PATH, "VerifyFunction"];

fn outputs(stack: &Stack) -> Outputs {
    let outputs = stack.outputs().iter();
    outputs
        .filter_map(|output| {
            Some((
                output.output_key()?.to_owned(),
                output.output_value()?.to_owned(),
            ))
        })
        .collect()
}

/// Statuses of a stack that did not come up, or not go away ([statuses]).
///
/// [statuses]: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html#cfn-console-view-stack-data-resources-status-codes
const FAILED: [&str; 5] = [
    "CREATE_FAILED",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "ROLLBACK_IN_PROGRESS",
    "DELETE_FAILED",
];

fn status(stack: &Stack) -> String {
    let status = stack.stack_status().map(StackStatus::as_str);
    status.unwrap_or_default().to_owned()
}

/// Stacks of the region.
struct All {
    deployments: Vec<Stack>,
    /// The names of others that failed to come up, with their statuses.
    failed: Vec<String>,
}

fn names(stacks: &[Stack]) -> Vec<String> {
    let names = stacks.iter().filter_map(|stack| stack.stack_name());
    names.map(str::to_owned).collect()
}

/// All deployments of the region, by the names of their stacks.
async fn all(client: &Client, region: &str) -> Result<All, Error> {
    let mut pages = client.describe_stacks().into_paginator().send();
    let (mut deployments, mut failed) = (Vec::new(), Vec::new());
    for _ in 0..PAGES {
        let Some(page) = pages.next().await else {
            break;
        };
        let page = page.map_err(|error| problem(region, &error))?;
        for stack in page.stacks() {
            let outputs = outputs(stack);
            let is_ours = SIGNS.iter().all(|sign| outputs.contains_key(*sign));
            let status = status(stack);
            if is_ours && status != "DELETE_COMPLETE" {
                deployments.push(stack.clone());
            } else if !is_ours && FAILED.contains(&status.as_str()) {
                let name = stack.stack_name().unwrap_or_default();
                failed.push(format!("{name} ({status})"));
            }
        }
    }
    deployments.sort_by(|a, b| a.stack_name().cmp(&b.stack_name()));
    failed.sort();
    Ok(All {
        deployments,
        failed,
    })
}

/// What the first call of a command tells about credentials and region.
fn problem<E>(region: &str, error: &aws_sdk_cloudformation::error::SdkError<E>) -> Error
where
    E: aws_sdk_cloudformation::error::ProvideErrorMetadata + std::error::Error + 'static,
{
    use aws_sdk_cloudformation::error::SdkError;

    let told = aws::Error::new("cloudformation:DescribeStacks", region, error);
    match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            let rejected = [
                "ExpiredToken",
                "ExpiredTokenException",
                "InvalidClientTokenId",
                "UnrecognizedClientException",
                "SignatureDoesNotMatch",
                "RequestExpired",
            ];
            if rejected.contains(&code) {
                Error::Credentials(service.err().message().unwrap_or(code).to_owned())
            } else {
                Error::Aws(told)
            }
        }
        _ if told.kind() == ErrorKind::Unavailable => Error::Unreachable {
            region: region.to_owned(),
            problem: innermost(error),
        },
        _ => Error::Aws(told),
    }
}

/// The cause below all causes: the SDK's own words only say that the dispatch failed.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&cause| cause.source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudformation::operation::describe_stacks::{
        DescribeStacksError, DescribeStacksOutput,
    };
    use aws_sdk_cloudformation::primitives::DateTime;
    use aws_sdk_cloudformation::types::Output;
    use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};

    use super::*;
    use crate::Exit;

    fn deployed(prefix: &str) -> Outputs {
        [
            ("DeploymentId", "fr".to_owned()),
            (
                "StateMachineArn",
                format!("arn:aws:states:eu-west-1:1:stateMachine:{prefix}"),
            ),
            ("ClusterName", prefix.to_owned()),
            (
                "WebhookUrl",
                "https://x.lambda-url.eu-west-1.on.aws/".to_owned(),
            ),
            ("GitHubApiUrl", "https://api.github.com".to_owned()),
            ("TaskLogGroup", format!("/ecs/{prefix}")),
            ("ParameterPath", format!("/{prefix}/github")),
            ("VerifyFunction", format!("{prefix}-verify")),
            ("CleanupFunction", format!("{prefix}-cleanup")),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    fn stack(name: &str, outputs: &Outputs) -> Stack {
        let outputs = outputs.iter().map(|(name, value)| {
            Output::builder()
                .output_key(name)
                .output_value(value)
                .build()
        });
        Stack::builder()
            .stack_name(name)
            .creation_time(DateTime::from_secs(0))
            .stack_status(StackStatus::CreateComplete)
            .set_outputs(Some(outputs.collect()))
            .build()
    }

    /// A region with these stacks.
    fn region(names: &[&str]) -> Client {
        let mut stacks = vec![stack("network", &Outputs::new())];
        stacks.extend(names.iter().map(|name| stack(name, &deployed(name))));
        let rule = mock!(Client::describe_stacks).then_compute_response(move |request| {
            let found: Vec<_> = stacks
                .iter()
                .filter(|stack| {
                    request
                        .stack_name()
                        .is_none_or(|name| stack.stack_name() == Some(name))
                })
                .cloned()
                .collect();
            if found.is_empty() {
                let meta = aws_sdk_cloudformation::error::ErrorMetadata::builder()
                    .code("ValidationError")
                    .message("Stack with id x does not exist");
                return MockResponse::Error(DescribeStacksError::generic(meta.build()));
            }
            MockResponse::Output(
                DescribeStacksOutput::builder()
                    .set_stacks(Some(found))
                    .build(),
            )
        });
        mock_client!(aws_sdk_cloudformation, RuleMode::MatchAny, [&rule])
    }

    #[tokio::test]
    async fn the_only_deployment_needs_no_name() {
        let found = Deployment::find_with(&region(&["runners"]), "eu-west-1", None)
            .await
            .unwrap();
        assert_eq!(found.prefix, "runners");
        assert_eq!(
            found.machine.to_string(),
            deployed("runners")["StateMachineArn"]
        );
    }

    #[tokio::test]
    async fn where_one_has_to_choose_or_look_elsewhere_the_error_says_so() {
        for (stacks, name, exit, told) in [
            (
                &[][..],
                None,
                Exit::NoDeployment,
                "no deployment of Fargate Runners is in region eu-west-1",
            ),
            (
                &["a-runners", "b-runners"],
                None,
                Exit::NoDeployment,
                "choose one with --stack (a-runners, b-runners)",
            ),
            (
                &["runners"],
                Some("runner"),
                Exit::NoDeployment,
                "did you mean --stack runners?",
            ),
            (
                &["runners"],
                Some("network"),
                Exit::NoDeployment,
                "stack network is no deployment of Fargate Runners: did you mean --stack runners?",
            ),
        ] {
            let error = Deployment::find_with(&region(stacks), "eu-west-1", name)
                .await
                .unwrap_err();
            assert_eq!(error.exit(), exit, "{error}");
            assert!(error.to_string().contains(told), "{error}");
        }
    }

    #[tokio::test]
    async fn a_stack_that_did_not_come_up_is_told_from_one_of_an_earlier_version() {
        for (status, told) in [
            (StackStatus::RollbackComplete, "tells what failed"),
            (StackStatus::CreateFailed, "tells what failed"),
            (StackStatus::DeleteFailed, "tells what failed"),
            (StackStatus::CreateInProgress, "when that has ended"),
            (StackStatus::ReviewInProgress, "when that has ended"),
        ] {
            let mut of_status = stack("runners", &Outputs::new());
            of_status.stack_status = Some(status.clone());
            let rule = mock!(Client::describe_stacks).then_output(move || {
                DescribeStacksOutput::builder()
                    .stacks(of_status.clone())
                    .build()
            });
            let client = mock_client!(aws_sdk_cloudformation, RuleMode::MatchAny, [&rule]);
            let find = |name| Deployment::find_with(&client, "eu-west-1", name);
            let error = find(Some("runners")).await.unwrap_err();
            assert_eq!(error.exit(), Exit::NoDeployment);
            let error = error.to_string();
            assert!(
                error.contains(status.as_str()) && error.contains(told),
                "{error}"
            );
            let error = find(None).await.unwrap_err().to_string();
            let is_named = error.contains(&format!("runners ({})", status.as_str()));
            assert_eq!(is_named, told == "tells what failed", "{error}");
        }
    }

    #[test]
    fn a_stack_of_an_earlier_version_is_told_what_it_lacks() {
        for name in deployed("x").keys() {
            let mut outputs = deployed("x");
            outputs.remove(name);
            let error = Deployment::read("x", &outputs).unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains("cdk deploy"),
                "{error}"
            );
        }
    }
}
