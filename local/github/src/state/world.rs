//! All that GitHub knows.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::config::{Assignment, Config, Settings, WebhookTarget};
use crate::faults::{DeliveryFault, Fault};
use crate::random::Choices;
use crate::state::accounts::Scope;
use crate::state::app::AppIdentity;
use crate::state::check_run::CheckRun;
use crate::state::delivery::{Exchange, Outgoing};
use crate::state::directory::Directory;
use crate::state::job::JobEntry;
use crate::state::manifest::Confirmed;
use crate::state::runner::RunnerEntry;
use crate::state::session::Session;
use crate::state::token::Tokens;
use crate::state::traffic::Traffic;

/// GitHub's delivery ids are larger than a double holds exactly; so are these.
const FIRST_DELIVERY: u64 = 180_000_000_000_000_001;

/// Token → where it registers runners, and until when.
pub(crate) type RegistrationTokens = BTreeMap<String, (Scope, OffsetDateTime)>;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) base: String,
    pub(crate) settings: Settings,
    pub(crate) app: AppIdentity,
    /// Manifests that were confirmed, by the code that makes an App of one.
    pub(crate) manifests: BTreeMap<String, Confirmed>,
    pub(crate) webhook_secret: String,
    pub(crate) webhook: Option<WebhookTarget>,
    /// Where organizations' webhooks go, if not where all others do.
    pub(crate) organization_webhook: Option<WebhookTarget>,
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
            app: AppIdentity::new(config.app_id, &config.client_id, &config.app_slug),
            manifests: BTreeMap::new(),
            webhook_secret: config.webhook_secret.clone(),
            webhook: config.webhook.clone(),
            organization_webhook: None,
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
        let now = self.exactly();
        now.replace_nanosecond(0).unwrap_or(now)
    }

    /// The time by GitHub's clock. Answers and webhooks show its whole seconds.
    pub(crate) fn exactly(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + time::Duration::seconds(self.settings.clock_offset_seconds)
    }
}

fn choices(settings: &Settings) -> Choices {
    Choices::new(match settings.assignment {
        Assignment::Random { seed } => seed,
        Assignment::Oldest | Assignment::Newest => 0,
    })
}
