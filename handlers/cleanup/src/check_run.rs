//! Check runs: show on GitHub that an execution gave its job up.
//!
//! Without one, the job stays `queued` for a day and the reason is visible only in the AWS account.
//! If the deployment enables it and the App has `Checks: read and write`, the job's commit gets a
//! check run with the cause, the fix, and a link to the execution. Its conclusion is `neutral`: it
//! informs, and neither fails nor passes anything.
//!
//! A job has one check run, shared by all its executions: it is found by its external id and
//! updated. It is written only if the execution is closed and not restarted, so a job that is
//! served costs no call. A failure to write it is logged and never fails the handler.

use decisions::JobStatus;
use fleet::Execution;
use github::{Access, CheckRun, Installation};
use protocol::{ExecutionName, Job};
use serde::Deserialize;

use crate::event::AttemptOver;
use crate::{Deps, Error};

/// GitHub accepts 65,535 characters of summary; a longer cause is unreadable.
const CAUSE_LIMIT: usize = 4_000;
/// Enough to tell jobs apart. GitHub documents no limit for a check run's name.
const NAME_LIMIT: usize = 100;

/// Reports that no execution owns the job any more. Writes nothing if a later execution owns it, if
/// the job left the queue, or after an abort, which was deliberate.
pub async fn tell_unserved(deps: &Deps, closed: &Execution) {
    if !deps.config.check_runs || !closed.status.has_failed() {
        return;
    }
    match unserved(deps, closed).await {
        Ok(result) => {
            tracing::info!(execution = %closed.name, job_id = %closed.order.job.id, result, "check run");
        }
        Err(error) => {
            tracing::warn!(%error, execution = %closed.name, "cannot write the check run; the job's commit does not show why it waits");
        }
    }
}

async fn unserved(deps: &Deps, closed: &Execution) -> Result<&'static str, Error> {
    let job = &closed.order.job;
    if let Ok(next) = closed.name.next()
        && deps.fleet.execution(&next).await?.is_some()
    {
        return Ok("left to a later execution");
    }
    let access = Access::jobs(&job.repository);
    let serving = deps
        .github
        .still_serving(&job.repository, job.installation_id, &access);
    let Some(installation) = serving.await? else {
        return Ok("the App is not installed");
    };
    if !installation.may_write_checks().await? {
        return Ok("the App lacks `Checks: read and write`");
    }
    let Some(commit) = installation.commit_of(&job.repository, job.id).await? else {
        return Ok("GitHub does not show the job");
    };
    if !commit.queued {
        return Ok("the job left the queue");
    }
    let error = closed.error.as_deref().unwrap_or(closed.status.name());
    let link = console_link(&deps.fleet.executions.arn(&closed.name));
    let name = name(job);
    let run = CheckRun {
        name: &name,
        external_id: &external_id(deps, job),
        title: &format!("No runner: {error}"),
        summary: &summary(error, closed.cause.as_deref(), &closed.name, &link),
        details_url: &link,
    };
    put(&installation, job, &commit.sha, &run).await?;
    Ok("written")
}

/// Reports that a job was served after all, if an earlier execution's check run says otherwise.
/// Only a restart looks for one: a first execution has no predecessor.
pub async fn tell_served(deps: &Deps, over: &AttemptOver, state: &JobStatus) {
    if !deps.config.check_runs || over.execution.restart() < 2 || state.runner().is_none() {
        return;
    }
    if let Err(error) = update_served(deps, over).await {
        tracing::warn!(%error, execution = %over.execution, "cannot update the check run");
    }
}

async fn update_served(deps: &Deps, over: &AttemptOver) -> Result<(), Error> {
    let job = &over.order.job;
    let access = Access::jobs(&job.repository);
    let installation = deps
        .github
        .serving(&job.repository, job.installation_id, &access)
        .await?;
    if !installation.may_write_checks().await? {
        return Ok(());
    }
    let Some(commit) = installation.commit_of(&job.repository, job.id).await? else {
        return Ok(());
    };
    let (name, external_id) = (name(job), external_id(deps, job));
    let found = installation
        .find_check_run(&job.repository, &commit.sha, &name, &external_id)
        .await?;
    if let Some(id) = found {
        let link = console_link(&deps.fleet.executions.arn(&over.execution));
        let run = CheckRun {
            name: &name,
            external_id: &external_id,
            title: "A runner took the job",
            summary: &format!(
                "An earlier execution gave this job up. A later one, [{}]({link}), served it. There is nothing to do.",
                over.execution
            ),
            details_url: &link,
        };
        installation
            .update_check_run(&job.repository, id, &run)
            .await?;
    }
    Ok(())
}

