//! GitHub's rate limits, read from its responses.
//!
//! Rules:
//! <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>

use std::time::Duration;

use http::{HeaderMap, StatusCode};

/// GitHub's recommended delay if no header names one.
const UNTOLD_WAIT: u64 = 60;
/// The longest delay: GitHub's limits are hourly.
const LONGEST_WAIT: u64 = 3_600;

/// The delay in whole seconds (at least one) if the response is a rate limit. `now` is in seconds
/// since 1970.
pub(crate) fn retry_after(
    status: StatusCode,
    headers: &HeaderMap,
    message: &str,
    now: i64,
) -> Option<Duration> {
    let refused = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::FORBIDDEN
    );
    if !refused {
        return None;
    }
    let spent = number(headers, "x-ratelimit-remaining") == Some(0);
    let seconds = if let Some(told) = number(headers, "retry-after") {
        told
    } else if let (true, Some(reset)) = (spent, number(headers, "x-ratelimit-reset")) {
        // One second more, because GitHub rounds the reset down.
        reset.saturating_sub(u64::try_from(now).unwrap_or(0)) + 1
    } else if spent || status == StatusCode::TOO_MANY_REQUESTS || names_the_limit(message) {
        UNTOLD_WAIT
    } else {
        return None;
    };
    Some(Duration::from_secs(seconds.clamp(1, LONGEST_WAIT)))
}

/// The calls left in this hour, if the response has them.
pub(crate) fn remaining(headers: &HeaderMap) -> Option<u64> {
    number(headers, "x-ratelimit-remaining")
}

/// A secondary limit can be a plain 403; only its text distinguishes it from a missing permission.
fn names_the_limit(message: &str) -> bool {
    message.to_ascii_lowercase().contains("rate limit")
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn wait(status: u16, headers: &[(&'static str, &str)], message: &str) -> Option<u64> {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap()))
            .collect();
        let status = StatusCode::from_u16(status).unwrap();
        retry_after(status, &headers, message, NOW).map(|wait| wait.as_secs())
    }

    #[test]
    fn the_wait_is_what_the_answer_tells_best() {
        let spent = ("x-ratelimit-remaining", "0");
        let reset = ("x-ratelimit-reset", "1800000090");
        for (status, headers, message, seconds) in [
            (
                403,
                &[spent, reset][..],
                "API rate limit exceeded",
                Some(91),
            ),
            (429, &[spent, reset], "", Some(91)),
            (429, &[("retry-after", "7"), spent, reset], "", Some(7)),
            (403, &[("retry-after", "7")], "", Some(7)),
            (429, &[], "", Some(60)),
            (
                403,
                &[],
                "You have exceeded a secondary rate limit",
                Some(60),
            ),
            (403, &[spent], "", Some(60)),
            (403, &[("retry-after", "0")], "", Some(1)),
            (
                403,
                &[spent, ("x-ratelimit-reset", "1799999990")],
                "",
                Some(1),
            ),
            (429, &[("retry-after", "999999")], "", Some(3_600)),
        ] {
            assert_eq!(
                wait(status, headers, message),
                seconds,
                "{status} {headers:?} {message}"
            );
        }
    }

    #[test]
    fn a_missing_permission_is_no_rate_limit() {
        let left = ("x-ratelimit-remaining", "4999");
        let reset = ("x-ratelimit-reset", "1800000090");
        assert_eq!(
            wait(
                403,
                &[left, reset],
                "Resource not accessible by integration"
            ),
            None
        );
        assert_eq!(
            wait(404, &[("x-ratelimit-remaining", "0"), reset], "Not Found"),
            None
        );
    }
}
