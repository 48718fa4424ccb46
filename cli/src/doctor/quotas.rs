//! Quotas against use: the account's vCPUs on Fargate and its concurrent executions of Lambda.
//!
//! Service Quotas tells those of Fargate, Lambda its own, and `CloudWatch` what was used of each.

use std::collections::BTreeMap;

use futures_util::future::join3;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::in_time;
use crate::finding::Finding;
use crate::json_api::{CLOUDWATCH, JsonApi, QUOTAS};

/// Peaks are looked for this far back.
const WINDOW: Duration = Duration::hours(24);
/// Seconds of a value: the window's hours.
const PERIOD: i32 = 3_600;
/// The part of a quota, in fifths, from which on the next burst of jobs meets it.
const FULL: f64 = 4.0;

/// A quota that jobs meet.
#[derive(Clone, Copy, Debug)]
struct Quota {
    /// Names its values in the request.
    id: &'static str,
    /// Its name in Service Quotas.
    name: &'static str,
    service: &'static str,
    code: &'static str,
    /// What is counted.
    unit: &'static str,
}

const ON_DEMAND: Quota = Quota {
    id: "demand",
    name: "Fargate On-Demand vCPU resource count",
    service: "fargate",
    code: "L-3032A538",
    unit: "vCPUs",
};
const SPOT: Quota = Quota {
    id: "spot",
    name: "Fargate Spot vCPU resource count",
    service: "fargate",
    code: "L-36FBB829",
    unit: "vCPUs",
};
const LAMBDA: Quota = Quota {
    id: "lambda",
    name: "Concurrent executions of Lambda",
    service: "lambda",
    code: "L-B99A9384",
    unit: "executions",
};
const ALL: [Quota; 3] = [ON_DEMAND, SPOT, LAMBDA];

/// What three calls told, by [`Quota::id`], and what could not be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The most at one time in the window; zero if nobody used it. Nothing if it could not be asked.
    peaks: Option<BTreeMap<&'static str, f64>>,
    limits: BTreeMap<&'static str, f64>,
    denied: Vec<aws::Error>,
}

const METRICS: &str = "cloudwatch:GetMetricData";

/// Three calls at once.
pub(super) async fn read(
    api: &JsonApi,
    lambda: &aws_sdk_lambda::Client,
    now: OffsetDateTime,
) -> Seen {
    const LIST: &str = "servicequotas:ListServiceQuotas";
    const SETTINGS: &str = "lambda:GetAccountSettings";
    let of_fargate = json!({ "ServiceCode": "fargate", "MaxResults": 100 });
    let settings = async {
        let settings = lambda.get_account_settings().send().await;
        settings.map_err(|error| aws::Error::new(SETTINGS, "this region", &error))
    };
    let (quotas, peaks, settings) = join3(
        in_time(LIST, api.call(QUOTAS, LIST, &of_fargate)),
        in_time(METRICS, peaks(api, now)),
        in_time(SETTINGS, settings),
    )
    .await;
    let mut seen = Seen::default();
    match quotas {
        Ok(quotas) => {
            let list = quotas["Quotas"].as_array().cloned().unwrap_or_default();
            for quota in ALL {
                let mut of_code = list.iter().filter(|one| one["QuotaCode"] == quota.code);
                if let Some(value) = of_code.find_map(|one| one["Value"].as_f64()) {
                    seen.limits.insert(quota.id, value);
                }
            }
        }
        Err(error) => seen.denied.push(error),
    }
    match peaks {
        Ok(peaks) => seen.peaks = Some(peaks),
        Err(error) => seen.denied.push(error),
    }
    match settings {
        Ok(settings) => {
            if let Some(limit) = settings.account_limit() {
                let limit = f64::from(limit.concurrent_executions());
                seen.limits.insert(LAMBDA.id, limit);
            }
        }
        Err(error) => seen.denied.push(error),
    }
    seen
}

