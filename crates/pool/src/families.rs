//! The families that have had a stock.
//!
//! The keeper knows a family only while its runner has a pool. What is left of a pool that a deployment
//! removed is found by this list.

use protocol::bell::SORT_KEY;

use crate::item::{family_partition, get_text, key};
use crate::{Error, Pool, notes};

const PARTITION: &str = "families";

impl Pool {
    /// Notes that a family has a stock. Called before its first ticket is put.
    pub async fn note_family(&self, family: &str) -> Result<(), Error> {
        self.put(key(PARTITION, family), family).await
    }

    /// All families that have had a stock and were not forgotten.
    pub async fn families(&self) -> Result<Vec<String>, Error> {
        let items = self.partition(PARTITION).await?;
        let names = items.iter().filter_map(|item| get_text(item, SORT_KEY));
        Ok(names.map(str::to_owned).collect())
    }

    /// Forgets a family whose stock is empty, with the keeper's notes about it. The notes go first:
    /// without them the family is noted again if it comes back.
    pub async fn forget_family(&self, family: &str) -> Result<(), Error> {
        for key in [
            key(&family_partition(family), notes::SORT),
            key(PARTITION, family),
        ] {
            self.delete(key, family).await?;
        }
        Ok(())
    }
}
