//! A stock of warm tasks whose calls can each fail, and the task that answers its bell.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::error::ErrorMetadata;
use aws_sdk_dynamodb::operation::delete_item::{
    DeleteItemError, DeleteItemInput, DeleteItemOutput,
};
use aws_sdk_dynamodb::operation::get_item::{GetItemError, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryError, QueryOutput};
use aws_sdk_dynamodb::operation::update_item::{
    UpdateItemError, UpdateItemInput, UpdateItemOutput,
};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_ecs::operation::stop_task::{StopTaskError, StopTaskOutput};
use aws_sdk_ecs::operation::tag_resource::{TagResourceError, TagResourceOutput};
use aws_sdk_lambda::operation::invoke::{InvokeError, InvokeOutput};
use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};
use decisions::Bell;
use pool::Pool;
use serde_json::Value;
use token::warm::{Keeper, Stock};

pub(crate) const TASK: &str = "arn:aws:ecs:us-east-1:000000000000:task/runners/0a";
pub(crate) const KEY: &str = "00112233445566778899aabbccddeeff";

/// Every call that can fail, as IAM spells it, with what it is for.
pub(crate) const SHARE: &str = "dynamodb:UpdateItem share";
pub(crate) const CLAIM: &str = "dynamodb:DeleteItem ticket";
pub(crate) const LOOK: &str = "dynamodb:Query stock";
pub(crate) const TAG: &str = "ecs:TagResource";
pub(crate) const RING: &str = "dynamodb:PutItem bell";
pub(crate) const READ: &str = "dynamodb:GetItem bell";
pub(crate) const WITHDRAW: &str = "dynamodb:UpdateItem bell";
pub(crate) const STOP: &str = "ecs:StopTask";
pub(crate) const TELL: &str = "lambda:InvokeFunction";

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fails {
    /// AWS refuses it.
    Refused,
    /// AWS has an internal error, and has not carried it out.
    Undone,
    /// AWS has carried it out, and the answer is an internal error.
    Done,
}

impl Fails {
    fn code(self) -> &'static str {
        match self {
            Self::Refused => "AccessDeniedException",
            Self::Undone | Self::Done => "InternalServerError",
        }
    }
}

/// A ticket in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InStock {
    pub(crate) slot: u8,
    pub(crate) state: &'static str,
    pub(crate) revision: u64,
    pub(crate) spot: bool,
}

impl InStock {
    pub(crate) fn ready(slot: u8) -> Self {
        Self {
            slot,
            state: "ready",
            revision: 7,
            spot: false,
        }
    }

    fn sort(self) -> String {
        format!("slot#{:02}", self.slot)
    }

    fn item(self) -> BTreeMap<String, AttributeValue> {
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let number = |value: u64| AttributeValue::N(value.to_string());
        BTreeMap::from([
            ("pk".to_owned(), text("stock#f")),
            ("sk".to_owned(), text(&self.sort())),
            ("id".to_owned(), text(KEY)),
            ("state".to_owned(), text(self.state)),
            ("taskArn".to_owned(), text(TASK)),
            ("revision".to_owned(), number(self.revision)),
            ("spot".to_owned(), AttributeValue::Bool(self.spot)),
            ("born".to_owned(), number(1_767_225_600)),
        ])
    }
}

/// What there is, what fails, and what was asked.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) tickets: Vec<InStock>,
    /// Tickets that are seen and were claimed by others before they are tried.
    pub(crate) ghosts: Vec<InStock>,
    pub(crate) share_used: bool,
    pub(crate) bell: Option<Bell>,
    /// At which look the task has answered; never if `None`.
    pub(crate) answers_at: Option<usize>,
    /// Whether the task takes the ring between the last look and the withdrawal.
    pub(crate) answers_last: bool,
    pub(crate) fails: BTreeMap<&'static str, Fails>,
    /// What fails only the first time.
    pub(crate) fails_once: BTreeMap<&'static str, Fails>,
    pub(crate) calls: Vec<&'static str>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) rung: Option<BTreeMap<String, AttributeValue>>,
    pub(crate) told: Option<Value>,
}

impl Table {
    /// Notes a call. Whether it is carried out, and how it fails.
    fn call(&mut self, call: &'static str) -> (bool, Option<Fails>) {
        self.calls.push(call);
        let once = self.fails_once.remove(call);
        let fails = once.or_else(|| self.fails.get(call).copied());
        (matches!(fails, None | Some(Fails::Done)), fails)
    }

    fn looks(&self) -> usize {
        self.calls.iter().filter(|call| **call == READ).count()
    }

