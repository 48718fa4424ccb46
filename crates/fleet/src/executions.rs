//! Executions: the jobs that they own, and their outcomes.

use aws::executions::Started;
pub use decisions::Status;
use decisions::{ExecutionOutput, Failure, Outcome};
use protocol::{ExecutionName, Job, Order};
use time::OffsetDateTime;

use crate::{Error, Fleet};

/// Number of successful executions to list, and to read, to find out whether GitHub assigns jobs to
/// our runners. During trouble there are few, and otherwise the first one tells.
const PICK_UPS_LISTED: usize = 200;
const PICK_UPS_READ: usize = 20;

/// An execution from Step Functions.
#[derive(Clone, Debug)]
pub struct Execution {
    pub name: ExecutionName,
    pub status: Status,
    /// Its error's name, if it failed, for the operator.
    pub error: Option<String>,
    /// Its error's cause, if it failed.
    pub cause: Option<String>,
    pub ended_at: Option<OffsetDateTime>,
    /// Outcome of its last attempt, if it succeeded.
    pub outcome: Option<Outcome>,
    pub order: Order,
}

impl Execution {
    /// Why it failed, if it did.
    pub fn failure(&self) -> Option<Failure> {
        self.error.as_deref().map(Failure::from_name)
    }
}

impl Fleet {
    /// Describes an execution; `None` if it does not exist.
    pub async fn execution(&self, name: &ExecutionName) -> Result<Option<Execution>, Error> {
        let Some(found) = self.executions.describe(name).await? else {
            return Ok(None);
        };
        let order = serde_json::from_str(&found.input).map_err(|problem| Error::ForeignInput {
            name: name.to_string(),
            problem: problem.to_string(),
        })?;
        // The output of an older version may have fewer fields.
        let outcome = found
            .output
            .and_then(|output| serde_json::from_str::<ExecutionOutput>(&output).ok())
            .map(|output| output.outcome);
        Ok(Some(Execution {
            name: name.clone(),
            status: found.status,
            error: found.error,
            cause: found.cause,
            ended_at: found.ended_at,
            outcome,
            order,
        }))
    }

    /// Starts a later execution of the same job, which checks after `not_before` whether the job is
    /// still queued, and then serves it. Idempotent: both calls name the same execution.
    pub async fn start_check(
        &self,
        after: &ExecutionName,
        order: &Order,
        not_before: Option<OffsetDateTime>,
    ) -> Result<(ExecutionName, Started), Error> {
        let name = after.next()?;
        let order = Order {
            recheck: true,
            not_before,
            ..order.clone()
        };
        let started = self.executions.start(&name, &order).await?;
        Ok((name, started))
    }

    /// All executions of a job, oldest first: `-r2` exists only if the first one does.
    pub async fn executions_of(&self, first: &ExecutionName) -> Result<Vec<Execution>, Error> {
        let mut found = Vec::new();
        let mut name = first.clone();
        while let Some(execution) = self.execution(&name).await? {
            found.push(execution);
            match name.next() {
                Ok(next) => name = next,
                Err(_) => break,
            }
        }
        Ok(found)
    }

    /// Names of executions that ended with one status since a time, among the `limit` started last.
    pub async fn ended_since(
        &self,
        status: Status,
        since: OffsetDateTime,
        limit: usize,
    ) -> Result<Vec<ExecutionName>, Error> {
        let listed = self.executions.list(status, limit).await?.into_iter();
        let ended = listed.filter(|one| one.ended_at.is_some_and(|at| at >= since));
        Ok(ended.map(|one| one.name).collect())
    }

    /// When, since a time, a runner of this deployment last ended after running a job, for
    /// executions whose job `counts`. Reads the outputs of successful executions, the only record
    /// of it, up to a fixed number. Running jobs are not seen.
    pub async fn last_picked_up(
        &self,
        since: OffsetDateTime,
        counts: impl Fn(&Job) -> bool,
    ) -> Result<Option<OffsetDateTime>, Error> {
        let listed = self
            .executions
            .list(Status::Succeeded, PICK_UPS_LISTED)
            .await?;
        let mut ended: Vec<_> = listed
            .into_iter()
            .filter_map(|one| Some((one.ended_at.filter(|at| *at >= since)?, one.name)))
            .collect();
        // The list is ordered by start time.
        ended.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        for (_, name) in ended.into_iter().take(PICK_UPS_READ) {
            let Some(execution) = self.execution(&name).await? else {
                continue;
            };
            let ran = execution.outcome.is_some_and(Outcome::had_job);
            if ran && counts(&execution.order.job) {
                return Ok(execution.ended_at);
            }
        }
        Ok(None)
    }
}
