//! What runners a deployment offers: its ECS task definitions and the labels they carry.
//!
//! A task definition offers itself by three things: its family's name begins with the deployment's
//! family prefix, it has the tag [`LABELS_TAG`], and it carries the deployment's own tag
//! ([`PREFIX_TAG`]; [`Trust`] has the rule). Each such family is an [`Offer`], all of them are a
//! [`Catalogue`]. The tag [`REPOSITORIES_TAG`] says whom an offer is for ([`Audience`]).
//!
//! A catalogue comes from ECS ([`read`]: one call per family, and ECS throttles them), or from the
//! one parameter in SSM where `sweep` publishes what it read ([`Catalogue::encode`],
//! [`Catalogue::decode`]), so that a hundred cold `match` sandboxes cost ECS nothing.

mod audience;
mod offer;
mod published;
mod read;
mod trust;

pub use audience::Audience;
pub use offer::{
    CAPACITY_TAG, Catalogue, LABELS_TAG, Limits, MAX_CPU_TAG, MAX_DISK_TAG, MAX_MEMORY_TAG, Needs,
    Offer, PREFIX_TAG, REPOSITORIES_TAG, RERUN_TAG, RUNNER_GROUP_TAG, RUNNER_VERSION_TAG,
    SHELL_TAG, WARM_TAG,
};
pub use published::{DecodeError, EncodeError, STANDARD_LIMIT, parameter};
pub use read::{TURNS, read, refresh};
pub use trust::{TRUSTED_DEFINITIONS, Trust, Trusted};
