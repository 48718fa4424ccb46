//! What runners a deployment offers: its ECS task definitions and the labels they carry.
//!
//! A task definition offers itself by two things: its family's name begins with the deployment's
//! family prefix, and it has the tag [`LABELS_TAG`]. Each such family is an [`Offer`], all of them
//! are a [`Catalogue`].
//!
//! A catalogue comes from ECS ([`read`]: one call per family, and ECS throttles them), or from the
//! one parameter in SSM where `sweep` publishes what it read ([`Catalogue::encode`],
//! [`Catalogue::decode`]), so that a hundred cold `match` sandboxes cost ECS nothing.

mod offer;
mod published;
mod read;

pub use offer::{CAPACITY_TAG, Catalogue, LABELS_TAG, Offer, RUNNER_VERSION_TAG};
pub use published::{DecodeError, EncodeError, STANDARD_LIMIT, parameter};
pub use read::read;
