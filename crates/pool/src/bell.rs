//! Bells: how a task in stock is told what to do.
//!
//! A bell is a small state machine in one item, which [`decisions::stock`](decisions::Bell) describes.
//! It is never deleted before its task has ended, so a lost answer can be told from a write that was
//! not done.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use decisions::Bell;
use protocol::bell::{BELL, EXECUTION, EXPIRES, KEPT, PARAMETER, QUEUED, RUNNER, WHAT};
use protocol::{BellKey, ExecutionName, ParameterPath, RunnerName};
use time::OffsetDateTime;

use crate::error::{done, written};
use crate::item::{Item, get_instant, get_text, instant, key, text};
use crate::{Error, Pool, Written};

/// What a ring says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// The path of the registration.
    pub parameter: ParameterPath,
    pub runner: RunnerName,
    pub execution: ExecutionName,
    /// When GitHub queued the job.
    pub queued_at: OffsetDateTime,
}

/// A bell as it is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BellSeen {
    pub bell: Bell,
    pub written_at: OffsetDateTime,
}

impl BellSeen {
    fn read(item: &Item) -> Option<Self> {
        Some(Self {
            bell: Bell::from_name(get_text(item, WHAT)?)?,
            written_at: get_instant(item, EXPIRES)? - KEPT,
        })
    }
}

/// Result of [`Pool::withdraw`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// The bell says `leave` now.
    Done,
    /// The bell was decided before: this is what it says.
    Refused(Bell),
}

fn bell_key(bell: &BellKey) -> Item {
    key(&bell.partition(), BELL)
}

/// A bell's name in errors, which must not show its key.
fn shown(bell: &BellKey) -> String {
    format!("{bell:?}")
}

impl Pool {
    /// Rings a bell. The condition fails if the bell was written before.
    pub async fn ring(
        &self,
        bell: &BellKey,
        ring: &Ring,
        now: OffsetDateTime,
    ) -> Result<Written, Error> {
        let told = [
            (PARAMETER, text(&ring.parameter)),
            (RUNNER, text(&ring.runner)),
            (EXECUTION, text(&ring.execution)),
            (QUEUED, instant(ring.queued_at)),
        ];
        self.write(bell, Bell::Ring, &told, now).await
    }

    /// Tells a task to leave. The condition fails if the bell was written before.
    pub async fn tell_to_leave(
        &self,
        bell: &BellKey,
        now: OffsetDateTime,
    ) -> Result<Written, Error> {
        self.write(bell, Bell::Leave, &[], now).await
    }

    async fn write(
        &self,
        bell: &BellKey,
        what: Bell,
        told: &[(&str, AttributeValue)],
        now: OffsetDateTime,
    ) -> Result<Written, Error> {
        let mut item = bell_key(bell);
        item.insert(WHAT.to_owned(), text(what.name()));
        item.insert(EXPIRES.to_owned(), instant(now + KEPT));
        item.extend(
            told.iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        done(written("dynamodb:PutItem", &shown(bell), answer))
    }

    /// Reads a bell consistently; `None` if nothing is on it.
    pub async fn bell(&self, bell: &BellKey) -> Result<Option<BellSeen>, Error> {
        let item = self.get(bell_key(bell), &shown(bell)).await?;
        Ok(item.as_ref().and_then(BellSeen::read))
    }

    /// Turns a ring, or a bell without anything on it, into `leave`.
    pub async fn withdraw(&self, bell: &BellKey, now: OffsetDateTime) -> Result<Withdrawal, Error> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(bell_key(bell)))
            .update_expression("SET what = :leave, expires = :expires")
            .condition_expression("attribute_not_exists(pk) OR what = :ring")
            .expression_attribute_values(":leave", text(Bell::Leave.name()))
            .expression_attribute_values(":ring", text(Bell::Ring.name()))
            .expression_attribute_values(":expires", instant(now + KEPT))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        if let Err(SdkError::ServiceError(error)) = &answer
            && let UpdateItemError::ConditionalCheckFailedException(failed) = error.err()
            && let Some(seen) = failed.item().and_then(BellSeen::read)
        {
            return Ok(Withdrawal::Refused(seen.bell));
        }
        match answer {
            Ok(_) => Ok(Withdrawal::Done),
            Err(error) => Err(Error::of("dynamodb:UpdateItem", &shown(bell), &error)),
        }
    }
}
