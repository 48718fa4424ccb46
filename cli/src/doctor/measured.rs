//! The age of the runner's version and the stock of warm tasks, as `sweep` and `stock` log them.

use std::collections::BTreeMap;

use aws_sdk_cloudwatchlogs::Client;
use futures_util::future::join;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::Deployment;
use crate::finding::Finding;

/// How far back a value may lie: the sweep measures every five minutes, `stock` every minute.
const WINDOW: Duration = Duration::minutes(15);
/// Days that a runner's version may be behind; GitHub allows 30.
const OLD_DAYS: f64 = 20.0;

/// Newest values.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Measured {
    /// Days since the oldest runner version was succeeded.
    age: Option<f64>,
    /// By family, and then by metric.
    stock: BTreeMap<String, BTreeMap<&'static str, f64>>,
}

/// One call for each function; one that is not deployed has no log.
pub(super) async fn read(
    client: &Client,
    prefix: &str,
    now: OffsetDateTime,
) -> Result<Measured, aws::Error> {
    let since = now - WINDOW;
    let pattern = "{ $.StockWanted = * || $.StockReady = * || $.StockPaused = * }";
    let (sweep, stock) = join(
        lines(
            client,
            format!("/aws/lambda/{prefix}-sweep"),
            "{ $.RunnerVersionAgeDays = * }",
            since,
        ),
        lines(
            client,
            format!("/aws/lambda/{prefix}-stock"),
            pattern,
            since,
        ),
    )
    .await;
    let mut measured = Measured::default();
    for line in sweep? {
        measured.age = line["RunnerVersionAgeDays"].as_f64().or(measured.age);
    }
    for line in stock? {
        let Some(family) = line["Family"].as_str() else {
            continue;
        };
        for metric in ["StockWanted", "StockReady", "StockPaused"] {
            if let Some(value) = line[metric].as_f64() {
                let values = measured.stock.entry(family.to_owned()).or_default();
                values.insert(metric, value);
            }
        }
    }
    Ok(measured)
}

/// A page of metric lines, oldest first.
async fn lines(
    client: &Client,
    group: String,
    pattern: &str,
    since: OffsetDateTime,
) -> Result<Vec<Value>, aws::Error> {
    let page = client
        .filter_log_events()
        .log_group_name(&group)
        .filter_pattern(pattern)
        .start_time(since.unix_timestamp() * 1_000)
        .send()
        .await
        .map_err(|error| aws::Error::new("logs:FilterLogEvents", group, &error));
    let page = match page {
        Ok(page) => page,
        Err(error) if error.kind() == aws::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let lines = page.events().iter().filter_map(|event| event.message());
    Ok(lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}

pub(super) fn judge(
    measured: Result<Measured, aws::Error>,
    deployment: &Deployment,
) -> Vec<Finding> {
    let measured = match measured {
        Ok(measured) => measured,
        Err(error) => return vec![Finding::note(format!("metrics cannot be read: {error}"))],
    };
    let mut findings = Vec::new();
    if let Some(days) = measured.age {
        let text = format!("the oldest runner in an image was succeeded {days:.0} days ago");
        findings.push(if days >= OLD_DAYS {
            Finding::bad(
                format!("{text}; GitHub assigns no jobs from 30 on"),
                "rebuild the image: cdk deploy, or rebuildWeekly",
            )
        } else {
            Finding::good(text)
        });
    }
    for (family, values) in &measured.stock {
        let value = |metric: &str| values.get(metric).copied().unwrap_or_default();
        let (wanted, ready) = (value("StockWanted"), value("StockReady"));
        let text = format!("{ready} of {wanted} warm tasks of {family} are ready");
        findings.push(if value("StockPaused") > 0.0 {
            Finding::bad(
                format!("{text}; none is started, because starts failed"),
                format!(
                    "aws logs tail /aws/lambda/{}-stock --since 1h",
                    deployment.prefix
                ),
            )
        } else if wanted >= 1.0 && ready < 1.0 {
            Finding::bad(text, "if it stays, raise `size` of `warm` and deploy")
        } else {
            Finding::good(text)
        });
    }
    if findings.is_empty() {
        findings.push(Finding::note(
            "the last quarter of an hour measured no runner version and no warm tasks",
        ));
    }
    findings
}
