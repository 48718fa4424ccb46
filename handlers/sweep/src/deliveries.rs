//! Redelivers webhooks that GitHub failed to deliver.
//!
//! GitHub does not retry a failed delivery, but lets the App request a redelivery for three days. A
//! parameter stores the progress ([`State`]), so that a sweep in a new sandbox continues where the
//! last one stopped:
//!
//! ```text
//! mark ─────────────── seen by the sweeps of this pass ──────────────▶ top        now
//!   └ everything older is settled    ◀── cursor: the next sweep reads on from here
//! ```
//!
//! A sweep reads a limited number of pages of the list, newest first. If they do not reach the
//! mark, the next sweep continues; the mark moves once a pass has reached it. A redelivery is a new
//! entry in the list, newer than the mark, so one that fails again is found again. The number of
//! redeliveries is stored beside the mark. It is limited to five with growing pauses, so that an
//! outage of some hours does not use them all up at once.

mod record;
mod seen;
mod state;

use aws_sdk_ssm::types::ParameterType;
use github::Delivery;
use time::{Duration, OffsetDateTime};

use crate::Deps;
use seen::{SETTLED, earliest};
use state::{Pass, State};

/// How long GitHub keeps deliveries.
const KEPT: Duration = Duration::days(3);
/// A delivery may be listed a little later than its timestamp.
const OVERLAP: Duration = Duration::minutes(2);
/// How long a requested redelivery may take to be listed.
const LATE: Duration = Duration::hours(1);
/// Maximum number of pages of a hundred deliveries per sweep.
const PAGES: usize = 20;
/// Maximum number of redeliveries per sweep. GitHub allows 900 points a minute, and a call that
/// changes something costs five ([limits]).
///
/// [limits]: https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#calculating-points-for-the-secondary-rate-limit
const REPEATS: usize = 180;

/// The parameter that holds how far this has looked.
pub(crate) fn mark(deps: &Deps) -> String {
    format!("/{}/sweep/deliveries-seen", deps.fleet.prefix)
}

/// Requests a redelivery of what GitHub failed to deliver since the last sweep, whose [`mark`] is `text`.
pub async fn redeliver(
    deps: &Deps,
    text: Option<&str>,
    now: OffsetDateTime,
) -> Result<usize, fleet::Error> {
    let mut state = State::read(text.unwrap_or_default(), now - KEPT);
    let result = go_on(deps, &mut state, now).await;
    // Store the progress even if the rest failed: redeliveries that are not counted would never
    // end.
    write(deps, &mark(deps), &state).await?;
    result
}

async fn go_on(deps: &Deps, state: &mut State, now: OffsetDateTime) -> Result<usize, fleet::Error> {
    let pass = state.pass.take().unwrap_or_else(|| Pass::begin(now));
    let since = state.mark - OVERLAP;
    let (seen, next) = match list(deps, pass.cursor.as_deref(), since).await {
        Ok(read) => read,
        Err(error) => {
            // If GitHub rejects the cursor, the next sweep starts over.
            state.pass = error.refused_status().is_none().then_some(pass);
            return Err(error.into());
        }
    };
    let work = state.failing.sort_out(&seen, now);
    let mut repeated = 0;
    let mut failed = None;
    let mut left = None;
    for due in work.due {
        if failed.is_some() || repeated == REPEATS {
            left = earliest(left, Some(due.delivered_at));
            continue;
        }
        match deps.github.redeliver(due.id).await {
            Ok(()) => {
                repeated += 1;
                state.failing.repeated(&due, now);
            }
            // A delivery that GitHub rejects, for example because it is too old, must not block the
            // others.
            Err(error) if error.refused_status().is_some() => {
                tracing::warn!(guid = due.guid, delivery = due.id, %error, "gave up redelivering a failed webhook");
                state.failing.give_up(&due, now);
            }
            Err(error) => {
                left = earliest(left, Some(due.delivered_at));
                failed = Some(error);
            }
        }
    }
    let left = earliest(earliest(left, work.no_room), pass.left);
    if let Some(cursor) = next {
        tracing::warn!(
            pages = PAGES,
            "more webhooks than one sweep reads; the next sweep continues"
        );
        state.pass = Some(Pass {
            cursor: Some(cursor),
            left,
            ..pass
        });
    } else {
        let reached = earliest(Some(pass.top - SETTLED), left);
        // The overlap may hold more failures; the next sweep reads it again anyway.
        state.mark = reached.map_or(state.mark, |reached| reached.max(state.mark));
    }
    state
        .failing
        .forget(state.mark - OVERLAP - LATE, now - KEPT);
    failed.map_or(Ok(repeated), |error| Err(error.into()))
}

/// The deliveries since then, newest first, up to the limit of a sweep, and where it stopped.
async fn list(
    deps: &Deps,
    from: Option<&str>,
    since: OffsetDateTime,
) -> Result<(Vec<Delivery>, Option<String>), github::Error> {
    let mut seen = Vec::new();
    let mut cursor = from.map(str::to_owned);
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
            return Ok((seen, None));
        }
    }
    Ok((seen, cursor))
}

async fn write(deps: &Deps, name: &str, state: &State) -> Result<(), fleet::Error> {
    deps.fleet
        .ssm
        .put_parameter()
        .name(name)
        .value(state.to_string())
        .r#type(ParameterType::String)
        .overwrite(true)
        .send()
        .await
        .map_err(|error| aws::Error::new("ssm:PutParameter", name, &error))?;
    Ok(())
}
