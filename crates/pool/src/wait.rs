//! Waits: the executions that wait for the end of a task that they did not start.
//!
//! The state machine writes an item with its task token under the task's ARN, unless the task's end is
//! noted there. The end of the task is noted first, then told to the execution that waits; then the
//! token is removed. So an item with a token is still to be told, whatever crashed in between.

use aws_sdk_dynamodb::types::ReturnValue;
use protocol::bell::{EXPIRES, SORT_KEY};
use protocol::{ExecutionName, RunnerName};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::error::{done, written};
use crate::item::{Item, get_instant, get_parsed, get_text, instant, key, text};
use crate::{Error, Pool, Written};

/// The partition of all waits.
const PARTITION: &str = "wait";
const TOKEN: &str = "token";
const EXECUTION: &str = "execution";
const RUNNER: &str = "runner";
const ENDED: &str = "ended";

/// How long the table keeps a wait: longer than any job. The state machine writes the same, so that an
/// item's age follows from its `expires`.
pub const KEPT: Duration = Duration::days(7);

/// Pages of waits that one call of [`Pool::waits`] reads; a page holds about a thousand.
const PAGES: usize = 10;

/// A task token of Step Functions. Whoever has it can end the state that waits, so it does not show
/// itself.
#[derive(Clone, PartialEq, Eq)]
pub struct TaskToken(String);

impl TaskToken {
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for TaskToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TaskToken({} bytes)", self.0.len())
    }
}

/// The item of an adopted task.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait {
    pub task_arn: String,
    /// The token of the state that waits and is still to be told.
    pub token: Option<TaskToken>,
    pub execution: Option<ExecutionName>,
    pub runner: Option<RunnerName>,
    /// The ended task, in the form of `runTask.sync`; null if it is unreadable.
    pub ended: Option<Value>,
    /// When its first version was written.
    pub written_at: OffsetDateTime,
}

impl Wait {
    fn read(item: &Item) -> Option<Self> {
        let ended = item.contains_key(ENDED).then(|| {
            let task = get_text(item, ENDED).unwrap_or_default();
            serde_json::from_str(task).unwrap_or_default()
        });
        Some(Self {
            task_arn: get_text(item, SORT_KEY)?.to_owned(),
            token: get_text(item, TOKEN).map(TaskToken::new),
            execution: get_parsed(item, EXECUTION),
            runner: get_parsed(item, RUNNER),
            ended,
            written_at: get_instant(item, EXPIRES)? - KEPT,
        })
    }
}

impl Pool {
    /// Reads a wait consistently.
    pub async fn wait(&self, task_arn: &str) -> Result<Option<Wait>, Error> {
        let item = self.get(key(PARTITION, task_arn), task_arn).await?;
        Ok(item.as_ref().and_then(Wait::read))
    }

    /// Notes the end of a task, and returns the wait for it. Without a token in it, nobody waits: an
    /// execution that comes later finds the end.
    pub async fn note_end(
        &self,
        task_arn: &str,
        task: &Value,
        now: OffsetDateTime,
    ) -> Result<Wait, Error> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(PARTITION, task_arn)))
            .update_expression("SET ended = :task, expires = if_not_exists(expires, :expires)")
            .expression_attribute_values(":task", text(task))
            .expression_attribute_values(":expires", instant(now + KEPT))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(|error| Error::of("dynamodb:UpdateItem", task_arn, &error))?;
        Ok(answer
            .attributes
            .as_ref()
            .and_then(Wait::read)
            .unwrap_or_else(|| Wait {
                task_arn: task_arn.to_owned(),
                token: None,
                execution: None,
                runner: None,
                ended: Some(task.clone()),
                written_at: now,
            }))
    }

    /// Removes the token of a wait that was told. The condition fails if the token is another one: a
    /// retried state waits with a new one.
    pub async fn told(&self, task_arn: &str, token: &TaskToken) -> Result<Written, Error> {
        // `token` is a reserved word of DynamoDB.
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(PARTITION, task_arn)))
            .update_expression("REMOVE #token")
            .condition_expression("#token = :token")
            .expression_attribute_names("#token", TOKEN)
            .expression_attribute_values(":token", text(token.expose()))
            .send()
            .await;
        done(written("dynamodb:UpdateItem", task_arn, answer))
    }

    /// All waits, up to some thousands.
    pub async fn waits(&self) -> Result<Vec<Wait>, Error> {
        let mut found = Vec::new();
        let mut start = None;
        for _ in 0..PAGES {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", text(PARTITION))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| Error::of("dynamodb:Query", PARTITION, &error))?;
            found.extend(answer.items().iter().filter_map(Wait::read));
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Deletes a wait that nobody needs any more. The condition fails if an execution waits.
    pub async fn forget_wait(&self, task_arn: &str) -> Result<Written, Error> {
        let answer = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(PARTITION, task_arn)))
            .condition_expression("attribute_not_exists(#token)")
            .expression_attribute_names("#token", TOKEN)
            .send()
            .await;
        done(written("dynamodb:DeleteItem", task_arn, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_show_itself() {
        assert_eq!(format!("{:?}", TaskToken::new("abc")), "TaskToken(3 bytes)");
    }
}
