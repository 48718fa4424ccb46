//! Where and how runners' tasks run: the settings of a deployment, and the RunTask request.
//!
//! Pure. `launch` gives the request to Step Functions, and links no AWS client for it.
//!
//! - [`Placement`]: cluster, network and capacity providers, from the environment.
//! - [`TaskRequest`]: the request. [`Placement::request`] builds it, the same for every caller.
//! - [`job_tags`], [`group`], [`warm_group`]: how a task shows whose it is.

mod request;
mod settings;
mod tags;

pub use request::{
    AwsvpcConfiguration, Capacity, ContainerOverride, EphemeralStorage, NetworkConfiguration,
    Overrides, Step, TaskRequest, Variable,
};
pub use settings::{Placement, VARIABLES};
pub use tags::{Tag, group, job_tags, warm_group};
