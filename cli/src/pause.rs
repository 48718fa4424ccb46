//! A deployment that is paused takes no new jobs: a parameter says so, and `verify` reads it.
//!
//! Queued jobs stay queued at GitHub. After `resume`, `sweep` has GitHub deliver their webhooks again.

use std::time::Duration;

use aws::executions::Executions;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::operation::delete_parameter::DeleteParameterError;
use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use aws_sdk_ssm::types::ParameterType;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use crate::Error;
use crate::finding::Finding;
pub use protocol::paused_parameter as parameter;

/// Between two looks at what is running.
const LOOK: Duration = Duration::from_secs(5);
/// Looks in a row that find nothing: the functions know of a pause after half a minute.
const QUIET: u32 = 8;
/// Executions that are counted.
const EXECUTIONS: usize = 1_000;
/// Looks in a row that may fail for a passing reason: half an hour.
const FAILURES: u32 = 360;

/// The parameter of a deployment.
#[derive(Clone, Debug)]
pub struct Paused {
    ssm: Client,
    parameter: String,
}

impl Paused {
    pub fn new(ssm: Client, prefix: &str) -> Self {
        Self {
            ssm,
            parameter: parameter(prefix),
        }
    }

    /// Pauses; since when it is paused.
    pub async fn pause(&self, now: OffsetDateTime) -> Result<String, Error> {
        match self.ssm.get_parameter().name(&self.parameter).send().await {
            Ok(found) => {
                if let Some(since) = found.parameter.and_then(|found| found.value) {
                    return Ok(since);
                }
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetParameterError::is_parameter_not_found) => {}
            // Whether it is paused already, and since when, has to be known before it is written.
            Err(error) => {
                return Err(aws::Error::new("ssm:GetParameter", &self.parameter, &error).into());
            }
        }
        let now = now.replace_nanosecond(0).unwrap_or(now);
        let now = now.format(&Rfc3339).unwrap_or_default();
        self.ssm
            .put_parameter()
            .name(&self.parameter)
            .value(&now)
            .description(
                "While this is here, new jobs stay queued at GitHub: fargate-runners resume",
            )
            .r#type(ParameterType::String)
            .overwrite(true)
            .send()
            .await
            .map_err(|error| aws::Error::new("ssm:PutParameter", &self.parameter, &error))?;
        Ok(now)
    }

    /// Takes jobs again; whether it was paused.
    pub async fn resume(&self) -> Result<bool, Error> {
        match self
            .ssm
            .delete_parameter()
            .name(&self.parameter)
            .send()
            .await
        {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DeleteParameterError::is_parameter_not_found) =>
            {
                Ok(false)
            }
            Err(error) => {
                Err(aws::Error::new("ssm:DeleteParameter", &self.parameter, &error).into())
            }
        }
    }
}

/// Waits until nothing runs, and how many are left. The limit is for what runs: where nothing does, the
/// wait goes on until the functions know of the pause.
pub async fn drained(
    executions: &Executions,
    limit: Duration,
    mut told: impl FnMut(usize),
) -> Result<usize, Error> {
    let until = Instant::now().checked_add(limit);
    let (mut quiet, mut before, mut failures) = (0, None, 0);
    loop {
        let running = executions.list(decisions::Status::Running, EXECUTIONS);
        let left = match running.await.map_err(Error::from) {
            Ok(running) => running.len(),
            // It waits for hours, and AWS may throttle or be away meanwhile.
            Err(error) if error.passes() && failures < FAILURES => {
                failures += 1;
                tokio::time::sleep(LOOK).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        failures = 0;
        quiet = if left == 0 { quiet + 1 } else { 0 };
        if before != Some(left) {
            told(left);
            before = Some(left);
        }
        let is_late = until.is_some_and(|until| Instant::now() + LOOK > until);
        if quiet >= QUIET || (is_late && left > 0) {
            return Ok(left);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What a check says of it.
pub(crate) fn finding(since: Option<&str>) -> Option<Finding> {
    since.map(|since| {
        Finding::bad(
            format!("the deployment is paused ({since}): no new job gets a runner"),
            "fargate-runners resume",
        )
    })
}