    fn claim(&mut self, request: &DeleteItemInput) -> Option<InStock> {
        let sort = request.key().unwrap()["sk"].as_s().unwrap();
        let values = request.expression_attribute_values().unwrap();
        let oldest: u64 = values[":revision"].as_n().unwrap().parse().unwrap();
        let spot = !values.contains_key(":no");
        let at = self.tickets.iter().position(|ticket| {
            ticket.sort() == *sort
                && ticket.state == "ready"
                && ticket.revision >= oldest
                && (spot || !ticket.spot)
        })?;
        Some(self.tickets.remove(at))
    }

    fn withdraw(&mut self) -> Result<(), Bell> {
        if self.answers_last && self.bell == Some(Bell::Ring) {
            self.bell = Some(Bell::Taken);
        }
        match self.bell {
            None | Some(Bell::Ring) => {
                self.bell = Some(Bell::Leave);
                Ok(())
            }
            Some(bell) => Err(bell),
        }
    }
}

fn metadata(fails: Fails) -> ErrorMetadata {
    ErrorMetadata::builder().code(fails.code()).build()
}

fn failed(bell: Option<Bell>) -> ConditionalCheckFailedException {
    let code = ErrorMetadata::builder().code("ConditionalCheckFailedException");
    let mut failed = ConditionalCheckFailedException::builder().meta(code.build());
    if let Some(bell) = bell {
        failed = failed
            .item("what", AttributeValue::S(bell.name().to_owned()))
            .item("expires", AttributeValue::N("1767225600".to_owned()));
    }
    failed.build()
}

/// The stock over a table.
pub(crate) struct World(pub(crate) Arc<Mutex<Table>>);

impl World {
    pub(crate) fn new(table: Table) -> Self {
        Self(Arc::new(Mutex::new(table)))
    }

    pub(crate) fn stock(&self) -> Stock {
        Stock {
            pool: Pool::over(self.dynamodb(), "table"),
            ecs: self.ecs(),
            keeper: Some(Keeper {
                lambda: self.lambda(),
                function: "fargate-runners-stock".to_owned(),
            }),
        }
    }

    pub(crate) fn calls(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().calls.clone()
    }

    fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        use aws_sdk_dynamodb::Client;
        let here = Arc::clone(&self.0);
        let claim = mock!(Client::delete_item).then_compute_response(move |request| {
            let mut table = here.lock().unwrap();
            let (carried_out, fails) = table.call(CLAIM);
            let taken = if carried_out {
                table.claim(request)
            } else {
                None
            };
            match (fails, taken) {
                (Some(fails), _) => MockResponse::Error(DeleteItemError::generic(metadata(fails))),
                (None, Some(ticket)) => MockResponse::Output(
                    DeleteItemOutput::builder()
                        .set_attributes(Some(ticket.item().into_iter().collect()))
                        .build(),
                ),
                (None, None) => MockResponse::Error(
                    DeleteItemError::ConditionalCheckFailedException(failed(None)),
                ),
            }
        });
        let here = Arc::clone(&self.0);
        let look = mock!(Client::query).then_compute_response(move |_request| {
            let mut table = here.lock().unwrap();
            if let (_, Some(fails)) = table.call(LOOK) {
                return MockResponse::Error(QueryError::generic(metadata(fails)));
            }
            let seen = table.tickets.iter().chain(&table.ghosts);
            let items = seen.map(|ticket| ticket.item().into_iter().collect());
            let items = Some(items.collect());
            MockResponse::Output(QueryOutput::builder().set_items(items).build())
        });
        let here = Arc::clone(&self.0);
        let ring = mock!(Client::put_item).then_compute_response(move |request: &PutItemInput| {
            let mut table = here.lock().unwrap();
            let (carried_out, fails) = table.call(RING);
            let free = table.bell.is_none();
            if carried_out && free {
                table.bell = Some(Bell::Ring);
                table.rung = request
                    .item()
                    .map(|item| item.clone().into_iter().collect());
            }
            match fails {
                Some(fails) => MockResponse::Error(PutItemError::generic(metadata(fails))),
                None if free => MockResponse::Output(PutItemOutput::builder().build()),
                None => {
                    MockResponse::Error(PutItemError::ConditionalCheckFailedException(failed(None)))
                }
            }
        });
        let here = Arc::clone(&self.0);
        let read = mock!(Client::get_item).then_compute_response(move |request| {
            assert_eq!(request.consistent_read(), Some(true));
            let mut table = here.lock().unwrap();
            let (_, fails) = table.call(READ);
            let answered = table.answers_at.is_some_and(|at| table.looks() >= at);
            if answered && table.bell == Some(Bell::Ring) {
                table.bell = Some(Bell::Taken);
            }
            if let Some(fails) = fails {
                return MockResponse::Error(GetItemError::generic(metadata(fails)));
            }
            let mut output = GetItemOutput::builder();
            if let Some(bell) = table.bell {
                output = output
                    .item("what", AttributeValue::S(bell.name().to_owned()))
                    .item("expires", AttributeValue::N("1767225600".to_owned()));
            }
            MockResponse::Output(output.build())
        });
        let here = Arc::clone(&self.0);
        let update =
            mock!(Client::update_item).then_compute_response(move |request: &UpdateItemInput| {
                let mut table = here.lock().unwrap();
                let key = request.key().unwrap()["pk"].as_s().unwrap();
                let is_share = key.starts_with("share#");
                let (carried_out, fails) = table.call(if is_share { SHARE } else { WITHDRAW });
                let answer = match (carried_out, is_share) {
                    (true, true) if table.share_used => Err(None),
                    (true, false) => table.withdraw().map_err(Some),
                    _ => Ok(()),
                };
                match (fails, answer) {
                    (Some(fails), _) => {
                        MockResponse::Error(UpdateItemError::generic(metadata(fails)))
                    }
                    (None, Ok(())) => MockResponse::Output(UpdateItemOutput::builder().build()),
                    (None, Err(bell)) => MockResponse::Error(
                        UpdateItemError::ConditionalCheckFailedException(failed(bell)),
                    ),
                }
            });
        mock_client!(
            aws_sdk_dynamodb,
            RuleMode::MatchAny,
            [&claim, &look, &ring, &read, &update],
            |config| config.retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::disabled())
        )
    }

    fn ecs(&self) -> aws_sdk_ecs::Client {
        use aws_sdk_ecs::Client;
        let here = Arc::clone(&self.0);
        let tag = mock!(Client::tag_resource).then_compute_response(move |request| {
            let mut table = here.lock().unwrap();
            assert_eq!(request.resource_arn(), Some(TASK));
            assert!(
                !table.calls.contains(&RING),
                "a task is tagged before it is rung"
            );
            let (carried_out, fails) = table.call(TAG);
            if carried_out {
                let tags = request.tags().iter();
                table.tags = tags
                    .map(|tag| {
                        (
                            tag.key().unwrap().to_owned(),
                            tag.value().unwrap().to_owned(),
                        )
                    })
                    .collect();
            }
            match fails {
                Some(fails) => MockResponse::Error(TagResourceError::generic(
                    aws_sdk_ecs::error::ErrorMetadata::builder()
                        .code(fails.code())
                        .build(),
                )),
                None => MockResponse::Output(TagResourceOutput::builder().build()),
            }
        });
        let here = Arc::clone(&self.0);
        let stop = mock!(Client::stop_task).then_compute_response(move |request| {
            let mut table = here.lock().unwrap();
            assert_eq!(
                (request.task(), request.cluster()),
                (Some(TASK), Some("runners"))
            );
            assert_eq!(
                table.bell,
                Some(Bell::Leave),
                "only what has taken nothing is stopped"
            );
            match table.call(STOP) {
                (_, Some(fails)) => MockResponse::Error(StopTaskError::generic(
                    aws_sdk_ecs::error::ErrorMetadata::builder()
                        .code(fails.code())
                        .build(),
                )),
                (_, None) => MockResponse::Output(StopTaskOutput::builder().build()),
            }
        });
        mock_client!(aws_sdk_ecs, RuleMode::MatchAny, [&tag, &stop], |config| {
            config.retry_config(aws_sdk_ecs::config::retry::RetryConfig::disabled())
        })
    }

    fn lambda(&self) -> aws_sdk_lambda::Client {
        use aws_sdk_lambda::Client;
        let here = Arc::clone(&self.0);
        let tell = mock!(Client::invoke).then_compute_response(move |request| {
            let mut table = here.lock().unwrap();
            assert_eq!(request.function_name(), Some("fargate-runners-stock"));
            assert_eq!(request.invocation_type().unwrap().as_str(), "Event");
            let (_, fails) = table.call(TELL);
            table.told = serde_json::from_slice(request.payload().unwrap().as_ref()).ok();
            match fails {
                Some(fails) => MockResponse::Error(InvokeError::generic(
                    aws_sdk_lambda::error::ErrorMetadata::builder()
                        .code(fails.code())
                        .build(),
                )),
                None => MockResponse::Output(InvokeOutput::builder().build()),
            }
        });
        mock_client!(aws_sdk_lambda, RuleMode::MatchAny, [&tell], |config| {
            config.retry_config(aws_sdk_lambda::config::retry::RetryConfig::disabled())
        })
    }
}
