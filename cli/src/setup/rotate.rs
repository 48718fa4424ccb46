//! Changes the webhook secret without refusing a webhook.
//!
//! ```text
//! write "new, old" (unsettled) ─▶ wait until no function remembers "old" alone ─▶ GitHub signs with "new" ─▶ settled
//! ```
//!
//! Interrupted anywhere and run again, it goes on where it was: the parameter's description tells whether
//! GitHub has the first secret. While that is not known, nothing is dropped, because GitHub may sign with
//! any of them.

use std::time::Duration;

use github::GitHub;
use protocol::Secret;
use time::OffsetDateTime;

use super::secrets::{Change, Name, Secrets, Shown, Stored, joined, new_secret};
use super::terminal::Terminal;
use crate::Error;

/// How long `verify` may go on with the secrets that it has read: its `SECRET_TTL_SECONDS`.
pub const SECRET_TTL: Duration = Duration::from_mins(5);

/// What a change writes, and how long functions may not know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// All that is accepted; GitHub gets the first.
    pub secrets: Vec<Secret>,
    /// Whether they are there already.
    pub resumed: bool,
    pub wait: Duration,
}

/// What a rotation does. Pure, but for the new secret.
pub fn plan(accepted: &[Secret], change: Change, new: Secret, now: OffsetDateTime) -> Plan {
    if let (Change::Unsettled(at), [_, ..]) = (change, accepted) {
        let waited = (now - at).try_into().unwrap_or_default();
        return Plan {
            secrets: accepted.to_vec(),
            resumed: true,
            wait: if accepted.len() > 1 {
                SECRET_TTL.saturating_sub(waited)
            } else {
                Duration::ZERO
            },
        };
    }
    // GitHub signs with the first. Unless that is known, it may sign with any.
    let kept = match change {
        Change::Settled => accepted.get(..1).unwrap_or_default(),
        Change::Unsettled(_) | Change::Unknown => accepted,
    };
    Plan {
        secrets: [&[new], kept].concat(),
        resumed: false,
        wait: if kept.is_empty() {
            Duration::ZERO
        } else {
            SECRET_TTL
        },
    }
}

/// Rotates, or goes on with a rotation that was interrupted.
pub async fn rotate(
    secrets: &Secrets,
    (stored, shown): (&Stored, &Shown),
    given: Option<Secret>,
    github: &GitHub,
    webhook_url: &str,
    terminal: &impl Terminal,
) -> Result<(), Error> {
    let change = secrets.change(stored, shown);
    let accepted = accepted(secrets, stored, change, given)?;
    let plan = plan(&accepted, change, new_secret()?, OffsetDateTime::now_utc());
    let value = joined(&plan.secrets);
    if plan.resumed {
        terminal.say("  going on with a rotation that was not finished");
    } else {
        secrets.write(Name::WebhookSecret, &value, false).await?;
        terminal.say(&format!(
            "✓ written: {}, with the old secret behind the new one",
            secrets.parameter(Name::WebhookSecret)
        ));
    }
    if !plan.wait.is_zero() {
        terminal.say(&format!(
            "  waiting {} s, until no function remembers the old secret alone; if this is interrupted, run it again: both are accepted",
            plan.wait.as_secs()
        ));
        terminal.wait(plan.wait).await;
    }
    settle(secrets, &plan.secrets, github, webhook_url, terminal).await
}

/// Has GitHub sign with the first secret, and notes that it does.
pub async fn settle(
    secrets: &Secrets,
    all: &[Secret],
    github: &GitHub,
    webhook_url: &str,
    terminal: &impl Terminal,
) -> Result<(), Error> {
    let Some(first) = all.first() else {
        return Ok(());
    };
    github.set_hook(webhook_url, first).await.map_err(|error| {
        Error::Other(format!(
            "GitHub may not have the new webhook secret ({error}): run the same command again; until then all secrets are accepted"
        ))
    })?;
    terminal.say("✓ GitHub signs webhooks with the new secret");
    secrets
        .write(Name::WebhookSecret, &joined(all), true)
        .await?;
    Ok(())
}

/// The secrets that are accepted now, the first as GitHub should have it.
fn accepted(
    secrets: &Secrets,
    stored: &Stored,
    change: Change,
    given: Option<Secret>,
) -> Result<Vec<Secret>, Error> {
    let mut accepted = stored.webhook_secrets();
    let readable = !accepted.is_empty() || !stored.has(Name::WebhookSecret);
    match given {
        Some(given) if readable => {
            if !accepted.contains(&given) {
                accepted.push(given);
            }
            Ok(accepted)
        }
        Some(given) if !matches!(change, Change::Unsettled(_)) => Ok(vec![given]),
        Some(_) => Err(Error::Other(format!(
            "{} holds a rotation that was not finished, and only the functions can decrypt it: add yourself to the deployment's secretsReaders and run this again, so that no secret is dropped which GitHub signs with",
            secrets.parameter(Name::WebhookSecret)
        ))),
        None if readable => Ok(accepted),
        None => Err(Error::Other(format!(
            "{} can be decrypted by the functions alone; give the current webhook secret by --webhook-secret-file FILE, or add yourself to the deployment's secretsReaders",
            secrets.parameter(Name::WebhookSecret)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

    fn secrets(names: &[String]) -> Vec<Secret> {
        names.iter().map(Secret::new).collect()
    }

    proptest! {
        /// GitHub signs with some accepted secret. Whatever is interrupted how often, what is written
        /// always includes that one.
        #[test]
        fn the_secret_that_github_signs_with_is_never_dropped(
            ends in prop::collection::vec(0_u8..4, 1..12), hidden in any::<bool>(),
        ) {
            let mut stored = secrets(&["s0".to_owned()]);
            let mut at_github = Secret::new("s0");
            let mut change = if hidden { Change::Unknown } else { Change::Settled };
            for (run, end) in ends.into_iter().enumerate() {
                let plan = plan(&stored, change, Secret::new(format!("n{run}")), NOW);
                // Interrupted before the write, before the wait's end, before the note, or not at all.
                if end >= 1 {
                    stored.clone_from(&plan.secrets);
                    if !hidden { change = Change::Unsettled(NOW); }
                }
                prop_assert!(stored.contains(&at_github), "{stored:?} lacks {at_github:?}");
                if end >= 2 { at_github = plan.secrets[0].clone(); }
                if end >= 3 && !hidden { change = Change::Settled; }
                prop_assert!(stored.contains(&at_github));
            }
        }
    }

    #[test]
    fn a_finished_rotation_keeps_two() {
        let old = secrets(&["a".to_owned(), "b".to_owned()]);
        let plan = plan(&old, Change::Settled, Secret::new("n"), NOW);
        assert_eq!(plan.secrets, secrets(&["n".to_owned(), "a".to_owned()]));
        assert_eq!(plan.wait, SECRET_TTL);
    }

    #[test]
    fn a_resumed_rotation_waits_for_the_rest() {
        let old = secrets(&["a".to_owned(), "b".to_owned()]);
        let began = NOW - time::Duration::seconds(100);
        let plan = plan(&old, Change::Unsettled(began), Secret::new("n"), NOW);
        assert!(plan.resumed);
        assert_eq!(plan.secrets, old);
        assert_eq!(plan.wait, Duration::from_secs(200));
    }
}
