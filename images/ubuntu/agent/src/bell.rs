//! Reads and answers a warm task's bell: one item of the pool's table.
//!
//! [`protocol::bell`] has the item, `decisions::stock` the meaning of its states.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use decisions::Bell;
use protocol::bell::{
    BELL, EXECUTION, EXPIRES, KEPT, PARAMETER, PARTITION_KEY, QUEUED, RUNNER, SORT_KEY, WHAT,
};
use protocol::{BellKey, ExecutionName, ParameterPath, RunnerName};

use crate::parameter::causes;

/// Errors of a call for the bell.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{call} on the bell in table {table} failed: {cause}. {advice}")]
    Call {
        /// The IAM action.
        call: &'static str,
        table: String,
        /// The message of DynamoDB or of the connection.
        cause: String,
        advice: &'static str,
    },
    #[error(
        "the bell's attribute {0} is missing or invalid; deploy functions and image of the same version"
    )]
    Content(&'static str),
}

/// What a ring says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ring {
    pub(crate) parameter: ParameterPath,
    pub(crate) runner: RunnerName,
    pub(crate) execution: ExecutionName,
    /// When the job was queued, if the ring says so: for a summary alone, nothing fails.
    pub(crate) queued: Option<SystemTime>,
}

/// A bell as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) bell: Bell,
    /// Of a ring, also after the answer.
    pub(crate) ring: Option<Ring>,
}

/// One bell in one table.
pub(crate) struct Line {
    client: Client,
    table: String,
    key: HashMap<String, AttributeValue>,
}

impl Line {
    pub(crate) fn new(client: Client, table: String, bell: &BellKey) -> Self {
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let key = HashMap::from([
            (PARTITION_KEY.to_owned(), text(&bell.partition())),
            (SORT_KEY.to_owned(), text(BELL)),
        ]);
        Self { client, table, key }
    }

    /// Reads the bell, eventually consistent: at half the price, and a stale read costs one more look.
    pub(crate) async fn look(&self) -> Result<Option<Message>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(self.key.clone()))
            .send()
            .await
            .map_err(|error| self.call("dynamodb:GetItem", &error))?;
        answer.item.as_ref().map(Message::read).transpose()
    }

    /// Answers a ring: from then on the registration is this task's. Returns whether it still rang.
    pub(crate) async fn answer(&self) -> Result<bool, Error> {
        let expires = SystemTime::now() + KEPT;
        let expires = expires.duration_since(UNIX_EPOCH).unwrap_or_default();
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(self.key.clone()))
            .update_expression("SET #what = :taken, #expires = :expires")
            .condition_expression("#what = :ring")
            .expression_attribute_names("#what", WHAT)
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_values(":ring", AttributeValue::S(Bell::Ring.name().to_owned()))
            .expression_attribute_values(":taken", AttributeValue::S(Bell::Taken.name().to_owned()))
            .expression_attribute_values(
                ":expires",
                AttributeValue::N(expires.as_secs().to_string()),
            )
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(self.call("dynamodb:UpdateItem", &error)),
        }
    }

    fn call<E>(&self, call: &'static str, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        Error::Call {
            call,
            table: self.table.clone(),
            cause: causes(error),
            advice: advice(error.as_service_error().and_then(|error| error.code())),
        }
    }
}

impl Message {
    fn read(item: &HashMap<String, AttributeValue>) -> Result<Self, Error> {
        let text = |name| item.get(name).and_then(|value| value.as_s().ok());
        let bell = text(WHAT)
            .and_then(|what| Bell::from_name(what))
            .ok_or(Error::Content(WHAT))?;
        let ring = match bell {
            Bell::Leave => None,
            Bell::Ring | Bell::Taken => Some(Ring {
                parameter: parsed(text(PARAMETER), PARAMETER)?,
                runner: parsed(text(RUNNER), RUNNER)?,
                execution: parsed(text(EXECUTION), EXECUTION)?,
                queued: item
                    .get(QUEUED)
                    .and_then(|value| value.as_n().ok()?.parse().ok())
                    .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds))),
            }),
        };
        Ok(Self { bell, ring })
    }
}

fn parsed<T: std::str::FromStr>(text: Option<&String>, name: &'static str) -> Result<T, Error> {
    text.and_then(|text| text.parse().ok())
        .ok_or(Error::Content(name))
}

fn advice(code: Option<&str>) -> &'static str {
    match code {
        Some("ResourceNotFoundException") => "The table of the pool is gone; deploy again",
        Some("AccessDeniedException") => {
            "Allow the task role dynamodb:GetItem and dynamodb:UpdateItem on its bells"
        }
        Some(code) if code.contains("hrottl") || code.contains("Throughput") => {
            "The table is throttled; the agent looks again"
        }
        Some(_) => "DynamoDB rejected the call",
        None => {
            "Check that the subnet reaches DynamoDB (NAT, public IP or gateway endpoint) and that the task has a role"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/fargate-runners/runners/fr-hello-42/0123456789abcdef0123456789abcdef";

    fn item(attributes: &[(&str, &str)]) -> HashMap<String, AttributeValue> {
        let attribute = |(name, value): &(&str, &str)| {
            ((*name).to_owned(), AttributeValue::S((*value).to_owned()))
        };
        attributes.iter().map(attribute).collect()
    }

    #[test]
    fn a_ring_names_the_registration_and_whose_it_is() {
        let told = [
            ("what", "ring"),
            ("parameter", PATH),
            ("runner", "fr-hello-42"),
            ("execution", "hello-42"),
        ];
        let mut told = item(&told);
        let message = Message::read(&told).unwrap();
        assert_eq!(message.bell, Bell::Ring);
        let ring = message.ring.unwrap();
        assert_eq!(ring.parameter.to_string(), PATH);
        // An earlier version of `token` says no more.
        assert_eq!(ring.queued, None);
        for (said, queued) in [("1767225600", Some(1_767_225_600)), ("soon", None)] {
            told.insert("queued".to_owned(), AttributeValue::N(said.to_owned()));
            let ring = Message::read(&told).unwrap().ring.unwrap();
            let queued = queued.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(ring.queued, queued, "{said}");
        }
        let message = Message::read(&item(&[("what", "leave")])).unwrap();
        assert_eq!((message.bell, message.ring), (Bell::Leave, None));
    }

    #[test]
    fn a_bell_that_cannot_be_read_names_the_attribute() {
        for (item, name) in [
            (item(&[("what", "dance")]), "what"),
            (
                item(&[("what", "ring"), ("parameter", "/else")]),
                "parameter",
            ),
            (item(&[("what", "ring"), ("parameter", PATH)]), "runner"),
        ] {
            let error = Message::read(&item).unwrap_err().to_string();
            assert!(error.contains(&format!("attribute {name} ")), "{error}");
        }
    }

    #[test]
    fn each_refusal_says_what_to_look_at() {
        for (code, word) in [
            (Some("ResourceNotFoundException"), "gone"),
            (Some("AccessDeniedException"), "task role"),
            (Some("ThrottlingException"), "throttled"),
            (Some("ProvisionedThroughputExceededException"), "throttled"),
            (None, "subnet"),
        ] {
            assert!(advice(code).contains(word), "{code:?}");
        }
    }
}
