//! AWS calls of the tools, with the JSON protocol.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::REGION;

/// The engine answers within milliseconds; a hanging call is a bug.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A client of the local engine with all permissions.
#[derive(Clone, Debug)]
pub struct Aws {
    http: reqwest::Client,
    endpoint: String,
}

/// An error response of AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsError {
    /// The exception's name, such as `ParameterNotFound`.
    pub code: String,
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
    pub fn new(endpoint: &str) -> anyhow::Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(TIMEOUT)
                .build()?,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
        })
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub async fn states(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        self.json("states", "AWSStepFunctions", "1.0", operation, input)
            .await
    }

    pub async fn ecs(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        let target = "AmazonEC2ContainerServiceV20141113";
        self.json("ecs", target, "1.1", operation, input).await
    }

    pub async fn dynamodb(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        self.json("dynamodb", "DynamoDB_20120810", "1.0", operation, input)
            .await
    }

    pub async fn ssm(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        self.json("ssm", "AmazonSSM", "1.1", operation, input).await
    }

    pub async fn events(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        self.json("events", "AWSEvents", "1.1", operation, input)
            .await
    }

    pub async fn logs(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        self.json("logs", "Logs_20140328", "1.1", operation, input)
            .await
    }

    pub async fn kms(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        self.json("kms", "TrentService", "1.1", operation, input)
            .await
    }

    pub async fn sqs(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        self.json("sqs", "AmazonSQS", "1.0", operation, input).await
    }

    /// Calls a service that takes a form and returns XML, such as EC2 or IAM.
    pub async fn query(
        &self,
        service: &str,
        version: &str,
        operation: &str,
        input: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        let call = format!("{service}:{operation}");
        // A form is encoded like a query.
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
            .with_context(|| format!("cannot read the response of {call}"))?;
        anyhow::ensure!(good, "{call}: {text}");
        Ok(text)
    }

    /// Writes a SecureString.
    pub async fn put_secret(&self, name: &str, value: &str) -> anyhow::Result<()> {
        let input =
            json!({ "Name": name, "Value": value, "Type": "SecureString", "Overwrite": true });
        self.ssm("PutParameter", input).await.map(drop)
    }

    /// Invokes a function and returns its result. A function's error is an [`AwsError`] with its
    /// name.
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
            .with_context(|| format!("the response of {call} is not JSON"))?;
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

    /// Changes a variable of a function, as a deployment does; returns its value before.
    pub async fn set_variable(
        &self,
        function: &str,
        name: &str,
        value: &str,
    ) -> anyhow::Result<String> {
        let url = format!(
            "{}/2015-03-31/functions/{function}/configuration",
            self.endpoint
        );
        let send = async |request: reqwest::RequestBuilder| -> anyhow::Result<Value> {
            let request = request.header("authorization", authorization("lambda"));
            let answer = request
                .send()
                .await
                .with_context(|| format!("configuring {function}"))?;
            let good = answer.status().is_success();
            let body: Value = answer.json().await?;
            anyhow::ensure!(good, "{function}: {body}");
            Ok(body)
        };
        let before = send(self.http.get(&url)).await?;
        let mut environment = before["Environment"].clone();
        let variable = &mut environment["Variables"][name];
        let was = variable.as_str().unwrap_or_default().to_owned();
        *variable = json!(value);
        send(
            self.http
                .put(&url)
                .json(&json!({ "Environment": environment })),
        )
        .await?;
        Ok(was)
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
            .with_context(|| format!("cannot read the response of {call}"))?;
        let body: Value = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes)
                .with_context(|| format!("the response of {call} is not JSON"))?
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

/// Nothing checks the signature, but its scope tells the engine the service.
fn authorization(service: &str) -> String {
    let scope = format!("test/20260101/{REGION}/{service}/aws4_request");
    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0")
}

/// The first of these fields that exists.
fn text<'a>(body: &'a Value, names: [&str; 2]) -> &'a str {
    names
        .iter()
        .find_map(|name| body[*name].as_str())
        .unwrap_or_default()
}
