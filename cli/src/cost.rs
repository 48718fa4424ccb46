//! `cost`: what runners cost by repository, at list price.
//!
//! `cleanup` logs each task's estimated cost (`EstimatedCost`) and billed time (`RunnerSeconds`), both by
//! repository. The control plane's share is that of `docs/cost.md`.

use std::collections::BTreeMap;

use aws_sdk_cloudwatchlogs::Client;
use serde::Serialize;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::Error;

/// What the control plane costs for a job, in US dollars; `docs/cost.md` has the arithmetic.
const CONTROL_PLANE: f64 = 0.000_139;
/// Pages of the log; one has up to 10,000 lines.
const PAGES: usize = 1_000;

/// One repository's share.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub repository: String,
    /// Tasks that ran for it.
    pub tasks: u32,
    pub runner_minutes: f64,
    /// Fargate at list price, in US dollars.
    pub runners: f64,
    /// The control plane's share, in US dollars.
    pub control_plane: f64,
}

impl Row {
    /// In US dollars.
    pub fn total(&self) -> f64 {
        self.runners + self.control_plane
    }
}

/// What was spent since an instant.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Costs {
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// The dearest first.
    pub repositories: Vec<Row>,
    /// Whether the log was longer than what is read.
    pub cut: bool,
}

/// A span such as `7d`, `12h` or `30m`.
pub fn since(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("{text:?} is no span: give a number with its unit, such as 7d, 12h or 30m");
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(wrong)?;
    let number: u16 = number.parse().map_err(|_| wrong())?;
    let unit = match unit {
        "d" => Duration::DAY,
        "h" => Duration::HOUR,
        "m" => Duration::MINUTE,
        _ => return Err(wrong()),
    };
    if number == 0 {
        return Err(wrong());
    }
    Ok(unit * i32::from(number))
}

/// Reads what was spent from the log of `cleanup`, as far back as the log reaches.
pub async fn read(
    client: &Client,
    cleanup: &str,
    span: Duration,
    now: OffsetDateTime,
) -> Result<Costs, Error> {
    let since = now - span;
    let group = format!("/aws/lambda/{cleanup}");
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut token = None;
    for _ in 0..PAGES {
        let page = client
            .filter_log_events()
            .log_group_name(&group)
            .filter_pattern("{ $.EstimatedCost = * || $.RunnerSeconds = * }")
            .start_time(since.unix_timestamp() * 1_000)
            .set_next_token(token.take())
            .send()
            .await
            .map_err(|error| aws::Error::new("logs:FilterLogEvents", &group, &error));
        let page = match page {
            Ok(page) => page,
            Err(error) if error.kind() == aws::ErrorKind::NotFound => break,
            Err(error) => return Err(error.into()),
        };
        for line in page.events().iter().filter_map(|event| event.message()) {
            add(&mut rows, line);
        }
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    let cut = token.is_some();
    let rows = rows.into_iter().map(|(repository, row)| Row {
        repository,
        control_plane: f64::from(row.tasks) * CONTROL_PLANE,
        ..row
    });
    let mut repositories: Vec<_> = rows.collect();
    repositories.sort_by(|a, b| b.total().total_cmp(&a.total()));
    Ok(Costs {
        since,
        repositories,
        cut,
    })
}

/// Adds a line of metrics. The pattern may let others through.
fn add(rows: &mut BTreeMap<String, Row>, line: &str) {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    let Some(repository) = line["Repository"].as_str() else {
        return;
    };
    let (cost, seconds) = (
        line["EstimatedCost"].as_f64(),
        line["RunnerSeconds"].as_f64(),
    );
    if cost.is_none() && seconds.is_none() {
        return;
    }
    let row = rows.entry(repository.to_owned()).or_default();
    row.runners += cost.unwrap_or_default();
    if let Some(seconds) = seconds {
        row.runner_minutes += seconds / 60.0;
        row.tasks += 1;
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
    use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_control_planes_share_is_that_of_the_cost_page() {
        let page = include_str!("../../docs/cost.md");
        let told = format!("**The control plane costs ${CONTROL_PLANE} per job**");
        assert!(page.contains(&told), "{told}");
    }

    #[test]
    fn a_span_is_a_number_with_its_unit() {
        assert_eq!(since("7d"), Ok(Duration::days(7)));
        assert_eq!(since("12h"), Ok(Duration::hours(12)));
        assert_eq!(since("30m"), Ok(Duration::minutes(30)));
        for wrong in ["", "d", "7", "7w", "-1d", "0d", "99999d", "é"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn repositories_are_told_the_dearest_first_with_their_share_of_the_control_plane() {
        let metric = |repository: &str, name: &str, value: f64| {
            FilteredLogEvent::builder()
                .message(json!({ "Repository": repository, name: value }).to_string())
                .build()
        };
        let rule = mock!(Client::filter_log_events).then_compute_output(move |request| {
            assert_eq!(request.log_group_name(), Some("/aws/lambda/fr-cleanup"));
            let more = request.next_token().is_none().then(|| "more".to_owned());
            let events = if more.is_some() {
                vec![
                    metric("octo/cheap", "EstimatedCost", 0.01),
                    metric("octo/cheap", "RunnerSeconds", 120.0),
                    metric("octo/dear", "EstimatedCost", 1.0),
                    FilteredLogEvent::builder().message("no metric").build(),
                ]
            } else {
                vec![
                    metric("octo/dear", "EstimatedCost", 1.0),
                    metric("octo/cheap", "RunnerSeconds", 60.0),
                ]
            };
            FilterLogEventsOutput::builder()
                .set_events(Some(events))
                .set_next_token(more)
                .build()
        });
        let client = mock_client!(aws_sdk_cloudwatchlogs, RuleMode::MatchAny, [&rule]);
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(9_000);
        let costs = read(&client, "fr-cleanup", Duration::days(7), now)
            .await
            .unwrap();
        let [dear, cheap] = &costs.repositories[..] else {
            panic!("{costs:#?}");
        };
        assert_eq!(dear.repository, "octo/dear");
        assert!((dear.runners - 2.0).abs() < 1e-9);
        assert_eq!(cheap.tasks, 2);
        assert!((cheap.runner_minutes - 3.0).abs() < 1e-9);
        assert!((cheap.total() - 0.01 - 2.0 * CONTROL_PLANE).abs() < 1e-12);
        assert!(!costs.cut);
    }
}
