//! The deployment's alarms that ring, each with the command that shows or mends its cause.

use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;

use crate::Deployment;
use crate::finding::Finding;
use crate::json_api::{CLOUDWATCH, JsonApi};

/// What mends an alarm; PREFIX, MACHINE and DEAD stand for the deployment's own. A test in
/// `cdk/test/monitoring.test.ts` compares the names with those of the template.
const ALARMS: [(&str, &str); 15] = [
    ("failed-executions", FAILED),
    (
        "first-failed-starts",
        "aws logs tail /aws/lambda/PREFIX-cleanup --since 1h, which quotes why the task did not start",
    ),
    ("unmatched", FAILED),
    (
        "jobs-waiting-too-long",
        "fargate-runners jobs, then fargate-runners why JOB",
    ),
    (
        "dead-letters",
        "aws sqs receive-message --queue-url DEAD; mend the cause, then aws sqs purge-queue --queue-url DEAD",
    ),
    ("webhooks-unusable", VERIFY),
    (
        "webhooks-unsigned",
        "fargate-runners setup --configure-webhook",
    ),
    (
        "runners-taken-by-strangers",
        "fargate-runners setup --check, which compares the runner groups",
    ),
    ("webhook-down", VERIFY),
    (
        "webhook-throttled",
        "raise the quota Concurrent executions of Lambda, or webhookConcurrency",
    ),
    (
        "sweep-fails",
        "aws logs tail /aws/lambda/PREFIX-sweep --since 1h",
    ),
    ("stock-fails", STOCK),
    (
        "runner-version-age",
        "rebuild the image: cdk deploy, or rebuildWeekly",
    ),
    (
        "rate-limit",
        "lower reconcileCalls if it is set; the limit rises with the organization's users and repositories",
    ),
    (STOCK_EMPTY, STOCK),
];

const FAILED: &str = "aws stepfunctions list-executions --state-machine-arn MACHINE --status-filter FAILED --max-items 5, then fargate-runners why NAME";
const VERIFY: &str = "aws logs tail /aws/lambda/PREFIX-verify --since 1h";
const STOCK: &str = "aws logs tail /aws/lambda/PREFIX-stock --since 1h";

/// These go on with the name of a runner, or of a capacity.
const STOCK_EMPTY: &str = "stock-empty-";
const NOT_REPLACED: (&str, &str) = (
    "instance-not-replaced-",
    "look at the failed execution of the machine that recycles instances, in Step Functions",
);

pub(super) const CALL: &str = "cloudwatch:DescribeAlarms";

/// Those that ring; one call.
pub(super) async fn read(api: &JsonApi, prefix: &str) -> Result<Vec<Alarm>, aws::Error> {
    let request = json!({
        "AlarmNamePrefix": format!("{prefix}-"),
        "StateValue": "ALARM",
        "MaxRecords": 100,
    });
    let answer = api.call(CLOUDWATCH, CALL, &request).await?;
    let found = answer["MetricAlarms"].as_array().into_iter().flatten();
    Ok(found
        .filter_map(|alarm| Alarm::deserialize(alarm).ok())
        .collect())
}

/// An alarm, as far as it is told.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Alarm {
    #[serde(rename = "AlarmName")]
    name: String,
    #[serde(rename = "AlarmDescription")]
    description: String,
    /// Seconds since 1970, or a text where the engine writes one.
    #[serde(rename = "StateUpdatedTimestamp")]
    since: serde_json::Value,
}

/// The finding of each alarm. Those of a deployment whose prefix begins with this one's are left out.
pub(super) fn judge(
    ringing: Result<Vec<Alarm>, aws::Error>,
    deployment: &Deployment,
    now: OffsetDateTime,
) -> Vec<Finding> {
    let ringing = match ringing {
        Ok(ringing) => ringing,
        Err(error) => {
            return vec![Finding::note(format!(
                "alarms cannot be looked at: {error}"
            ))];
        }
    };
    let findings: Vec<_> = ringing
        .iter()
        .filter_map(|alarm| {
            let name = &alarm.name;
            let own = name.strip_prefix(&deployment.prefix)?.strip_prefix('-')?;
            let fix = mended(own)?;
            let since = alarm.since.as_f64();
            #[expect(clippy::cast_possible_truncation, reason = "whole seconds are told")]
            let since = since
                .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds as i64).ok())
                .map(|at| format!(" for {}", crate::why::span(now - at)));
            let what = &alarm.description;
            Some(Finding::bad(
                format!("{name} rings{}: {what}", since.unwrap_or_default()),
                for_deployment(fix, deployment),
            ))
        })
        .collect();
    if findings.is_empty() {
        vec![Finding::good("no alarm rings")]
    } else {
        findings
    }
}

/// What mends one of our alarms, from its name without the prefix.
fn mended(name: &str) -> Option<&'static str> {
    let known = ALARMS.iter().chain([&NOT_REPLACED]);
    known
        .into_iter()
        .find(|(known, _)| {
            if known.ends_with('-') {
                name.starts_with(known)
            } else {
                name == *known
            }
        })
        .map(|(_, fix)| *fix)
}

fn for_deployment(fix: &str, deployment: &Deployment) -> String {
    let dead = deployment.dead_letters.as_deref();
    fix.replace("PREFIX", &deployment.prefix)
        .replace("MACHINE", &deployment.machine.to_string())
        .replace("DEAD", dead.unwrap_or("URL"))
}
