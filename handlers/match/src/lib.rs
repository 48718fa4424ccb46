//! Finds the task definition that serves a job.
//!
//! A task definition offers labels in its tag `GH:labels`; a job requests labels in `runs-on`. Of
//! the offers that are for the job's repository (tag `GH:repositories`) and have every requested
//! label, the most specific one serves the job ([`select`]). A label that none offers may ask for a size
//! instead ([`size`]).
//!
//! The catalogue is rarely read from ECS: a sandbox caches it for a minute, then reads the one that
//! `sweep` publishes in SSM, and reads ECS only if none is published ([`cache`]). A job that the
//! catalogue does not serve causes one more read of ECS before it fails, so that a definition
//! registered a minute ago is found.
//!
//! | error | when |
//! |---|---|
//! | `Unmatched` | no offer has all of the job's labels |
//! | `SizeRefused` | the selected definition cannot have the size that the job asks for |
//! | `ContainerMissing` | the selected definition has no container `runner` |
//! | `BadInput` | the execution's input is not an order |
//! | `Throttled`, `AwsUnavailable` | ECS or SSM was throttled or failed; the state machine retries |
//! | `AwsRefused` | a role lacks a permission |

pub mod cache;
mod error;
pub mod select;
pub mod settings;
pub mod size;

use catalogue::{Catalogue, Offer, Trust};
use protocol::{DeploymentId, Fault, Job, Matched, Order};
use runtime::settings::Settings;
use runtime::telemetry::{Metric, Metrics};
use serde_json::Value;
use time::OffsetDateTime;
use tracing::{Instrument, info_span};

pub use cache::CatalogueCache;
pub use error::Error;
pub use select::{Unmatched, names_a_kind, select};
pub use settings::Config;

/// Attempts per AWS call. Five attempts, with back-offs of at most one, two, four and eight
/// seconds, fit into the state's timeout; after that the state machine retries.
const ATTEMPTS: u32 = 5;

/// Clients and configuration, created once per sandbox.
#[derive(Debug)]
pub struct Deps {
    pub deployment: DeploymentId,
    /// Which definitions are offers.
    pub trust: Trust,
    pub cache: CatalogueCache,
}

impl Deps {
    /// Creates the clients from the settings.
    pub fn from_settings(settings: &Settings) -> Result<Self, runtime::settings::Error> {
        let config = Config::from_settings(settings)?;
        let aws = aws::sdk_config(settings, ATTEMPTS)?;
        Ok(Self {
            cache: CatalogueCache::new(
                &config,
                aws_sdk_ecs::Client::new(&aws),
                aws_sdk_ssm::Client::new(&aws),
            ),
            deployment: config.deployment,
            trust: config.trust,
        })
    }

    fn metrics(&self) -> Metrics {
        Metrics::new(&self.deployment)
    }
}

/// Finds the task definition that serves the job of an order. `input` is the execution's input.
pub async fn handle(deps: &Deps, input: Value, now: OffsetDateTime) -> Result<Matched, Error> {
    let Order { job, .. } = serde_json::from_value(input)?;
    let span =
        info_span!("match", job_id = %job.id, run_id = job.run_id, repository = %job.repository);
    async {
        let found = find(deps, &job, now).await;
        match &found {
            Ok(matched) => {
                tracing::info!(family = matched.definition.family, labels = %job.labels, size = ?matched.size, "matched");
            }
            Err(error) => {
                tracing::warn!(fault = %error.fault(), %error, "not matched");
                if matches!(error.fault(), Fault::Unmatched | Fault::SizeRefused) {
                    deps.metrics().emit(Metric::Unmatched, 1.0);
                }
            }
        }
        found
    }
    .instrument(span)
    .await
}

/// Searches the cached catalogue; if that does not serve the job, a new read of ECS.
async fn find(deps: &Deps, job: &Job, now: OffsetDateTime) -> Result<Matched, Error> {
    let catalogue = deps.cache.catalogue(now).await?;
    let failure = match look_up(deps, &catalogue, job) {
        Ok(matched) => return Ok(matched),
        Err(failure) => failure,
    };
    // No catalogue serves a job that requests no kind of runner.
    if !names_a_kind(&job.labels) {
        return Err(failure);
    }
    match deps.cache.newer(&catalogue, now).await? {
        Some(newer) => look_up(deps, &newer, job),
        None => Err(failure),
    }
}

fn look_up(deps: &Deps, catalogue: &Catalogue, job: &Job) -> Result<Matched, Error> {
    let ours = |offer: &Offer| deps.trust.is_ours(offer);
    size::choose(&catalogue.offers, job, ours)
}
