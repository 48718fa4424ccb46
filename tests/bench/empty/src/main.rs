//! The floor: a Lambda function that does nothing, built as the handlers are. What it takes, no
//! handler can do without.

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::run(service_fn(async |_: LambdaEvent<Value>| {
        Ok::<_, lambda_runtime::Error>(Value::Null)
    }))
    .await
}
