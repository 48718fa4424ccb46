//! A family's stock: its tickets and the keeper's notes.

use protocol::bell::SORT_KEY;

use crate::item::{family_partition, get_text, text};
use crate::notes::{self, Notes};
use crate::ticket::Ticket;
use crate::{Error, Pool};

/// A family's partition: its tickets by slot, and the keeper's notes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stocked {
    pub tickets: Vec<Ticket>,
    pub notes: Notes,
}

impl Pool {
    /// All tickets, in one call, for an operator: a scan reads the whole table, eventually consistent,
    /// up to a megabyte of it.
    pub async fn tickets(&self) -> Result<Vec<Ticket>, Error> {
        let answer = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression("begins_with(pk, :stock)")
            .expression_attribute_values(":stock", text(&family_partition("")))
            .send()
            .await
            .map_err(|error| Error::of("dynamodb:Scan", &self.table, &error))?;
        Ok(answer.items().iter().filter_map(Ticket::read).collect())
    }

    /// Everything about a family's stock, read consistently. Skips items that are no tickets. A
    /// family's partition is far below the megabyte that one answer holds.
    pub async fn stock(&self, family: &str) -> Result<Stocked, Error> {
        let items = self.partition(&family_partition(family)).await?;
        let mut stocked = Stocked::default();
        for item in &items {
            if get_text(item, SORT_KEY) == Some(notes::SORT) {
                stocked.notes = Notes::read(item);
            } else if let Some(ticket) = Ticket::read(item) {
                stocked.tickets.push(ticket);
            } else {
                let sort = get_text(item, SORT_KEY);
                tracing::warn!(family, sort, "skipping an item that is no ticket");
            }
        }
        Ok(stocked)
    }
}
