//! Tickets: the tasks in stock.
//!
//! A ticket is created only in a free slot, and whoever creates it starts its task. Whoever deletes it
//! owns the task. Both are conditional writes, so two callers never both succeed.

use std::fmt;
use std::str::FromStr;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use decisions::TicketState;
use protocol::bell::{EXPIRES, PARTITION_KEY, SORT_KEY};
use protocol::{BellKey, MAX_SLOTS};
use time::OffsetDateTime;

use crate::error::{done, written};
use crate::item::{
    Item, family_partition, get_instant, get_number, get_parsed, get_text, instant, key, number,
    text,
};
use crate::{Error, Pool, Written};

const ID: &str = "id";
const STATE: &str = "state";
const TASK_ARN: &str = "taskArn";
const REVISION: &str = "revision";
const SPOT: &str = "spot";
const BORN: &str = "born";

/// A slot of a family's stock, 0 to 99. Written with two digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u8);

impl Slot {
    /// `None` beyond the last slot.
    pub const fn new(number: u8) -> Option<Self> {
        if number < MAX_SLOTS {
            Some(Self(number))
        } else {
            None
        }
    }

    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

/// Where a ticket is. Displayed as `<family>/<slot>`, as a task is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketKey {
    pub family: String,
    pub slot: Slot,
}

impl TicketKey {
    fn item(&self) -> Item {
        key(&family_partition(&self.family), &sort(self.slot))
    }
}

impl fmt::Display for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.family, self.slot)
    }
}

/// Text that is no ticket's key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no ticket: use <family>/<slot>")]
pub struct TicketKeyError(String);

impl FromStr for TicketKey {
    type Err = TicketKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (family, slot) = text.rsplit_once('/')?;
            let slot = Slot::new(slot.parse().ok()?)?;
            Some(Self {
                family: family.to_owned(),
                slot,
            })
        };
        read().ok_or_else(|| TicketKeyError(text.to_owned()))
    }
}

/// A task in stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub key: TicketKey,
    /// Its id, and the key of its task's bell.
    pub id: BellKey,
    pub state: TicketState,
    /// Its task, once RunTask has answered.
    pub task_arn: Option<String>,
    /// Revision of the task definition.
    pub revision: u64,
    /// Whether its task runs on Spot.
    pub spot: bool,
    /// When it was created. The table stores whole seconds.
    pub born: OffsetDateTime,
}

impl Ticket {
    fn item(&self, expires: OffsetDateTime) -> Item {
        let mut item = self.key.item();
        item.extend([
            (ID.to_owned(), text(self.id.as_str())),
            (STATE.to_owned(), text(self.state.name())),
            (REVISION.to_owned(), number(self.revision)),
            (SPOT.to_owned(), AttributeValue::Bool(self.spot)),
            (BORN.to_owned(), instant(self.born)),
            (EXPIRES.to_owned(), instant(expires)),
        ]);
        if let Some(arn) = &self.task_arn {
            item.insert(TASK_ARN.to_owned(), text(arn));
        }
        item
    }

    pub(crate) fn read(item: &Item) -> Option<Self> {
        let family = get_text(item, PARTITION_KEY)?.strip_prefix("stock#")?;
        let slot = get_text(item, SORT_KEY)?.strip_prefix(SLOT)?;
        Some(Self {
            key: TicketKey {
                family: family.to_owned(),
                slot: Slot::new(slot.parse().ok()?)?,
            },
            id: get_parsed(item, ID)?,
            state: TicketState::from_name(get_text(item, STATE)?)?,
            task_arn: get_text(item, TASK_ARN).map(str::to_owned),
            revision: get_number(item, REVISION)?,
            spot: *item.get(SPOT)?.as_bool().ok()?,
            born: get_instant(item, BORN)?,
        })
    }
}

/// What a job accepts of a ready ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The oldest revision that serves it.
    pub revision: u64,
    /// Whether a task on Spot serves it.
    pub spot: bool,
}

const SLOT: &str = "slot#";

fn sort(slot: Slot) -> String {
    format!("{SLOT}{slot}")
}

