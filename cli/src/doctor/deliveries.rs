//! What became of the last hour's webhooks. Pure.

use std::collections::BTreeSet;

use github::Delivery;
use time::OffsetDateTime;

use crate::Deployment;
use crate::finding::Finding;

/// The last hour's deliveries, newest first.
pub(super) struct LastHour {
    pub(super) recent: Vec<Delivery>,
    /// Whether they are only the newest of that hour.
    pub(super) more: bool,
}

pub(super) fn judge(
    LastHour { recent, more }: &LastHour,
    deployment: &Deployment,
    now: OffsetDateTime,
) -> Vec<Finding> {
    // What failed and was delivered again has arrived.
    let arrived: BTreeSet<_> = recent
        .iter()
        .filter(|one| one.succeeded())
        .map(|one| one.guid.as_str())
        .collect();
    let deliveries: Vec<_> = recent
        .iter()
        .filter(|one| one.succeeded() || !arrived.contains(one.guid.as_str()))
        .collect();
    if deliveries.is_empty() {
        return vec![Finding::note(
            "GitHub sent no webhook in the last hour; if a job was queued meanwhile, the App is not installed there or not subscribed to Workflow job",
        )];
    }
    let count = |status: fn(u16) -> bool| {
        deliveries
            .iter()
            .filter(|one| status(one.status_code))
            .count()
    };
    let all = deliveries.len();
    let which = if *more { "the newest " } else { "" };
    let of = |count: usize| format!("{count} of {which}{all} webhooks of the last hour");
    let mut findings = Vec::new();
    let well = count(|status| (200..300).contains(&status));
    let newest = deliveries.first().map_or(now, |one| one.delivered_at);
    if well > 0 {
        let ago = crate::why::span(now - newest);
        findings.push(Finding::good(format!(
            "{} arrived, the newest {ago} ago",
            of(well)
        )));
    }
    let mut bad = |count: usize, what: &str, fix: String| {
        if count > 0 {
            findings.push(Finding::bad(format!("{} {what}", of(count)), fix));
        }
    };
    let log = format!("aws logs tail /aws/lambda/{} --since 1h", deployment.verify);
    bad(
        count(|status| status == 401),
        "were answered 401: GitHub signs with another secret than Parameter Store has",
        "fargate-runners setup --rotate-webhook-secret".to_owned(),
    );
    bad(
        count(|status| status == 403),
        "were answered 403: GitHub's address is not in allowedSources, or Lambda may not be invoked",
        "cdk deploy, which reads GitHub's addresses again".to_owned(),
    );
    bad(
        count(|status| matches!(status, 404 | 410)),
        "found nobody at their address",
        "fargate-runners setup --configure-webhook".to_owned(),
    );
    bad(
        count(|status| matches!(status, 413 | 422)),
        "could not be used: too large, or not JSON",
        "fargate-runners setup --configure-webhook, which sets the content type".to_owned(),
    );
    bad(
        count(|status| matches!(status, 408 | 429)),
        "were throttled by Lambda; the sweep has them delivered again",
        "raise the quota Concurrent executions of Lambda if it lasts".to_owned(),
    );
    bad(
        count(|status| status == 0 || status >= 500),
        "failed; the sweep has them delivered again",
        log,
    );
    findings
}
