//! Webhooks that GitHub could not deliver.
//!
//! GitHub does not repeat a failed delivery, but the App may ask it to, for three days. How far
//! back everything was seen to is kept in a parameter, so that a sweep in a new sandbox goes on
//! where the last one stopped. A repeated delivery appears as a new one, newer than that mark: one
//! that fails again is found again.

use std::collections::BTreeSet;

use aws_sdk_ssm::types::ParameterType;
use github::Delivery;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::{Deps, parameter};

/// For how long GitHub keeps deliveries.
const KEPT: Duration = Duration::days(3);
/// A delivery may appear a little after its own time stamp.
const OVERLAP: Duration = Duration::minutes(2);
/// A delivery that GitHub is still trying counts as failed until it is answered.
const SETTLED: Duration = Duration::seconds(30);
/// How many pages of a hundred one sweep reads.
const PAGES: usize = 20;
/// How often one delivery is repeated.
const ATTEMPTS: usize = 5;

/// Asks GitHub to repeat what it could not deliver since the last sweep.
pub async fn redeliver(deps: &Deps, now: OffsetDateTime) -> Result<usize, fleet::Error> {
    let name = format!("/{}/sweep/deliveries-seen", deps.fleet.prefix);
    let mark = read_mark(deps, &name)
        .await?
        .unwrap_or(now - KEPT)
        .max(now - KEPT);
    let (seen, complete) = list_since(deps, mark - OVERLAP).await?;
    let due = to_redeliver(&seen, now);
    for id in &due {
        deps.github.redeliver(*id).await?;
    }
    // An incomplete look leaves the mark where it is: what was repeated by then has succeeded or
    // will be found failed again.
    if complete {
        write_mark(deps, &name, now - SETTLED).await?;
    } else {
        tracing::warn!(pages = PAGES, "more failed webhooks than one sweep reads");
    }
    Ok(due.len())
}

async fn list_since(
    deps: &Deps,
    since: OffsetDateTime,
) -> Result<(Vec<Delivery>, bool), fleet::Error> {
    let mut seen = Vec::new();
    let mut cursor = None;
    for _ in 0..PAGES {
        let page = deps.github.deliveries(cursor.as_deref()).await?;
        let reached = page
            .deliveries
            .iter()
            .any(|delivery| delivery.delivered_at < since);
        seen.extend(
            page.deliveries
                .into_iter()
                .filter(|delivery| delivery.delivered_at >= since),
        );
        cursor = page.next;
        if reached || cursor.is_none() {
            return Ok((seen, true));
        }
    }
    Ok((seen, false))
}

/// The deliveries to repeat: the newest failure of each event that never succeeded. What `verify`
/// refused (4xx) it refused on purpose; what it could not take (5xx), or never got, is repeated.
fn to_redeliver(seen: &[Delivery], now: OffsetDateTime) -> Vec<u64> {
    let succeeded: BTreeSet<&str> = seen
        .iter()
        .filter(|d| d.succeeded())
        .map(|d| d.guid.as_str())
        .collect();
    let mut handled = succeeded;
    let mut due = Vec::new();
    // Newest first, as GitHub lists them.
    for delivery in seen {
        let refused = (400..500).contains(&delivery.status_code);
        let settled = now - delivery.delivered_at >= SETTLED;
        if refused || !settled || delivery.event != "workflow_job" {
            continue;
        }
        let tries = seen
            .iter()
            .filter(|other| other.guid == delivery.guid)
            .count();
        if handled.insert(&delivery.guid) && tries < ATTEMPTS {
            due.push(delivery.id);
        }
    }
    due
}

async fn read_mark(deps: &Deps, name: &str) -> Result<Option<OffsetDateTime>, fleet::Error> {
    let text = parameter::read(deps, name).await?;
    Ok(text.and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok()))
}

async fn write_mark(deps: &Deps, name: &str, at: OffsetDateTime) -> Result<(), fleet::Error> {
    let text = at.format(&Rfc3339).unwrap_or_default();
    deps.fleet
        .ssm
        .put_parameter()
        .name(name)
        .value(text)
        .r#type(ParameterType::String)
        .overwrite(true)
        .send()
        .await
        .map_err(|error| aws::Error::new("ssm:PutParameter", name, &error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-01-01 12:00 UTC);

    fn delivery(id: u64, guid: &str, status_code: u16, seconds_ago: i64) -> Delivery {
        Delivery {
            id,
            guid: guid.to_owned(),
            delivered_at: NOW - Duration::seconds(seconds_ago),
            redelivery: false,
            status: String::new(),
            status_code,
            event: "workflow_job".to_owned(),
            action: Some("queued".to_owned()),
            installation_id: Some(1),
            repository_id: Some(1),
        }
    }

    #[test]
    fn what_was_never_answered_or_answered_5xx_is_repeated() {
        let seen = [
            delivery(3, "c", 502, 60),
            delivery(2, "b", 0, 61),
            delivery(1, "a", 200, 62),
        ];
        assert_eq!(to_redeliver(&seen, NOW), [3, 2]);
    }

    #[test]
    fn what_was_refused_on_purpose_is_not_repeated() {
        assert!(
            to_redeliver(&[delivery(1, "a", 401, 60), delivery(2, "b", 413, 60)], NOW).is_empty()
        );
    }

    #[test]
    fn an_event_that_a_later_try_delivered_is_not_repeated() {
        assert!(
            to_redeliver(&[delivery(2, "a", 202, 60), delivery(1, "a", 0, 120)], NOW).is_empty()
        );
    }

    #[test]
    fn an_event_is_repeated_once_at_a_time_and_five_times_at_most() {
        assert_eq!(
            to_redeliver(&[delivery(2, "a", 0, 60), delivery(1, "a", 0, 120)], NOW),
            [2]
        );
        let five: Vec<_> = (0..5)
            .map(|id| delivery(5 - id, "a", 0, 60 + i64::try_from(id).unwrap()))
            .collect();
        assert!(to_redeliver(&five, NOW).is_empty());
    }

    #[test]
    fn a_delivery_on_its_way_is_left_alone() {
        assert!(to_redeliver(&[delivery(1, "a", 0, 5)], NOW).is_empty());
    }
}
