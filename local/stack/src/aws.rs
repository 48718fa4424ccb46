//! The few AWS calls of the tools, by the JSON protocol.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::REGION;

/// The engine answers within milliseconds; a call that hangs is a bug to be seen.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A caller of the local engine. It has every permission.
#[derive(Clone, Debug)]
pub struct Aws {
    http: reqwest::Client,
    endpoint: String,
}

/// AWS refused a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsError {
    /// The exception's name, such as `ParameterNotFound`.
    pub code: String,
    /// Its message.
    pub message: String,
    call: String,
}

impl std::fmt::Display for AwsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.call, self.code, self.message)
    }
}

impl std::error::Error for AwsError {}

impl Aws {
    /// A caller of the engine at that endpoint.
    pub fn new(endpoint: &str) -> anyhow::Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(TIMEOUT)
                .build()?,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
        })
    }

    /// Where the engine is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A call of Step Functions.
    pub async fn states(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        self.json("states", "AWSStepFunctions", "1.0", operation, input)
            .await
    }

    /// A call of ECS.
    pub async fn ecs(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        let target = "AmazonEC2ContainerServiceV20141113";
        self.json("ecs", target, "1.1", operation, input).await
    }

    /// A call of Parameter Store.
    pub async fn ssm(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        self.json("ssm", "AmazonSSM", "1.1", operation, input).await
    }

    /// A call of EventBridge.
    pub async fn events(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        self.json("events", "AWSEvents", "1.1", operation, input)
            .await
    }

    /// A call of CloudWatch Logs.
    pub async fn logs(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        self.json("logs", "Logs_20140328", "1.1", operation, input)
            .await
    }

    /// A call of KMS.
    pub async fn kms(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        self.json("kms", "TrentService", "1.1", operation, input)
            .await
    }

    /// A call of SQS.
    pub async fn sqs(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        self.json("sqs", "AmazonSQS", "1.0", operation, input).await
    }

    /// A call of a service that takes a form and answers XML, such as EC2 or IAM.
    pub async fn query(
        &self,
        service: &str,
        version: &str,
        operation: &str,
        input: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        let call = format!("{service}:{operation}");
        // A form is encoded as a query is.
        let mut form = reqwest::Url::parse(&self.endpoint)?;
        form.query_pairs_mut()
            .extend_pairs([("Action", operation), ("Version", version)])
            .extend_pairs(input);
        let answer = self
            .http
            .post(&self.endpoint)
            .header("authorization", authorization(service))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.query().unwrap_or_default().to_owned())
            .send()
            .await
            .with_context(|| format!("{call} on {}", self.endpoint))?;
        let good = answer.status().is_success();
        let text = answer
            .text()
            .await
            .with_context(|| format!("reading {call}'s answer"))?;
        anyhow::ensure!(good, "{call}: {text}");
        Ok(text)
    }

    /// Writes a SecureString.
    pub async fn put_secret(&self, name: &str, value: &str) -> anyhow::Result<()> {
        let input =
            json!({ "Name": name, "Value": value, "Type": "SecureString", "Overwrite": true });
        self.ssm("PutParameter", input).await.map(drop)
    }

    /// Calls a function and waits for its answer. What the function fails with is an [`AwsError`] of
    /// that name.
    pub async fn invoke(&self, function: &str, payload: Value) -> anyhow::Result<Value> {
        let call = format!("lambda:Invoke {function}");
        let answer = self
            .http
            .post(format!(
                "{}/2015-03-31/functions/{function}/invocations",
                self.endpoint
            ))
            .header("authorization", authorization("lambda"))
            .json(&payload)
            .send()
            .await
            .with_context(|| format!("{call} on {}", self.endpoint))?;
        let good =
            answer.status().is_success() && !answer.headers().contains_key("x-amz-function-error");
        let body: Value = answer
            .json()
            .await
            .with_context(|| format!("{call} answered no JSON"))?;
        if good {
            return Ok(body);
        }
        Err(AwsError {
            code: text(&body, ["errorType", "Type"]).to_owned(),
            message: text(&body, ["errorMessage", "Message"]).to_owned(),
            call,
        }
        .into())
    }

    /// Whether there is a function of that name.
    pub async fn has_function(&self, function: &str) -> anyhow::Result<bool> {
        let url = format!("{}/2015-03-31/functions/{function}", self.endpoint);
        let answer = self
            .http
            .get(&url)
            .header("authorization", authorization("lambda"))
            .send()
            .await
            .with_context(|| format!("asking {url}"))?;
        Ok(answer.status() != reqwest::StatusCode::NOT_FOUND)
    }

    async fn json(
        &self,
        service: &str,
        target: &str,
        version: &str,
        operation: &str,
        input: Value,
    ) -> anyhow::Result<Value> {
        let call = format!("{service}:{operation}");
        let answer = self
            .http
            .post(&self.endpoint)
            .header("content-type", format!("application/x-amz-json-{version}"))
            .header("x-amz-target", format!("{target}.{operation}"))
            .header("authorization", authorization(service))
            .body(input.to_string())
            .send()
            .await
            .with_context(|| format!("{call} on {}", self.endpoint))?;
        let good = answer.status().is_success();
        let bytes = answer
            .bytes()
            .await
            .with_context(|| format!("reading {call}'s answer"))?;
        let body: Value = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).with_context(|| format!("{call} answered no JSON"))?
        };
        if good {
            return Ok(body);
        }
        let code = text(&body, ["__type", "code"]);
        Err(AwsError {
            code: code.rsplit('#').next().unwrap_or(code).to_owned(),
            message: text(&body, ["message", "Message"]).to_owned(),
            call,
        }
        .into())
    }
}

/// Nobody checks the signature here, but the scope in it tells the engine which service is meant.
fn authorization(service: &str) -> String {
    let scope = format!("test/20260101/{REGION}/{service}/aws4_request");
    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0")
}

/// The first of these fields that there is.
fn text<'a>(body: &'a Value, names: [&str; 2]) -> &'a str {
    names
        .iter()
        .find_map(|name| body[*name].as_str())
        .unwrap_or_default()
}
