//! Finds the task definition that serves a job.
//!
//! A task definition offers labels by its tag `GH:labels`; a job asks for labels by `runs-on`. Of
//! the offers that are for the job's repository (tag `GH:repositories`) and carry every label the job
//! asks for, the most specific one serves ([`select`]).
//!
//! What is offered is read seldom: a sandbox keeps the catalogue at hand for a minute, then takes
//! the one that `sweep` publishes in SSM, and reads ECS itself only where none is published
//! ([`cache`]). So that a definition registered a minute ago is found all the same, a job that the
//! catalogue does not serve has ECS read once more before it is told so.
//!
//! | error | when |
//! |---|---|
//! | `Unmatched` | no offer carries all of the job's labels |
//! | `ContainerMissing` | the definition that would serve has no container `runner` |
//! | `BadInput` | the execution's input is no order |
//! | `Throttled`, `AwsUnavailable` | ECS or SSM did not answer; the state machine tries again |
//! | `AwsRefused` | ECS denies the calls |

pub mod cache;
pub mod select;
pub mod settings;

use catalogue::{Catalogue, Offer, Trust};
use lambda_runtime::Diagnostic;
use protocol::{CONTAINER, DeploymentId, Fault, Job, Matched, Order};
use runtime::settings::Settings;
use runtime::telemetry::{Metric, Metrics};
use serde_json::Value;
use time::OffsetDateTime;
use tracing::{Instrument, info_span};

pub use cache::CatalogueCache;
pub use select::{Unmatched, names_a_kind, select};
pub use settings::Config;

/// How often one AWS call is tried. With a second, two, four and eight of back-off at most, five
/// tries stay inside the state's patience, and the state machine tries again after that.
const ATTEMPTS: u32 = 5;

/// Why no task definition was found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is not what `verify` starts an execution with.
    #[error(
        "the execution's input is not an order ({0}); start it with the input of an execution that \
         `verify` started"
    )]
    Input(#[from] serde_json::Error),
    /// ECS or SSM could not be asked.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// No offer carries all of the job's labels.
    #[error(transparent)]
    Unmatched(#[from] Unmatched),
    /// The offer that would serve cannot run the agent.
    #[error(
        "task definition {family} would serve the job but has no container `{CONTAINER}`; it has \
         [{}]. Rename the one that runs the agent",
        containers.join(" ")
    )]
    ContainerMissing {
        /// The definition's family.
        family: String,
        /// The names of the containers it has.
        containers: Vec<String>,
    },
}

impl Error {
    /// The name under which the state machine meets it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Input(_) => Fault::BadInput,
            Self::Aws(error) => error.fault(),
            Self::Unmatched(_) => Fault::Unmatched,
            Self::ContainerMissing { .. } => Fault::ContainerMissing,
        }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: error.fault().name().to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// What the handler works with, made once per sandbox.
#[derive(Debug)]
pub struct Deps {
    /// The deployment's id.
    pub deployment: DeploymentId,
    /// Which definitions are offers.
    pub trust: Trust,
    /// The catalogue at hand.
    pub cache: CatalogueCache,
}

impl Deps {
    /// Reads the configuration and makes the clients.
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

    /// The metrics of this deployment.
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
                tracing::info!(family = matched.definition.family, labels = %job.labels, "matched");
            }
            Err(error) => {
                tracing::warn!(fault = %error.fault(), %error, "not matched");
                if error.fault() == Fault::Unmatched {
                    deps.metrics().emit(Metric::Unmatched, 1.0);
                }
            }
        }
        found
    }
    .instrument(span)
    .await
}

/// Looks in the catalogue at hand; where that does not serve the job, in what ECS says now.
async fn find(deps: &Deps, job: &Job, now: OffsetDateTime) -> Result<Matched, Error> {
    let catalogue = deps.cache.catalogue(now).await?;
    let failure = match look_up(deps, &catalogue, job) {
        Ok(offer) => return Ok(offer.matched()),
        Err(failure) => failure,
    };
    // No catalogue serves a job that names no kind of runner.
    if !names_a_kind(&job.labels) {
        return Err(failure);
    }
    match deps.cache.newer(&catalogue, now).await? {
        Some(newer) => Ok(look_up(deps, &newer, job)?.matched()),
        None => Err(failure),
    }
}

fn look_up<'a>(deps: &Deps, catalogue: &'a Catalogue, job: &Job) -> Result<&'a Offer, Error> {
    let ours = |offer: &Offer| deps.trust.is_ours(offer);
    let offer = select(&catalogue.offers, &job.labels, &job.repository, ours)?;
    if offer.containers.iter().any(|name| name == CONTAINER) {
        Ok(offer)
    } else {
        Err(Error::ContainerMissing {
            family: offer.definition.family.clone(),
            containers: offer.containers.clone(),
        })
    }
}
