//! What Lambda delivers: an HTTP request, or messages of the overflow queue.
//!
//! Own structs instead of the full event types: of a request only headers, body and the sender's
//! address are used, and they are the same in a function URL's and an HTTP API's events ([payload 2.0]).
//!
//! [payload 2.0]: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// An invocation's event.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Raw")]
pub enum Event {
    /// A request to the function URL or the HTTP API.
    Http(Request),
    /// Messages of the overflow queue.
    Queue(Vec<Message>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    headers: Option<BTreeMap<String, String>>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
    request_context: Option<RequestContext>,
    #[serde(rename = "Records")]
    records: Option<Vec<Message>>,
}

#[derive(Default, Deserialize)]
struct RequestContext {
    #[serde(default)]
    http: Http,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    source_ip: Option<String>,
}

impl From<Raw> for Event {
    fn from(raw: Raw) -> Self {
        match raw.records {
            Some(messages) => Self::Queue(messages),
            None => Self::Http(Request {
                headers: raw.headers.unwrap_or_default(),
                body: raw.body.unwrap_or_default(),
                base64: raw.is_base64_encoded.unwrap_or_default(),
                source: raw.request_context.unwrap_or_default().http.source_ip,
            }),
        }
    }
}

/// A request. Its `Debug` does not show the body: nobody has verified it.
#[derive(Clone)]
pub struct Request {
    /// The headers, spelled as they came.
    pub headers: BTreeMap<String, String>,
    /// The body, as text or in base64.
    pub body: String,
    /// Whether it is in base64.
    pub base64: bool,
    /// The address that the connection came from, as AWS saw it. Never a header: those are the
    /// sender's words.
    pub source: Option<String>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Request({} bytes)", self.body.len())
    }
}

/// Why a request's body cannot be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is larger than the limit.
    #[error("the body exceeds {BODY_LIMIT} bytes")]
    TooLarge,
    /// It is said to be base64 and is not.
    #[error("the event declares a base64 body, but the body is not base64")]
    NotBase64,
}

/// The largest body in bytes: what one invocation of Lambda carries ([quotas]). GitHub delivers up
/// to 25 MB, but a `workflow_job` is a few ten thousand bytes.
///
/// [quotas]: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
pub const BODY_LIMIT: usize = 6 * 1024 * 1024;

impl Request {
    /// A header by its name in lower case, whatever the case it came in.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The raw bytes of the body, which the signature is over.
    pub fn bytes(&self) -> Result<Cow<'_, [u8]>, BodyError> {
        // Four characters of base64 are three bytes.
        let length = if self.base64 {
            self.body.len() / 4 * 3
        } else {
            self.body.len()
        };
        if length > BODY_LIMIT {
            return Err(BodyError::TooLarge);
        }
        if self.base64 {
            let bytes = STANDARD.decode(&self.body);
            bytes.map(Cow::Owned).map_err(|_| BodyError::NotBase64)
        } else {
            Ok(Cow::Borrowed(self.body.as_bytes()))
        }
    }
}

/// A message of the overflow queue.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// By which SQS is told what became of it.
    pub message_id: String,
    /// An order, as JSON.
    #[serde(default)]
    pub body: String,
    /// By which its visibility is changed.
    #[serde(default)]
    pub receipt_handle: String,
    #[serde(default)]
    pub attributes: Attributes,
}

/// What SQS says about a message.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attributes {
    /// How often it was received, as text.
    #[serde(default)]
    pub approximate_receive_count: String,
}

impl Message {
    /// How often it was received, this time included.
    pub fn receives(&self) -> u32 {
        let count = &self.attributes.approximate_receive_count;
        count.parse().unwrap_or(1)
    }
}

/// What became of the messages ([batch response]): those not named are done.
///
/// [batch response]: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// The messages that SQS is to deliver again.
    pub batch_item_failures: Vec<ItemFailure>,
}

/// A message that SQS is to deliver again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemFailure {
    /// The message's id.
    pub item_identifier: String,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(event: &Value) -> Request {
        match serde_json::from_value(event.clone()).unwrap() {
            Event::Http(request) => request,
            Event::Queue(_) => panic!("not a request"),
        }
    }

    #[test]
    fn a_function_urls_event_is_a_request() {
        let request = request(&json!({
            "version": "2.0", "rawPath": "/",
            "requestContext": { "http": { "method": "POST", "sourceIp": "192.30.252.44" } },
            "headers": { "X-GitHub-Event": "ping" }, "body": "SGVsbG8=", "isBase64Encoded": true
        }));
        assert_eq!(request.header("x-github-event"), Some("ping"));
        assert_eq!(request.bytes().unwrap().as_ref(), b"Hello");
        assert_eq!(request.source.as_deref(), Some("192.30.252.44"));
    }

    #[test]
    fn what_is_missing_is_empty() {
        for event in [
            json!({}),
            json!({"headers": null, "body": null, "isBase64Encoded": null, "requestContext": null}),
            json!({"requestContext": {"http": {"sourceIp": null}}}),
        ] {
            let request = request(&event);
            assert_eq!(request.header("x-github-event"), None);
            assert!(request.bytes().unwrap().is_empty());
            assert_eq!(request.source, None);
        }
    }

    #[test]
    fn a_body_that_is_not_base64_is_told_so() {
        let request = request(&json!({"body": "*", "isBase64Encoded": true}));
        assert_eq!(request.bytes(), Err(BodyError::NotBase64));
    }

    #[test]
    fn the_limit_is_on_the_bytes_whatever_the_encoding() {
        let bytes = vec![b'x'; BODY_LIMIT];
        for (base64, body, more) in [
            (true, STANDARD.encode(&bytes), "AAAA"),
            (false, String::from_utf8(bytes).unwrap(), "x"),
        ] {
            let mut request = Request {
                headers: BTreeMap::new(),
                body,
                base64,
                source: None,
            };
            assert_eq!(request.bytes().unwrap().len(), BODY_LIMIT);
            request.body.push_str(more);
            assert_eq!(request.bytes(), Err(BodyError::TooLarge));
        }
    }

    #[test]
    fn records_are_messages() {
        let event = json!({"Records": [
            {"messageId": "m", "body": "{}", "eventSource": "aws:sqs"},
            {"messageId": "n", "receiptHandle": "r", "attributes": {"ApproximateReceiveCount": "3"}},
        ]});
        let Event::Queue(messages) = serde_json::from_value(event).unwrap() else {
            panic!("not messages")
        };
        assert_eq!(messages[0].message_id, "m");
        assert_eq!(messages[0].receives(), 1);
        assert_eq!(messages[1].receipt_handle, "r");
        assert_eq!(messages[1].receives(), 3);
    }

    #[test]
    fn a_debugged_request_hides_its_body() {
        let request = request(&json!({"body": "secret"}));
        assert_eq!(format!("{request:?}"), "Request(6 bytes)");
    }
}
