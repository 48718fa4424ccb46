//! AWS on loopback: as much of it as the functions call, with its throttles, counting every call.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::Request;
use hyper::body::Bytes;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::serve::{Answer, Service, json};

/// Task definitions of the deployment.
pub(crate) const FAMILIES: usize = 50;

/// A warm task.
const WARM_TASK: &str = "arn:aws:ecs:us-east-1:000000000000:task/runners/warm";

/// A token bucket, as AWS throttles with.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    size: f64,
    per_second: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(size: u32, per_second: u32) -> Self {
        Self {
            size: size.into(),
            per_second: per_second.into(),
            tokens: size.into(),
            at: Instant::now(),
        }
    }

    fn take(&mut self) -> bool {
        let now = Instant::now();
        let more = now.duration_since(self.at).as_secs_f64() * self.per_second;
        (self.tokens, self.at) = ((self.tokens + more).min(self.size), now);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

/// What there is in the account.
#[derive(Default)]
pub(crate) struct Account {
    /// Calls by operation, as IAM spells it.
    pub(crate) calls: BTreeMap<String, u64>,
    /// Calls that were refused for their rate.
    pub(crate) throttled: BTreeMap<String, u64>,
    /// Throttles by operation.
    pub(crate) buckets: BTreeMap<&'static str, Bucket>,
    /// How long an answer takes.
    pub(crate) latency: Duration,
    /// Values of parameters by name.
    pub(crate) parameters: BTreeMap<String, String>,
    /// Names of executions.
    pub(crate) executions: BTreeSet<String>,
    /// How often a name was given to StartExecution that was taken.
    pub(crate) started_again: u64,
    /// The overflow queue.
    pub(crate) queue: Queue,
}

/// A queue, as far as its messages are received, put off and deleted.
#[derive(Default)]
pub(crate) struct Queue {
    messages: BTreeMap<u64, Message>,
    sent: u64,
}

struct Message {
    body: String,
    visible: Instant,
    receives: u32,
}

impl Queue {
    /// As `cdk/src/front-door.ts` sets it.
    const VISIBILITY: Duration = Duration::from_secs(54);
    const BATCH: usize = 10;

    fn send(&mut self, body: &str) {
        self.sent += 1;
        let message = Message {
            body: body.to_owned(),
            visible: Instant::now(),
            receives: 0,
        };
        self.messages.insert(self.sent, message);
    }

    /// The records of a batch, as Lambda hands them to a function.
    pub(crate) fn receive(&mut self) -> Vec<Value> {
        let now = Instant::now();
        self.messages
            .iter_mut()
            .filter(|(_, message)| message.visible <= now)
            .take(Self::BATCH)
            .map(|(id, message)| {
                message.receives += 1;
                message.visible = now + Self::VISIBILITY;
                json!({
                    "messageId": id.to_string(), "receiptHandle": id.to_string(), "body": message.body,
                    "attributes": { "ApproximateReceiveCount": message.receives.to_string() },
                })
            })
            .collect()
    }

    fn put_off(&mut self, handle: &str, seconds: u64) {
        let id = handle.parse().unwrap_or_default();
        if let Some(message) = self.messages.get_mut(&id) {
            message.visible = Instant::now() + Duration::from_secs(seconds);
        }
    }

    pub(crate) fn delete(&mut self, id: &str) {
        self.messages.remove(&id.parse().unwrap_or_default());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

/// The account, behind one endpoint.
#[derive(Default)]
pub(crate) struct Aws(Mutex<Account>);

impl Aws {
    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The calls since they were last taken.
    pub(crate) fn take_calls(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.account().calls)
    }
}

impl Service for Aws {
    fn answer(
        self: Arc<Self>,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        Box::pin(async move {
            let operation = operation(&request);
            let (answer, latency) = {
                let mut account = self.account();
                *account.calls.entry(operation.clone()).or_default() += 1;
                let free = account
                    .buckets
                    .get_mut(operation.as_str())
                    .is_none_or(Bucket::take);
                let answer = if free {
                    let body = serde_json::from_slice(request.body()).unwrap_or_default();
                    account.answer(&operation, &body)
                } else {
                    *account.throttled.entry(operation.clone()).or_default() += 1;
                    refused("ThrottlingException", "Rate exceeded")
                };
                (answer, account.latency)
            };
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            answer
        })
    }
}

/// The operation as IAM spells it.
fn operation(request: &Request<Bytes>) -> String {
    let target = request.headers().get("x-amz-target");
    match target.and_then(|target| target.to_str().ok()?.split_once('.')) {
        Some((service, operation)) => {
            let service = match service {
                "AWSStepFunctions" => "states",
                "AmazonSQS" => "sqs",
                "AmazonSSM" => "ssm",
                "DynamoDB_20120810" => "dynamodb",
                service if service.starts_with("AmazonEC2ContainerService") => "ecs",
                service if service.starts_with("DynamoDB") => "dynamodb",
                other => other,
            };
            format!("{service}:{operation}")
        }
        None if request.uri().path().ends_with("/invocations") => "lambda:InvokeFunction".into(),
        None => format!("{} {}", request.method(), request.uri().path()),
    }
}

fn refused(code: &str, message: &str) -> Answer {
    json(400, &json!({ "__type": code, "message": message }))
}

impl Account {
    fn answer(&mut self, operation: &str, body: &Value) -> Answer {
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let done = |body: Value| json(200, &body);
        match operation {
            "ssm:GetParameter" => match self.parameter(text("Name")) {
                Some(parameter) => done(json!({ "Parameter": parameter })),
                None => refused("ParameterNotFound", "there is no such parameter"),
            },
            "ssm:GetParameters" => {
                let names = body["Names"].as_array().into_iter().flatten();
                let found = names.filter_map(|name| self.parameter(name.as_str()?));
                done(json!({ "Parameters": found.collect::<Vec<_>>(), "InvalidParameters": [] }))
            }
            "ssm:PutParameter" => {
                // A runner's registration is not kept: nobody here will take it.
                if body["Type"] == "String" {
                    let value = text("Value").to_owned();
                    self.parameters.insert(text("Name").to_owned(), value);
                }
                done(json!({ "Version": 1, "Tier": "Standard" }))
            }
            // Of an item: there is none.
            "ssm:DeleteParameter" | "dynamodb:GetItem" => done(json!({})),
            "ssm:GetParametersByPath" | "ssm:DescribeParameters" => {
                done(json!({ "Parameters": [] }))
            }
            "states:StartExecution" => {
                let name = text("name");
                if !self.executions.insert(name.to_owned()) {
                    self.started_again += 1;
                }
                let arn = format!("arn:aws:states:us-east-1:000000000000:execution:bench:{name}");
                done(json!({ "executionArn": arn, "startDate": 1_767_225_600.0 }))
            }
            "states:ListExecutions" => done(json!({ "executions": [] })),
            "sqs:SendMessage" => {
                self.queue.send(text("MessageBody"));
                done(json!({ "MessageId": "0", "MD5OfMessageBody": "" }))
            }
            "sqs:ChangeMessageVisibilityBatch" => {
                for entry in body["Entries"].as_array().into_iter().flatten() {
                    let handle = entry["ReceiptHandle"].as_str().unwrap_or_default();
                    let seconds = entry["VisibilityTimeout"].as_u64().unwrap_or_default();
                    self.queue.put_off(handle, seconds);
                }
                done(json!({ "Successful": [], "Failed": [] }))
            }
            "ecs:ListTaskDefinitionFamilies" => {
                done(json!({ "families": (0..FAMILIES).map(family).collect::<Vec<_>>() }))
            }
            "ecs:DescribeTaskDefinition" => {
                let name = text("taskDefinition");
                let number = (0..FAMILIES).find(|number| family(*number) == name);
                done(json!({
                    "taskDefinition": {
                        "family": name, "revision": 1, "status": "ACTIVE",
                        "cpu": "1024", "memory": "2048",
                        "runtimePlatform": { "cpuArchitecture": "X86_64" },
                        "containerDefinitions": [{ "name": "runner" }],
                    },
                    "tags": [
                        { "key": "GH:labels", "value": offered(number.unwrap_or_default()) },
                        { "key": "fargate-runners:prefix", "value": "fargate-runners" },
                    ],
                }))
            }
            // A stock with one task, which is ready. No pool was removed.
            "dynamodb:Query" => {
                let now = OffsetDateTime::now_utc().unix_timestamp().to_string();
                let key = &body["ExpressionAttributeValues"][":pk"];
                if key["S"] == "families" {
                    return done(json!({ "Count": 0, "Items": [] }));
                }
                done(json!({ "Count": 2, "Items": [
                    { "pk": key, "sk": { "S": "keeper" }, "revision": { "N": "1" } },
                    {
                        "pk": key, "sk": { "S": "slot#00" }, "state": { "S": "ready" },
                        "id": { "S": "0123456789abcdef0123456789abcdef" },
                        "taskArn": { "S": WARM_TASK }, "revision": { "N": "1" },
                        "spot": { "BOOL": false }, "born": { "N": now }, "expires": { "N": now },
                    },
                ] }))
            }
            "ecs:DescribeTasks" => done(json!({ "failures": [], "tasks": [{
                "taskArn": WARM_TASK, "lastStatus": "RUNNING", "desiredStatus": "RUNNING",
            }] })),
            "ecs:ListTasks" => done(json!({ "taskArns": [] })),
            // Where ECS has a task fetch the keys of its role.
            "GET /credentials" => done(json!({
                "AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "secret",
                "Token": "session", "Expiration": "2099-01-01T00:00:00Z",
            })),
            "lambda:InvokeFunction" => json(202, &Value::Null),
            other => refused("InvalidAction", &format!("{other} is not known here")),
        }
    }

    fn parameter(&self, name: &str) -> Option<Value> {
        let value = self.parameters.get(name)?;
        Some(json!({
            "Name": name, "Value": value, "Type": "SecureString", "Version": 1, "DataType": "text",
            "ARN": format!("arn:aws:ssm:us-east-1:000000000000:parameter{name}"),
            "LastModifiedDate": 1_767_225_600.0,
        }))
    }
}

fn family(number: usize) -> String {
    format!("fargate-runners-team-{number}")
}

fn offered(number: usize) -> String {
    format!("self-hosted linux x64 team-{number}")
}
