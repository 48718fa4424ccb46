//! Calls that several kinds of items make alike. Conditional writes are where their conditions are.

use crate::Pool;
use crate::error::Error;
use crate::item::{Item, text};

impl Pool {
    /// Writes an item over whatever was there. `target` names it in an error.
    pub(crate) async fn put(&self, item: Item, target: &str) -> Result<(), Error> {
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .send()
            .await
            .map_err(|error| Error::of("dynamodb:PutItem", target, &error))?;
        Ok(())
    }

    /// Reads an item consistently.
    pub(crate) async fn get(&self, key: Item, target: &str) -> Result<Option<Item>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| Error::of("dynamodb:GetItem", target, &error))?;
        Ok(answer.item)
    }

    /// Reads a partition consistently, as far as one call returns it: a megabyte.
    pub(crate) async fn partition(&self, partition: &str) -> Result<Vec<Item>, Error> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(partition))
            .send()
            .await
            .map_err(|error| Error::of("dynamodb:Query", partition, &error))?;
        Ok(answer.items.unwrap_or_default())
    }

    /// Deletes an item, if there is one.
    pub(crate) async fn delete(&self, key: Item, target: &str) -> Result<(), Error> {
        self.client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .send()
            .await
            .map_err(|error| Error::of("dynamodb:DeleteItem", target, &error))?;
        Ok(())
    }
}
