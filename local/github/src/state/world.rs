//! All that GitHub knows, behind one lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::api::checks::CheckRun;
use crate::api::deliveries::{Delivery, Exchange};
use crate::api::runners::{Runner, RunnerEntry};
use crate::config::{Assignment, Config, Settings, WebhookTarget};
use crate::faults::{DeliveryFault, Fault};
use crate::random::Choices;
use crate::service::registrations::RegistrationTokens;
use crate::service::sessions::Session;
use crate::state::directory::Directory;
use crate::state::jobs::{Job, JobEntry, JobStatus};
use crate::state::webhooks::Outgoing;
use crate::wire::auth::Tokens;
use crate::wire::jwt::{AppIdentity, public_half};
use crate::wire::meter::Traffic;

/// GitHub's delivery ids are larger than a double holds exactly; so are these.
const FIRST_DELIVERY: u64 = 180_000_000_000_000_001;

/// Everything, for a look from outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// All jobs, the oldest first.
    pub jobs: Vec<Job>,
    /// All runners in GitHub's lists.
    pub runners: Vec<Runner>,
    /// All deliveries, the oldest first.
    pub deliveries: Vec<Delivery>,
    /// What is not finished; empty when all is well.
    pub leftovers: Vec<String>,
}

impl Snapshot {
    /// The job of that number.
    pub fn job(&self, id: u64) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == id)
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) base: String,
    pub(crate) settings: Settings,
    pub(crate) app: AppIdentity,
    pub(crate) webhook_secret: String,
    pub(crate) webhook: Option<WebhookTarget>,
    pub(crate) directory: Directory,
    pub(crate) tokens: Tokens,
    pub(crate) registration_tokens: RegistrationTokens,
    pub(crate) runners: BTreeMap<u64, RunnerEntry>,
    pub(crate) sessions: BTreeMap<String, Session>,
    pub(crate) jobs: BTreeMap<u64, JobEntry>,
    pub(crate) check_runs: BTreeMap<u64, CheckRun>,
    pub(crate) deliveries: BTreeMap<u64, Exchange>,
    pub(crate) outbox: Vec<Outgoing>,
    /// Deliveries under way.
    pub(crate) sending: usize,
    pub(crate) traffic: Traffic,
    pub(crate) faults: Vec<Fault>,
    pub(crate) delivery_faults: Vec<DeliveryFault>,
    pub(crate) choices: Choices,
    next_id: u64,
    next_delivery: u64,
}

impl World {
    pub(crate) fn new(config: &Config, base: String) -> Self {
        // Names made from ids stay apart when the stand-in is started again beside an engine that
        // still knows the earlier ones; and no 32-bit number holds them.
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let next_id = u64::try_from(now).unwrap_or(0) * 100;
        Self {
            base,
            settings: config.settings.clone(),
            app: AppIdentity {
                id: config.app_id,
                client_id: config.client_id.clone(),
                slug: config.app_slug.clone(),
                keys: public_half(crate::APP_PRIVATE_KEY).into_iter().collect(),
            },
            webhook_secret: config.webhook_secret.clone(),
            webhook: config.webhook.clone(),
            directory: Directory::default(),
            tokens: Tokens::default(),
            registration_tokens: RegistrationTokens::default(),
            runners: BTreeMap::new(),
            sessions: BTreeMap::new(),
            jobs: BTreeMap::new(),
            check_runs: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            outbox: Vec::new(),
            sending: 0,
            traffic: Traffic::default(),
            faults: Vec::new(),
            delivery_faults: Vec::new(),
            choices: choices(&config.settings),
            next_id,
            next_delivery: FIRST_DELIVERY,
        }
    }

    /// Forgets everything but who the App is, where webhooks go, and which ids were given.
    pub(crate) fn reset(&mut self) {
        self.directory = Directory::default();
        self.tokens = Tokens::default();
        self.registration_tokens = RegistrationTokens::default();
        self.runners.clear();
        self.sessions.clear();
        self.jobs.clear();
        self.check_runs.clear();
        self.deliveries.clear();
        self.outbox.clear();
        self.traffic = Traffic::default();
        self.faults.clear();
        self.delivery_faults.clear();
        self.settings = Settings::default();
        self.choices = choices(&self.settings);
    }

