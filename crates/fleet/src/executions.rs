//! What executions mean to the fleet: whose job each works for, and what became of it.

use aws::executions::Started;
pub use decisions::Status;
use decisions::{ExecutionOutput, Failure, Outcome};
use protocol::{ExecutionName, Job, Order};
use time::OffsetDateTime;

use crate::{Error, Fleet};

/// How many executions that ended well are listed, and how many of those are read, to find out whether
/// GitHub gives our runners jobs. In trouble there are few, and without it the first one tells.
const PICK_UPS_LISTED: usize = 200;
const PICK_UPS_READ: usize = 20;

/// An execution as Step Functions describes it.
#[derive(Clone, Debug)]
pub struct Execution {
    pub name: ExecutionName,
    pub status: Status,
    /// Its error's name, where it failed, for people.
    pub error: Option<String>,
    /// What that tells.
    pub failure: Option<Failure>,
    /// Its error's cause, where it failed.
    pub cause: Option<String>,
    pub ended_at: Option<OffsetDateTime>,
    /// What became of its last attempt, where it ended well.
    pub outcome: Option<Outcome>,
    pub order: Order,
}

impl Fleet {
    /// Describes an execution; none where there is none of that name.
    pub async fn execution(&self, name: &ExecutionName) -> Result<Option<Execution>, Error> {
        let Some(found) = self.executions.describe(name).await? else {
            return Ok(None);
        };
        let order = serde_json::from_str(&found.input).map_err(|problem| Error::ForeignInput {
            name: name.to_string(),
            problem: problem.to_string(),
        })?;
        // An execution of an older version may say less.
        let outcome = found
            .output
            .and_then(|output| serde_json::from_str::<ExecutionOutput>(&output).ok())
            .map(|output| output.outcome);
        Ok(Some(Execution {
            name: name.clone(),
            status: found.status,
            failure: found.error.as_deref().map(Failure::from_name),
            error: found.error,
            cause: found.cause,
            ended_at: found.ended_at,
            outcome,
            order,
        }))
    }

    /// Has a later execution of the same job check, not before `not_before`, whether the job is
    /// still queued, and serve it then. Asking twice is asking once: both name the same execution.
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

    /// Every execution of a job there is, oldest first: `-r2` exists only if the first one does.
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

    /// The names of executions that ended in one state since an instant, among the `limit` started
    /// last.
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

    /// When, since an instant, a runner of this deployment last ended that had run a job, for an
    /// execution whose job `counts`. Read from the executions that ended well: what they end with is the
    /// only record of it that is kept, and a fixed number of them is looked at. Jobs that still run are
    /// not seen.
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
        // They are listed by their starts.
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
