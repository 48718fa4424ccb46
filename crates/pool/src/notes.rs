//! The keeper's notes about a family.

use time::OffsetDateTime;

use crate::Pool;
use crate::error::Error;
use crate::item::{
    Item, family_partition, get_instant, get_number, get_text, instant, key, number, text,
};

pub(crate) const SORT: &str = "keeper";
const LAST_JOB: &str = "lastJob";
const PAUSED_UNTIL: &str = "pausedUntil";
const PAUSES: &str = "pauses";
const PAUSED_FOR: &str = "pausedFor";
const REVISION: &str = "revision";

/// Maximum length of a pause's reason. ECS's longest are of this size.
const REASON_LIMIT: usize = 500;

/// What the keeper remembers about a family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// When a job of the family last came.
    pub last_job: Option<OffsetDateTime>,
    /// No task is started before this time.
    pub paused_until: Option<OffsetDateTime>,
    /// Consecutive pauses; each is longer than the one before.
    pub pauses: u32,
    /// Why it pauses, in ECS's words.
    pub paused_for: Option<String>,
    /// The newest revision that was seen.
    pub revision: Option<u64>,
}

impl Notes {
    pub(crate) fn read(item: &Item) -> Self {
        Self {
            last_job: get_instant(item, LAST_JOB),
            paused_until: get_instant(item, PAUSED_UNTIL),
            pauses: get_number(item, PAUSES).unwrap_or(0),
            paused_for: get_text(item, PAUSED_FOR).map(str::to_owned),
            revision: get_number(item, REVISION),
        }
    }
}

impl Pool {
    /// Notes that a job of the family came.
    pub async fn note_job(&self, family: &str, at: OffsetDateTime) -> Result<(), Error> {
        self.note(family, "SET lastJob = :a", &[(":a", instant(at))])
            .await
    }

    /// Notes the newest revision.
    pub async fn note_revision(&self, family: &str, revision: u64) -> Result<(), Error> {
        self.note(family, "SET revision = :a", &[(":a", number(revision))])
            .await
    }

    /// Notes a pause.
    pub async fn pause(
        &self,
        family: &str,
        until: OffsetDateTime,
        pauses: u32,
        reason: &str,
    ) -> Result<(), Error> {
        let reason: String = reason.chars().take(REASON_LIMIT).collect();
        let values = [
            (":a", instant(until)),
            (":b", number(u64::from(pauses))),
            (":c", text(&reason)),
        ];
        self.note(
            family,
            "SET pausedUntil = :a, pauses = :b, pausedFor = :c",
            &values,
        )
        .await
    }

    /// Ends a pause: a task was started.
    pub async fn end_pause(&self, family: &str) -> Result<(), Error> {
        self.note(family, "REMOVE pausedUntil, pauses, pausedFor", &[])
            .await
    }

    async fn note(
        &self,
        family: &str,
        expression: &str,
        values: &[(&str, aws_sdk_dynamodb::types::AttributeValue)],
    ) -> Result<(), Error> {
        let values = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let values: std::collections::HashMap<_, _> = values.collect();
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(&family_partition(family), SORT)))
            .update_expression(expression)
            // DynamoDB rejects an empty map.
            .set_expression_attribute_values(Some(values).filter(|values| !values.is_empty()))
            .send()
            .await
            .map_err(|error| Error::of("dynamodb:UpdateItem", family, &error))?;
        Ok(())
    }
}
