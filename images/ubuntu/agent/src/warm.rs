//! Waits for a job: a warm task, from its start until its bell says what to do.
//!
//! ```text
//! look at the bell ──ring──▶ answer ──done──▶ take the registration, as any runner
//!   ▲    │  │  └────leave──▶ Released
//!   │    │  └─ no answer of the table for 5 minutes, or the warm limit ──▶ Released
//!   └────┘ every half second                       stop signal ──▶ Stopped
//! ```
//!
//! Until it has answered, it owns nothing: however it ends, nobody waits for it. The listener warms
//! up beside the wait: it runs once without a registration, which reads its files and compiles its
//! code.

use std::convert::Infallible;
use std::time::Duration;

use decisions::{OnBell, on_bell};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::bell::{Line, Message, Ring};
use crate::failure::Failure;
use crate::listener::{Listener, Next};
use crate::log::Log;
use crate::process::Signals;
use crate::verdict::End;

/// Time from one look to the next. A claim waits three seconds for the answer.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long the table may be out of reach. Whoever retires a task counts on its bell.
const PATIENCE: Duration = Duration::from_mins(5);
/// A warm-up takes some seconds; it must not use the processor for longer than it helps.
const WARM_UP_LIMIT: Duration = Duration::from_mins(1);

/// How a wait ends.
#[derive(Debug)]
pub(crate) enum Told {
    /// The task has answered: the registration is its own.
    Take(Box<Ring>),
    Release(Release),
}

/// Why a task ends without a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    Told,
    Limit,
    Unreachable,
}

impl Release {
    /// Text for the log.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Told => "its bell told it to leave",
            Self::Limit => "it waited for AGENT_WARM_LIMIT_SECONDS",
            Self::Unreachable => "its bell could not be read for 5 minutes",
        }
    }
}

/// Waits at most for `limit`, while the listener warms up.
pub(crate) async fn wait(
    line: &Line,
    limit: Duration,
    mut warm_up: Option<Listener>,
    log: &Log,
    signals: &mut Signals,
) -> Result<Told, Failure> {
    let pid = warm_up.as_ref().map(Listener::pid);
    let told = tokio::select! {
        told = follow(line, limit, log) => Ok(told),
        // At once, even during an answer: its execution sees this task's end.
        () = signals.stop_while_reaping(pid) => Err(Failure::Stopped),
        never = warmed(&mut warm_up, log) => match never {},
    };
    if let Some(listener) = warm_up {
        // A claimed task needs the processor for its listener.
        listener.kill();
    }
    told
}

/// Looks at the bell until it says what to do.
async fn follow(line: &Line, limit: Duration, log: &Log) -> Told {
    let begun = Instant::now();
    let mut last_read = begun;
    let mut failing = false;
    loop {
        match line.look().await {
            Ok(message) => {
                if failing {
                    log.info("the bell can be read again", json!({}));
                }
                (last_read, failing) = (Instant::now(), false);
                if let Some(told) = act(line, message, log).await {
                    return told;
                }
            }
            Err(error) => {
                if !failing {
                    log.error(&error.to_string(), json!({}));
                }
                failing = true;
                if last_read.elapsed() >= PATIENCE {
                    return Told::Release(Release::Unreachable);
                }
            }
        }
        if begun.elapsed() >= limit {
            return Told::Release(Release::Limit);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Does what the bell says; `None` means to look again.
async fn act(line: &Line, message: Option<Message>, log: &Log) -> Option<Told> {
    let take = |ring: Option<Ring>| ring.map(|ring| Told::Take(Box::new(ring)));
    let decided = on_bell(message.as_ref().map(|message| message.bell));
    let ring = message.and_then(|message| message.ring);
    match decided {
        OnBell::Wait => None,
        OnBell::Leave => Some(Told::Release(Release::Told)),
        OnBell::Take => take(ring),
        OnBell::Answer => match line.answer().await {
            Ok(true) => take(ring),
            Ok(false) => None,
            Err(error) => {
                // The next look shows whether it was done.
                log.error(&error.to_string(), json!({}));
                None
            }
        },
    }
}

/// Follows the warm-up to its end. A task that is not warm is slower, and nothing else.
async fn warmed(warm_up: &mut Option<Listener>, log: &Log) -> Infallible {
    if let Some(listener) = warm_up {
        let begun = Instant::now();
        let seconds = || json!({ "seconds": begun.elapsed().as_secs_f64() });
        match timeout(WARM_UP_LIMIT, ended(listener)).await {
            Ok(End::Code(0)) => log.info("the listener is warm", seconds()),
            Ok(end) => {
                let code = json!({ "code": end.code() });
                log.error(
                    "the listener did not warm up; its output above says why",
                    code,
                );
            }
            Err(_) => {
                log.error(
                    "ending the listener's warm-up, which takes too long",
                    seconds(),
                );
                listener.kill();
                ended(listener).await;
            }
        }
        *warm_up = None;
    }
    std::future::pending().await
}

async fn ended(listener: &mut Listener) -> End {
    loop {
        if let Next::Ended(end) = listener.next().await {
            return end;
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::operation::get_item::{GetItemError, GetItemOutput};
    use aws_sdk_dynamodb::types::error::ThrottlingException;
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    use super::*;
    use crate::config::Speaker;

    fn line(client: Client) -> Line {
        let bell = "0123456789abcdef0123456789abcdef".parse().unwrap();
        Line::new(client, "pool".to_owned(), &bell)
    }

    fn throttled() -> Rule {
        mock!(Client::get_item).then_error(|| {
            GetItemError::ThrottlingException(ThrottlingException::builder().build())
        })
    }

    async fn followed(line: &Line, limit: Duration) -> (Told, Duration) {
        let begun = Instant::now();
        let log = Log::new(Speaker::default());
        (follow(line, limit, &log).await, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_whose_table_stays_out_of_reach_ends_after_five_minutes() {
        let rule = throttled();
        let line = line(mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]));
        let (told, after) = followed(&line, Duration::from_hours(6)).await;
        assert!(
            matches!(told, Told::Release(Release::Unreachable)),
            "{told:?}"
        );
        assert_eq!((after, rule.num_calls()), (PATIENCE, 601));
    }

    #[tokio::test(start_paused = true)]
    async fn one_look_that_succeeds_gives_another_five_minutes() {
        let rule = mock!(Client::get_item)
            .sequence()
            .error(|| GetItemError::ThrottlingException(ThrottlingException::builder().build()))
            .times(600)
            .output(|| GetItemOutput::builder().build())
            .times(1)
            .error(|| GetItemError::ThrottlingException(ThrottlingException::builder().build()))
            .repeatedly()
            .build();
        let line = line(mock_client!(
            aws_sdk_dynamodb,
            RuleMode::Sequential,
            [&rule]
        ));
        let (told, after) = followed(&line, Duration::from_hours(6)).await;
        assert!(
            matches!(told, Told::Release(Release::Unreachable)),
            "{told:?}"
        );
        assert_eq!(after, PATIENCE * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_bell_is_looked_at_twice_a_second_until_the_limit() {
        let rule = mock!(Client::get_item).then_output(|| GetItemOutput::builder().build());
        let line = line(mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]));
        let (told, after) = followed(&line, Duration::from_mins(1)).await;
        assert!(matches!(told, Told::Release(Release::Limit)), "{told:?}");
        assert_eq!((after, rule.num_calls()), (Duration::from_mins(1), 121));
    }
}
