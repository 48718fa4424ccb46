//! Webhooks that GitHub could not deliver.
//!
//! GitHub does not repeat a failed delivery, but the App may ask it to, for three days. What is known
//! of them is kept in a parameter ([`State`]), so that a sweep in a new sandbox goes on where the
//! last one stopped:
//!
//! ```text
//! mark ─────────────── seen by the sweeps of this pass ──────────────▶ top        now
//!   └ everything older is settled    ◀── cursor: the next sweep reads on from here
//! ```
//!
//! One sweep reads so many pages of the list, newest first. Where they do not reach the mark, the
//! next sweep reads on; the mark moves once they have. A repeated delivery is a new one in the list,
//! newer than the mark, so one that fails again is found again. How often it was repeated is kept
//! beside the mark: five times in all, with growing pauses, so that an outage of some hours uses
//! none of them up at once.

mod record;
mod seen;
mod state;

use aws_sdk_ssm::types::ParameterType;
use github::Delivery;
use time::{Duration, OffsetDateTime};

use crate::{Deps, parameter};
use seen::{SETTLED, earliest};
use state::{Pass, State};

/// For how long GitHub keeps deliveries.
const KEPT: Duration = Duration::days(3);
/// A delivery may appear a little after its own time stamp.
const OVERLAP: Duration = Duration::minutes(2);
/// For how long an attempt that was asked for may be on its way.
const LATE: Duration = Duration::hours(1);
/// How many pages of a hundred one sweep reads.
const PAGES: usize = 20;
/// How many deliveries one sweep has repeated: GitHub allows 900 points a minute, and a call that
/// changes something costs five ([limits]).
///
/// [limits]: https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#calculating-points-for-the-secondary-rate-limit
const REPEATS: usize = 180;

/// Asks GitHub to repeat what it could not deliver since the last sweep.
pub async fn redeliver(deps: &Deps, now: OffsetDateTime) -> Result<usize, fleet::Error> {
    let name = format!("/{}/sweep/deliveries-seen", deps.fleet.prefix);
    let text = parameter::read(deps, &name).await?;
    let mut state = State::read(text.as_deref().unwrap_or_default(), now - KEPT);
    let result = go_on(deps, &mut state, now).await;
    // What was done is kept even where the rest failed: a delivery that was repeated and not counted
    // would be repeated without end.
    write(deps, &name, &state).await?;
    result
}

async fn go_on(deps: &Deps, state: &mut State, now: OffsetDateTime) -> Result<usize, fleet::Error> {
    let pass = state.pass.take().unwrap_or_else(|| Pass::begin(now));
    let since = state.mark - OVERLAP;
    let (seen, next) = match list(deps, pass.cursor.as_deref(), since).await {
        Ok(read) => read,
        Err(error) => {
            // Where GitHub does not take the cursor any more, the next sweep begins anew.
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
            // One that GitHub does not repeat (it is too old, say) must not keep the others waiting.
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
        // What is left may lie in the overlap, which the next sweep reads anyway.
        state.mark = reached.map_or(state.mark, |reached| reached.max(state.mark));
    }
    state
        .failing
        .forget(state.mark - OVERLAP - LATE, now - KEPT);
    failed.map_or(Ok(repeated), |error| Err(error.into()))
}

/// The deliveries since then, newest first, as far as one sweep reads, and where it stopped.
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
