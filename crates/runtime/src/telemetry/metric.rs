//! Metrics in CloudWatch's embedded format.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

/// The CloudWatch namespace of all metrics.
pub const NAMESPACE: &str = "FargateRunners";

/// Dimension of every metric; separates two deployments in one account.
const DEPLOYMENT: &str = "Deployment";

macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $variant:ident: $unit:ident $(by $dimension:ident)?,)+) => {
        /// A metric. Its name is the variant's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Metric {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            pub const fn unit(self) -> &'static str {
                match self { $(Self::$variant => stringify!($unit),)+ }
            }

            /// Its dimension besides the deployment.
            pub const fn dimension(self) -> Option<&'static str> {
                match self { $(Self::$variant => { let _d: Option<&'static str> = None; $(let _d = Some(stringify!($dimension));)? _d })+ }
            }
        }
    };
}

metrics! {
    /// From the job being queued at GitHub to a runner taking it.
    QueuedToStartedSeconds: Seconds,
    /// Registrations issued.
    Launches: Count,
    /// Attempts ended, by what became of them.
    Outcomes: Count by Outcome,
    /// Attempts that follow another one of the same job.
    Relaunches: Count,
    /// Jobs run by another job's runner.
    Thefts: Count,
    /// Jobs whose labels no task definition offers.
    Unmatched: Count,
    /// Runners that ended without having run a job.
    SurplusRunners: Count,
    /// GitHub calls left in the hour.
    GitHubRateLimitRemaining: Count,
    /// Billed time of a runner's task.
    RunnerSeconds: Seconds by Repository,
    /// That time in US dollars at list price.
    EstimatedCost: None by Repository,
    /// Executions that ended without their job served.
    FailedExecutions: Count,
    /// First attempts that ended without a runner having come up.
    FirstFailedStarts: Count,
    /// Jobs queued for longer than the limit.
    JobsWaitingTooLong: Count,
    /// Days since a successor was released to the oldest runner version that task definitions name.
    RunnerVersionAgeDays: None,
    /// Task definitions under the prefix that are no offers.
    ForeignDefinitions: Count,
    /// Families of task definitions that were not offered before.
    NewFamilies: Count,
    /// Runners of ours that run a job of a repository that is not served.
    RunnersTakenByStrangers: Count,
    /// Webhooks that GitHub signed and that were taken.
    WebhooksTaken: Count,
    /// Requests that nobody signed.
    WebhooksUnsigned: Count,
    /// Webhooks that GitHub signed and that could not be used or taken.
    WebhooksUnusable: Count,
    /// Events put into the overflow queue.
    KeptEvents: Count,
    /// Queued jobs that this deployment does not serve, by what speaks against it.
    JobsNotServed: Count by Reason,
    /// Warm tasks that a family should have.
    StockWanted: Count by Family,
    /// Warm tasks that wait for a job.
    StockReady: Count by Family,
    /// Warm tasks that are starting.
    StockStarting: Count by Family,
    /// Age of the oldest warm task that waits for a job.
    StockOldestSeconds: Seconds by Family,
    /// 1 while no warm tasks are started because starts failed.
    StockPaused: Count by Family,
    /// Jobs whose registration a warm task took.
    WarmStarts: Count by Family,
    /// Jobs of a family with a pool that found no warm task.
    WarmMisses: Count by Family,
    /// Warm tasks that were claimed and did not take the registration.
    WarmTasksLost: Count by Family,
    /// Leases of caps.
    SlotsTaken: Count,
    /// Jobs in line for the same slot.
    SlotsAwaited: Count,
    /// From the job being queued at GitHub to its own runner taking it, by how its task started.
    StartSeconds: Seconds by Start,
}

/// The metrics of one deployment.
#[derive(Clone, Debug)]
pub struct Metrics {
    deployment: String,
}

impl Metrics {
    pub fn new(deployment: &impl ToString) -> Self {
        Self {
            deployment: deployment.to_string(),
        }
    }

    /// Emits one value.
    pub fn emit(&self, metric: Metric, value: f64) {
        self.write(metric, value, None);
    }

    /// Emits one value with a value of the metric's own dimension.
    pub fn split(&self, metric: Metric, value: f64, by: &str) {
        self.write(metric, value, Some(by));
    }

    fn write(&self, metric: Metric, value: f64, split: Option<&str>) {
        let now = OffsetDateTime::now_utc();
        println!("{}", line(&self.deployment, metric, value, split, now));
    }
}

/// The log line of one value.
pub fn line(
    deployment: &str,
    metric: Metric,
    value: f64,
    split: Option<&str>,
    at: OffsetDateTime,
) -> Value {
    let mut fields = Map::new();
    let mut dimensions = vec![DEPLOYMENT];
    fields.insert(DEPLOYMENT.to_owned(), json!(deployment));
    if let (Some(name), Some(split)) = (metric.dimension(), split) {
        dimensions.push(name);
        fields.insert(name.to_owned(), json!(split));
    }
    fields.insert(metric.name().to_owned(), json!(value));
    fields.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": at.unix_timestamp() * 1_000 + i64::from(at.millisecond()),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [dimensions],
                "Metrics": [{ "Name": metric.name(), "Unit": metric.unit() }],
            }],
        }),
    );
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_and_the_code_name_the_same_metrics() {
        let file: Vec<Value> = serde_json::from_str(include_str!("../../metrics.json")).unwrap();
        let listed: Vec<_> = file
            .iter()
            .map(|metric| {
                let dimension = metric["dimensions"].get(0).and_then(Value::as_str);
                (
                    metric["name"].as_str().unwrap(),
                    metric["unit"].as_str().unwrap(),
                    dimension,
                )
            })
            .collect();
        let coded: Vec<_> = Metric::ALL
            .iter()
            .map(|m| (m.name(), m.unit(), m.dimension()))
            .collect();
        assert_eq!(listed, coded);
    }

    #[test]
    fn a_value_stands_in_the_line_under_its_own_name() {
        let line = line(
            "fr",
            Metric::Outcomes,
            1.0,
            Some("RanJob"),
            OffsetDateTime::UNIX_EPOCH,
        );
        assert_eq!(line["Outcomes"], 1.0);
        assert_eq!(line["Outcome"], "RanJob");
        assert_eq!(
            line["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
            json!([["Deployment", "Outcome"]])
        );
    }
}
