//! Stocks that are kept no longer: a deployment removed the pool of a runner, and others stay.
//!
//! Their tasks would wait for their limit, hours later. A deployment changes the settings, so a sandbox
//! looks for such families until it has seen once that none is left.

use time::OffsetDateTime;

use crate::pass::{Report, Starts, Trigger, look_after};
use crate::{Deps, Stock};

/// Retires the tasks of families that have no stock any more. A task that has a job has no ticket, so
/// it is left alone.
pub(crate) async fn retire(deps: &Deps, now: OffsetDateTime) -> Vec<Report> {
    if deps.former.are_gone() {
        return Vec::new();
    }
    let listed = match deps.pool.families().await {
        Ok(families) => families,
        Err(error) => {
            return vec![Report {
                failed: vec![format!("former stocks: {error}")],
                ..Report::default()
            }];
        }
    };
    let kept = |family: &String| deps.config.stocks.of(family).is_some();
    let mut reports = Vec::new();
    for family in listed.into_iter().filter(|family| !kept(family)) {
        let stock = Stock::none(family);
        let mut report = look_after(deps, &stock, Trigger::Removed, &mut Starts(0), now).await;
        if report.failed.is_empty() {
            tracing::info!(family = stock.family, "its pool was removed");
            if let Err(error) = deps.pool.forget_family(&stock.family).await {
                report.failed.push(format!("{}: {error}", stock.family));
            }
        }
        reports.push(report);
    }
    if reports.iter().all(|report| report.failed.is_empty()) {
        deps.former.note_gone();
    }
    reports
}
