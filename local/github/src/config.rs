//! What the stand-in is started with, and what can be changed while it runs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What the stand-in is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The address under which others reach it, where something stands before it.
    pub address: Option<String>,
    /// The App's number.
    pub app_id: u64,
    /// The App's client ID, which a JWT may name instead of the number.
    pub client_id: String,
    /// The App's name in addresses.
    pub app_slug: String,
    /// The secret that signs webhooks.
    pub webhook_secret: String,
    /// Where webhooks go. Without it none is sent, and none is recorded.
    pub webhook: Option<WebhookTarget>,
    /// What can be changed later.
    pub settings: Settings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 0,
            address: None,
            app_id: 1234,
            client_id: "Iv23liStandInApp0001".to_owned(),
            app_slug: "fargate-runners".to_owned(),
            webhook_secret: "It's a Secret to Everybody".to_owned(),
            webhook: None,
            settings: Settings::default(),
        }
    }
}

/// Where webhooks are sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookTarget {
    /// The address that is called.
    pub url: String,
    /// The `Host` header where it differs from the address, as for a function URL of a local engine.
    #[serde(default)]
    pub host: Option<String>,
}

/// What can be changed while the stand-in runs. Times that GitHub counts in minutes are shorter
/// here, because somebody is waiting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // Switches, each on its own.
pub struct Settings {
    /// Which idle runner gets a job.
    pub assignment: Assignment,
    /// Whether queued jobs are given out at all; off, GitHub is slow in assigning.
    pub assigning: bool,
    /// How long an installation's token is valid. GitHub: one hour.
    pub token_lifetime_seconds: u64,
    /// How long a runner without a connection still counts as online.
    pub session_timeout_ms: u64,
    /// How long a job stays with a runner that is not heard of any more. GitHub: about ten minutes.
    pub lease_grace_ms: u64,
    /// After how long an idle just-in-time runner is dropped. GitHub: sometimes after five minutes.
    pub idle_limit_ms: Option<u64>,
    /// How a connected runner learns that it was deleted.
    pub deletion_notice: DeletionNotice,
    /// What a listener that connects from now on does wrong.
    pub listener: ListenerFault,
    /// Runners older than this version get no messages, like `2.330.0`.
    pub minimum_runner_version: Option<String>,
    /// The releases of `actions/runner`, the newest first; none where this GitHub has no such
    /// repository, as an Enterprise Server.
    pub runner_releases: Option<Vec<RunnerRelease>>,
    /// Calls per hour and installation, as the `x-ratelimit-*` headers count them.
    pub hourly_limit: u64,
    /// Whether what goes beyond the limits is refused.
    pub enforce_limits: bool,
    /// Just-in-time configurations per minute and installation. GitHub: 180 (900 points of 5).
    pub configurations_per_minute: u64,
    /// Whether an App token that was seen before is answered with 404, as GitHub has done with
    /// two identical tokens of the same second.
    pub refuse_repeated_jwt: bool,
    /// How far GitHub's clock is ahead of this machine's.
    pub clock_offset_seconds: i64,
    /// How long a webhook's receiver may take. GitHub: ten seconds.
    pub delivery_timeout_ms: u64,
    /// How long every webhook is on its way. GitHub was half an hour late in August 2026.
    pub delivery_delay_ms: u64,
    /// How long a job is a runner's before that runner hears of it and is busy. In this gap GitHub
    /// deletes the runner (204) and the job goes back to the queue.
    pub assignment_gap_ms: u64,
    /// Lists and looks show runners with a job as idle. They are still not deleted (422).
    pub busy_unseen: bool,
    /// Repositories (`owner/name`) that answer 404 wherever they are asked for, although the
    /// installation includes them: an outage.
    pub hidden_repositories: BTreeSet<String>,
    /// What an App has no permission for is answered with 404 and not with 403.
    pub hide_missing_permission: bool,
    /// An approval moves a job's `created_at` to now.
    pub approval_moves_created_at: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            assignment: Assignment::Random { seed: 1 },
            assigning: true,
            token_lifetime_seconds: 3600,
            session_timeout_ms: 10_000,
            lease_grace_ms: 30_000,
            idle_limit_ms: None,
            deletion_notice: DeletionNotice::Revoked,
            listener: ListenerFault::None,
            minimum_runner_version: None,
            runner_releases: Some(Vec::new()),
            hourly_limit: 5000,
            enforce_limits: false,
            configurations_per_minute: 180,
            refuse_repeated_jwt: false,
            clock_offset_seconds: 0,
            delivery_timeout_ms: 10_000,
            delivery_delay_ms: 0,
            assignment_gap_ms: 0,
            busy_unseen: false,
            hidden_repositories: BTreeSet::new(),
            hide_missing_permission: false,
            approval_moves_created_at: false,
        }
    }
}

/// What the listener stand-in does wrong. It is told when it opens its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListenerFault {
    /// Nothing.
    #[default]
    None,
    /// It stays when its job has ended, and heeds no signal.
    HangsAfterJob,
    /// It says that it runs its job, and nothing more; it heeds no signal (actions/runner #4498).
    SilentInJob,
    /// It is told that the job it was sent is gone, and ends with 0 and without a job, as an
    /// ephemeral runner does since 2.336 (actions/runner #4540).
    RequestGone,
}

/// A release of GitHub's runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunnerRelease {
    /// Its version, like `2.338.0`.
    pub version: String,
    /// When it was published, like `2026-01-31T12:00:00Z`.
    pub published_at: String,
}

/// Which of the idle runners that could take a job gets it. GitHub promises no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assignment {
    /// Any, chosen from a seed. Setting it starts the choices anew.
    Random {
        /// Where the choices start from.
        seed: u64,
    },
    /// The one that was registered first.
    Oldest,
    /// The one that was registered last.
    Newest,
}

/// How a connected runner learns that it was deleted: runners have met both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletionNotice {
    /// Its token is revoked: the listener ends with 0.
    Revoked,
    /// It is not found: the listener ends with 1.
    NotFound,
}