impl Pool {
    /// Creates a ticket if its slot is free. Whoever succeeds starts its task.
    pub async fn reserve(
        &self,
        ticket: &Ticket,
        expires: OffsetDateTime,
    ) -> Result<Written, Error> {
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(ticket.item(expires)))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        done(written("dynamodb:PutItem", &ticket.key.to_string(), answer))
    }

    /// Notes the task of a reserved ticket. The condition fails if the ticket is another one, or ready
    /// already.
    pub async fn started(
        &self,
        key: &TicketKey,
        id: &BellKey,
        task_arn: &str,
    ) -> Result<Written, Error> {
        self.advance(key, id, task_arn, TicketState::Started).await
    }

    /// Notes that a ticket's task runs. The condition fails if the ticket is another one.
    pub async fn ready(
        &self,
        key: &TicketKey,
        id: &BellKey,
        task_arn: &str,
    ) -> Result<Written, Error> {
        self.advance(key, id, task_arn, TicketState::Ready).await
    }

    async fn advance(
        &self,
        key: &TicketKey,
        id: &BellKey,
        task_arn: &str,
        state: TicketState,
    ) -> Result<Written, Error> {
        // `state` is a reserved word of DynamoDB.
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key.item()))
            .update_expression("SET #state = :state, taskArn = :arn")
            .expression_attribute_names("#state", STATE)
            .expression_attribute_values(":state", text(state.name()))
            .expression_attribute_values(":arn", text(task_arn))
            .expression_attribute_values(":id", text(id.as_str()));
        update = if state == TicketState::Ready {
            update.condition_expression("id = :id")
        } else {
            update
                .condition_expression("id = :id AND #state = :reserved")
                .expression_attribute_values(":reserved", text(TicketState::Reserved.name()))
        };
        let answer = update.send().await;
        done(written("dynamodb:UpdateItem", &key.to_string(), answer))
    }

    /// Deletes one ticket. Whoever succeeds owns its task.
    pub async fn retire(&self, key: &TicketKey, id: &BellKey) -> Result<Written, Error> {
        let answer = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key.item()))
            .condition_expression("id = :id")
            .expression_attribute_values(":id", text(id.as_str()))
            .send()
            .await;
        done(written("dynamodb:DeleteItem", &key.to_string(), answer))
    }

    /// Deletes the ticket in a slot if it is ready and serves the job. Whoever succeeds owns its task.
    pub async fn claim(&self, key: &TicketKey, claim: Claim) -> Result<Written<Ticket>, Error> {
        const CALL: &str = "dynamodb:DeleteItem";
        let target = key.to_string();
        let mut condition = "#state = :ready AND revision >= :revision".to_owned();
        let mut delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key.item()))
            .expression_attribute_names("#state", STATE)
            .expression_attribute_values(":ready", text(TicketState::Ready.name()))
            .expression_attribute_values(":revision", number(claim.revision))
            .return_values(ReturnValue::AllOld);
        if !claim.spot {
            condition.push_str(" AND spot = :no");
            delete = delete.expression_attribute_values(":no", AttributeValue::Bool(false));
        }
        let answer = delete.condition_expression(condition).send().await;
        let Written::Done(output) = written(CALL, &target, answer)? else {
            return Ok(Written::ConditionFailed);
        };
        let ticket = output.attributes.as_ref().and_then(Ticket::read);
        if ticket.is_none() {
            // Its task is found by `sweep`, as one without a ticket.
            tracing::warn!(ticket = target, "the claimed ticket is unreadable");
        }
        Ok(ticket.map_or(Written::ConditionFailed, Written::Done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_reads_back_from_its_item() {
        let now = OffsetDateTime::from_unix_timestamp(1_767_225_600).unwrap();
        for (task_arn, state) in [
            (None, TicketState::Reserved),
            (Some("arn".to_owned()), TicketState::Ready),
        ] {
            let ticket = Ticket {
                key: "fargate-runners-ubuntu/07".parse().unwrap(),
                id: BellKey::mint().unwrap(),
                state,
                task_arn,
                revision: 12,
                spot: true,
                born: now,
            };
            assert_eq!(Ticket::read(&ticket.item(now)), Some(ticket));
        }
    }

    #[test]
    fn a_ticket_is_named_by_family_and_slot() {
        let key: TicketKey = "a-family/07".parse().unwrap();
        assert_eq!(
            (key.slot.number(), key.to_string().as_str()),
            (7, "a-family/07")
        );
        for text in ["a-family", "a-family/100", "a-family/x"] {
            assert!(text.parse::<TicketKey>().is_err(), "{text}");
        }
    }
}