async fn put(
    installation: &Installation,
    job: &Job,
    sha: &str,
    run: &CheckRun<'_>,
) -> Result<(), github::Error> {
    let repository = &job.repository;
    let found = installation
        .find_check_run(repository, sha, run.name, run.external_id)
        .await?;
    match found {
        Some(id) => installation.update_check_run(repository, id, run).await,
        None => installation.create_check_run(repository, sha, run).await,
    }
}

/// The same for all executions of a job, and different in every deployment.
fn external_id(deps: &Deps, job: &Job) -> String {
    let first = ExecutionName::first(&job.repository, job.id);
    format!("{}-{first}", deps.fleet.deployment)
}

fn name(job: &Job) -> String {
    let text: String = job
        .name
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(NAME_LIMIT)
        .collect();
    format!("Self-hosted runner for {}", text.trim())
}

fn summary(error: &str, cause: Option<&str>, execution: &ExecutionName, link: &str) -> String {
    let cause = plain(cause.unwrap_or("no cause was given"));
    let fence = fence(&cause);
    format!(
        "This job is still queued, and no runner will be started for it: its execution failed with `{error}`.\n\n\
         {fence}text\n{cause}\n{fence}\n\n\
         **What to do:** fix the cause. Then cancel this run and re-run it, or have an administrator of the GitHub App \
         press *Redeliver* on the job's `queued` webhook (App settings → Advanced).\n\n\
         Execution: [{execution}]({link}) (needs access to the AWS account).\n\n\
         This check run informs only; it neither fails nor passes the commit."
    )
}

/// Extracts the message of a cause. An error that no Catch parsed arrives as Lambda's JSON.
fn plain(cause: &str) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct LambdaError {
        error_message: String,
    }
    let text = serde_json::from_str::<LambdaError>(cause)
        .map_or_else(|_| cause.to_owned(), |error| error.error_message);
    let cut: String = text.chars().take(CAUSE_LIMIT).collect();
    if cut.len() < text.len() {
        format!("{cut}…")
    } else {
        cut
    }
}

/// A code fence that nothing in the text can close: a cause quotes labels, which the job's author
/// controls.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat((longest + 1).max(3))
}

/// Links to the execution's page in the Step Functions console of its partition ([partitions]).
///
/// [partitions]: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
fn console_link(arn: &str) -> String {
    let mut parts = arn.split(':').skip(1);
    let (partition, region) = (
        parts.next().unwrap_or_default(),
        parts.nth(1).unwrap_or_default(),
    );
    let host = match partition {
        "aws-cn" => "console.amazonaws.cn".to_owned(),
        "aws-us-gov" => "console.amazonaws-us-gov.com".to_owned(),
        _ => format!("{region}.console.aws.amazon.com"),
    };
    format!("https://{host}/states/home?region={region}#/v2/executions/details/{arn}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_the_console_of_the_executions_partition_and_region() {
        let arn = |partition, region| {
            format!(
                "arn:{partition}:states:{region}:123456789012:execution:fargate-runners:hello-1"
            )
        };
        let commercial = console_link(&arn("aws", "eu-central-1"));
        assert_eq!(
            commercial,
            format!(
                "https://eu-central-1.console.aws.amazon.com/states/home?region=eu-central-1#/v2/executions/details/{}",
                arn("aws", "eu-central-1")
            )
        );
        let china = console_link(&arn("aws-cn", "cn-north-1"));
        assert!(
            china.starts_with("https://console.amazonaws.cn/"),
            "{china}"
        );
        let gov = console_link(&arn("aws-us-gov", "us-gov-west-1"));
        assert!(
            gov.starts_with("https://console.amazonaws-us-gov.com/"),
            "{gov}"
        );
    }

    #[test]
    fn a_cause_cannot_break_out_of_its_code_block() {
        let name = "hello-1".parse().unwrap();
        let text = summary(
            "Unmatched",
            Some("label ```\n# hi ```` there"),
            &name,
            "https://x",
        );
        assert!(text.contains("`````text\nlabel ```\n# hi ```` there\n`````"));
    }

    #[test]
    fn a_handlers_error_is_shown_as_its_sentence() {
        assert_eq!(
            plain(r#"{"errorType":"AwsRefused","errorMessage":"not allowed"}"#),
            "not allowed"
        );
        assert_eq!(plain("not allowed"), "not allowed");
        assert!(plain(&"é".repeat(5_000)).ends_with("é…"));
    }
}
