//! Shares: how many tasks one repository takes in a minute.

use protocol::Repository;
use protocol::bell::EXPIRES;
use time::{Duration, OffsetDateTime};

use crate::error::{done, written};
use crate::item::{instant, key, number};
use crate::{Error, Pool, Written};

/// A share counts in its minute only.
const KEPT: Duration = Duration::hours(1);

impl Pool {
    /// Takes one task of a repository's share in this minute. The condition fails if the share is
    /// used up.
    pub async fn take_share(
        &self,
        family: &str,
        repository: &Repository,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<Written, Error> {
        let minute = now.unix_timestamp() / 60;
        // GitHub compares names without case.
        let repository = repository.to_string().to_ascii_lowercase();
        let partition = format!("share#{family}#{repository}#{minute}");
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(&partition, "share")))
            .update_expression("SET #expires = :expires ADD taken :one")
            .condition_expression("attribute_not_exists(taken) OR taken < :limit")
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_values(":expires", instant(now + KEPT))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":limit", number(u64::from(limit)))
            .send()
            .await;
        done(written("dynamodb:UpdateItem", &partition, answer))
    }
}