    pub(crate) fn change_settings(&mut self, change: impl FnOnce(&mut Settings)) {
        let before = self.settings.assignment;
        change(&mut self.settings);
        if self.settings.assignment != before {
            self.choices = choices(&self.settings);
        }
    }

    /// A new number for a job, a run or a runner.
    pub(crate) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(crate) fn delivery_id(&mut self) -> u64 {
        self.next_delivery += 1;
        self.next_delivery
    }

    /// The time by GitHub's clock, in whole seconds.
    pub(crate) fn now(&self) -> OffsetDateTime {
        let now =
            OffsetDateTime::now_utc() + time::Duration::seconds(self.settings.clock_offset_seconds);
        now.replace_nanosecond(0).unwrap_or(now)
    }

    /// What would be left behind if everything ended now.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let jobs = self.jobs.values().map(|entry| &entry.job);
        let open = jobs
            .filter(|job| job.status != JobStatus::Completed)
            .map(|job| {
                format!(
                    "job {} ({}, {}) is {}",
                    job.id,
                    job.repository,
                    job.name,
                    job.status.as_str()
                )
            });
        let registered = self.runners.values().map(|entry| {
            let runner = entry.view();
            let state = if runner.busy {
                "busy"
            } else if runner.online {
                "idle"
            } else {
                "offline"
            };
            format!(
                "runner {} ({}) is registered at {}, {state}",
                runner.name, runner.id, runner.scope
            )
        });
        let repeated = self
            .jobs
            .values()
            .filter(|entry| entry.job.started > 1)
            .map(|entry| format!("job {} was begun {} times", entry.job.id, entry.job.started));
        open.chain(registered).chain(repeated).collect()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            jobs: self.jobs.values().map(|entry| entry.job.clone()).collect(),
            runners: self.runners.values().map(RunnerEntry::view).collect(),
            deliveries: self
                .deliveries
                .values()
                .map(|exchange| exchange.delivery.clone())
                .collect(),
            leftovers: self.leftovers(),
        }
    }
}

fn choices(settings: &Settings) -> Choices {
    Choices::new(match settings.assignment {
        Assignment::Random { seed } => seed,
        Assignment::Oldest | Assignment::Newest => 0,
    })
}

/// The world, shared by all routes.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    changed: watch::Sender<()>,
    stopping: watch::Sender<bool>,
    pub(crate) http: reqwest::Client,
}

impl Shared {
    pub(crate) fn new(world: World, http: reqwest::Client) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(world),
            changed: watch::Sender::new(()),
            stopping: watch::Sender::new(false),
            http,
        })
    }

    /// A look.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A quiet change: nothing that a waiting runner or test looks for.
    pub(crate) fn note<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A change: jobs are given to runners, webhooks go out, and whoever waits looks again.
    pub(crate) fn change<T>(self: &Arc<Self>, change: impl FnOnce(&mut World) -> T) -> T {
        let (result, outbox) = self.note(|world| {
            let result = change(world);
            world.dispatch();
            world.sending += world.outbox.len();
            (result, std::mem::take(&mut world.outbox))
        });
        for outgoing in outbox {
            tokio::spawn(outgoing.send(self.clone()));
        }
        self.changed.send_replace(());
        result
    }

    /// Lets time pass: sessions, leases and idle runners have limits.
    pub(crate) fn tick(self: &Arc<Self>) {
        let now = Instant::now();
        if self.read(|world| world.is_overdue(now)) {
            self.change(|world| world.expire(now));
        }
    }

    /// Nobody waits any longer.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) async fn stopped(&self) {
        // The sender lives as long as this does.
        let _ = self
            .stopping
            .subscribe()
            .wait_for(|stopping| *stopping)
            .await;
    }

    /// Waits until `look` finds something, `limit` has passed, or the stand-in is stopped.
    pub(crate) async fn wait<T>(
        &self,
        limit: Duration,
        mut look: impl FnMut(&World) -> Option<T>,
    ) -> Option<T> {
        let mut news = self.changed.subscribe();
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            if let Some(found) = self.read(&mut look) {
                return Some(found);
            }
            tokio::select! {
                change = news.changed() => change.ok()?,
                () = self.stopped() => return None,
                () = tokio::time::sleep_until(deadline) => return self.read(&mut look),
            }
        }
    }
}
