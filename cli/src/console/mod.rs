//! `console`: a page on loopback that shows the deployment's jobs as they travel.
//!
//! | part | what it does |
//! |---|---|
//! | [`look`] | reads the deployment, with a bound on the calls |
//! | [`timeline`] | an execution's history as states and attempts, pure |
//! | [`view`], [`links`] | what the page is sent, pure |
//! | [`server`] | serves the page and its events |
//!
//! It only reads. While no page is open, it asks AWS nothing.

pub mod links;
pub mod look;
pub mod server;
pub mod timeline;
pub mod view;

use std::sync::Arc;
use std::time::Duration;

use pool::Pool;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::{Notify, watch};

use self::links::Links;
use self::look::Watched;
use self::server::{Feed, Server};
use self::view::JobView;
use crate::cloud::Cloud;
use crate::{Calls, Connection, Deployment, Error};

/// The page's port, unless another is asked for.
pub const PORT: u16 = 4580;

/// Longest pause between looks that fail.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a page is sent: texts, so that what did not change is told by comparing.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// JSON.
    pub deployment: String,
    /// JSON; empty before the first look.
    pub summary: String,
    /// JSON of each execution by its name: what runs first, then the newest.
    pub jobs: Vec<(String, Arc<str>)>,
    /// JSON: why the last look failed, or null.
    pub problem: String,
}

/// The console of one deployment.
#[derive(Debug)]
pub struct Console {
    pub cloud: Cloud,
    pub pool: Pool,
    pub deployment: Deployment,
    pub links: Links,
    /// Pause between two looks.
    pub every: Duration,
}

impl Console {
    /// The console of a deployment, which looks every so many seconds.
    pub fn new(connection: &Connection, deployment: Deployment, every: u64) -> Self {
        let table = aws_sdk_dynamodb::Client::new(&connection.config);
        // An engine at an endpoint of its own has no pages.
        let has_pages = connection.config.endpoint_url().is_none();
        let region = connection.region.clone();
        let links = Links {
            aws: has_pages.then(|| links::console_of(&region)),
            region,
            machine: deployment.machine.to_string(),
            cluster: deployment.cluster.clone(),
            task_logs: deployment.task_logs.clone(),
            github: deployment.github.web(),
        };
        Self {
            cloud: Cloud::new(connection, &deployment, Calls::at_most(0)),
            pool: Pool::over(table, format!("{}-stock", deployment.prefix)),
            deployment,
            links,
            every: Duration::from_secs(every),
        }
    }

    /// Serves the page until the future is dropped.
    pub async fn serve(self, server: Server) {
        let first = Snapshot {
            deployment: self.about().to_string(),
            ..Snapshot::default()
        };
        let (snapshots, _) = watch::channel(Arc::new(first));
        let feed = Arc::new(Feed {
            snapshots,
            viewer: Notify::new(),
        });
        tokio::join!(server.serve(Arc::clone(&feed)), self.watch(&feed));
    }

    /// What does not change.
    fn about(&self) -> Value {
        json!({
            "stack": self.deployment.stack,
            "region": self.links.region,
            "everySeconds": self.every.as_secs_f64(),
            "callsPerLook": look::CALLS,
            "ended": look::ENDED,
            "isLocal": self.links.aws.is_none(),
            "links": { "machine": self.links.machine(), "tasks": self.links.tasks() },
        })
    }

    /// Looks, again and again, while a page is open.
    async fn watch(&self, feed: &Feed) {
        let mut watched = Watched::default();
        let mut failures = 0;
        loop {
            while feed.snapshots.receiver_count() == 0 {
                feed.viewer.notified().await;
            }
            let now = OffsetDateTime::now_utc();
            let looked =
                Box::pin(watched.look(&self.cloud, &self.pool, &self.deployment, now)).await;
            feed.snapshots.send_modify(|snapshot| {
                *snapshot = Arc::new(self.snapshot(&watched, &looked, snapshot, now));
            });
            failures = if looked.is_ok() { 0 } else { failures + 1 };
            let pause = self
                .every
                .saturating_mul(1 << failures.min(5))
                .min(PATIENCE);
            tokio::time::sleep(pause.max(self.every)).await;
        }
    }

    fn snapshot(
        &self,
        watched: &Watched,
        looked: &Result<(), Error>,
        before: &Snapshot,
        now: OffsetDateTime,
    ) -> Snapshot {
        let problem = looked
            .as_ref()
            .err()
            .map(|error| runtime::program::sentence(error));
        let problem = json!(problem).to_string();
        if looked.is_err() {
            return Snapshot {
                problem,
                ..before.clone()
            };
        }
        let known = watched.executions.values();
        let mut jobs: Vec<_> = known
            .map(|known| JobView::new(known, &self.deployment, &self.links, now))
            .collect();
        jobs.sort_by_key(|job| (job.is_over, std::cmp::Reverse(job.began)));
        let summary = view::summary(watched, &jobs, now).to_string();
        let jobs = jobs.into_iter().map(|job| {
            let text = json!(job).to_string();
            (job.execution, Arc::from(text))
        });
        Snapshot {
            deployment: before.deployment.clone(),
            summary,
            jobs: jobs.collect(),
            problem,
        }
    }
}