/// The peaks of all quotas.
async fn peaks(
    api: &JsonApi,
    now: OffsetDateTime,
) -> Result<BTreeMap<&'static str, f64>, aws::Error> {
    let query = |quota: Quota, namespace: &str, metric: &str, dimensions: &[(&str, &str)]| {
        let dimensions = dimensions.iter();
        let dimensions: Vec<Value> = dimensions
            .map(|(name, value)| json!({ "Name": name, "Value": value }))
            .collect();
        let metric =
            json!({ "Namespace": namespace, "MetricName": metric, "Dimensions": dimensions });
        json!({
            "Id": quota.id,
            "MetricStat": { "Metric": metric, "Period": PERIOD, "Stat": "Maximum" },
        })
    };
    let vcpus = |quota: Quota, class: &str| {
        let dimensions = [
            ("Service", "Fargate"),
            ("Type", "Resource"),
            ("Resource", "vCPU"),
            ("Class", class),
        ];
        query(quota, "AWS/Usage", "ResourceCount", &dimensions)
    };
    let request = json!({
        "StartTime": (now - WINDOW).unix_timestamp(),
        "EndTime": now.unix_timestamp(),
        "MetricDataQueries": [
            vcpus(ON_DEMAND, "Standard/OnDemand"),
            vcpus(SPOT, "Standard/Spot"),
            // Without a dimension, it is that of the whole account.
            query(LAMBDA, "AWS/Lambda", "ConcurrentExecutions", &[]),
        ],
    });
    let answer = api.call(CLOUDWATCH, METRICS, &request).await?;
    let results = answer["MetricDataResults"].as_array();
    let peak = |quota: Quota| {
        let mut results = results.into_iter().flatten();
        let found = results.find(|one| one["Id"] == quota.id);
        let values = found.and_then(|one| one["Values"].as_array());
        let values = values.into_iter().flatten().filter_map(Value::as_f64);
        (quota.id, values.fold(0.0, f64::max))
    };
    Ok(ALL.map(peak).into())
}

pub(super) fn judge(seen: &Seen) -> Vec<Finding> {
    let denied = seen.denied.iter();
    let mut findings: Vec<_> = denied
        .map(|error| Finding::note(format!("quotas cannot be compared with their use: {error}")))
        .collect();
    for quota in ALL {
        let peak = seen.peaks.as_ref().map(|peaks| peaks[quota.id]);
        findings.extend(compare(quota, peak, seen.limits.get(quota.id).copied()));
    }
    findings
}

/// The finding of a quota; none if neither side is known, which was said before.
fn compare(quota: Quota, peak: Option<f64>, limit: Option<f64>) -> Option<Finding> {
    let Quota {
        name,
        service,
        code,
        unit,
        ..
    } = quota;
    let of_quota = format!("--service-code {service} --quota-code {code}");
    let Some(limit) = limit else {
        let peak = peak.filter(|peak| *peak > 0.0)?;
        return Some(Finding::note(format!(
            "{name}: at most {peak:.0} {unit} at one time in the last day; the quota is not known (aws service-quotas get-aws-default-service-quota {of_quota})"
        )));
    };
    let Some(peak) = peak else {
        return Some(Finding::note(format!(
            "{name}: {limit:.0} {unit}; what was used is not known"
        )));
    };
    let text =
        format!("{name}: at most {peak:.0} of {limit:.0} {unit} at one time in the last day");
    Some(if 5.0 * peak >= FULL * limit {
        let desired = (2.0 * limit).max(1.0);
        Finding::bad(
            text,
            format!(
                "aws service-quotas request-service-quota-increase {of_quota} --desired-value {desired:.0}"
            ),
        )
    } else {
        Finding::good(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Mark;

    #[test]
    fn a_quota_is_to_be_raised_when_four_fifths_were_used() {
        for (peak, mark) in [
            (6.0, Mark::Bad),
            (4.8, Mark::Bad),
            (4.75, Mark::Good),
            (0.0, Mark::Good),
        ] {
            let finding = compare(ON_DEMAND, Some(peak), Some(6.0)).unwrap();
            assert_eq!(finding.mark, mark, "{peak}: {}", finding.text);
        }
    }

    #[test]
    fn what_aws_does_not_tell_is_no_fault() {
        let quota_unknown = compare(ON_DEMAND, Some(3.0), None).unwrap();
        let command = "get-aws-default-service-quota --service-code fargate";
        assert!(
            quota_unknown.text.contains(command),
            "{}",
            quota_unknown.text
        );
        let use_unknown = compare(ON_DEMAND, None, Some(6.0)).unwrap();
        for finding in [quota_unknown, use_unknown] {
            assert_eq!(finding.mark, Mark::Note, "{}", finding.text);
        }
        assert_eq!(compare(SPOT, Some(0.0), None), None);
        assert_eq!(compare(SPOT, None, None), None);
    }
}
