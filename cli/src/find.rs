//! Finds a job's executions and its webhooks, from whatever a user names it by.

use futures_util::FutureExt as _;
use futures_util::future::{self, join};
use protocol::{ExecutionName, Order, Repository};
use time::OffsetDateTime;

use crate::cloud::Cloud;
use crate::why::{ExecutionSeen, Line, Seen};
use crate::{Deployment, Error, JobRef};

/// What AWS knows of a job.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its repository, from the argument, the log or the order.
    pub repository: Option<Repository>,
    /// What `verify` logged about it, oldest first.
    pub lines: Seen<Vec<Line>>,
    /// Its executions, oldest first.
    pub executions: Seen<Vec<ExecutionSeen>>,
    /// The newest execution's order.
    pub order: Option<Order>,
}

impl Found {
    /// Looks by name, then in the log, then among the newest thousand executions.
    pub async fn look(
        cloud: &Cloud,
        deployment: &Deployment,
        asked: &JobRef,
        now: OffsetDateTime,
    ) -> Self {
        let named = asked.first_execution();
        let by_name = match &named {
            Some(name) => cloud.executions_from(name).left_future(),
            None => future::ready(Seen::Nothing).right_future(),
        };
        let webhooks = cloud.webhooks(&deployment.verify, asked.id, now);
        let (lines, mut executions) = join(webhooks, by_name).await;
        let mut repository = asked.repository.clone();
        for line in lines.found().into_iter().flatten() {
            repository = repository.or_else(|| line.repository.clone());
        }
        if executions.is_nothing() {
            let first = further(cloud, asked, &lines, repository.as_ref(), named.as_ref()).await;
            executions = match first {
                Seen::Found(name) => cloud.executions_from(&name).await,
                Seen::Nothing => Seen::Nothing,
                Seen::Unknown(why) => Seen::Unknown(why),
            };
        }
        let newest = executions.found().and_then(|executions| executions.last());
        let order: Option<Order> =
            newest.and_then(|newest| serde_json::from_str(&newest.input).ok());
        if let Some(order) = &order {
            repository = Some(order.job.repository.clone());
        }
        Self {
            repository,
            lines,
            executions,
            order,
        }
    }

    pub fn newest(&self) -> Option<&ExecutionSeen> {
        self.executions.found()?.last()
    }

    /// The newest execution and its order, for commands that need one.
    pub fn served(&self, asked: &JobRef) -> Result<(&ExecutionSeen, &Order), Error> {
        match (self.newest(), &self.order, &self.executions) {
            (Some(newest), Some(order), _) => Ok((newest, order)),
            (Some(newest), None, _) => Err(Error::Other(format!(
                "execution {} has an input that is not an order of this system",
                newest.name
            ))),
            (None, _, Seen::Unknown(why)) => Err(Error::Other(why.clone())),
            (None, _, _) => Err(Error::NoJob(format!(
                "job {0} has no execution; `fargate-runners why {0}` tells the reason",
                asked.id
            ))),
        }
    }
}

/// The first execution's name, where the argument does not lead to it.
async fn further(
    cloud: &Cloud,
    asked: &JobRef,
    lines: &Seen<Vec<Line>>,
    repository: Option<&Repository>,
    looked_at: Option<&ExecutionName>,
) -> Seen<ExecutionName> {
    let logged = lines
        .found()
        .into_iter()
        .flatten()
        .find_map(|line| line.execution.as_ref());
    let first = |name: &ExecutionName| name.to_string().parse::<JobRef>().ok()?.first_execution();
    let by_repository = || Some(ExecutionName::first(repository?, asked.id));
    match logged.and_then(first).or_else(by_repository) {
        Some(name) if Some(&name) != looked_at => Seen::Found(name),
        // Its repository is known, so its execution would have this name.
        Some(_) => Seen::Nothing,
        None => cloud.first_execution(asked.id).await,
    }
}
