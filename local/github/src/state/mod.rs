//! What GitHub knows, and its rules: no HTTP. Data first, then [`world::World`] that holds it, then the
//! rules, each an `impl World`.

pub(crate) mod accounts;
pub(crate) mod app;
pub(crate) mod check_run;
pub(crate) mod connection;
pub(crate) mod delivery;
pub(crate) mod directory;
pub(crate) mod dispatch;
pub(crate) mod expiry;
pub(crate) mod faults;
pub(crate) mod installation;
pub(crate) mod interventions;
pub(crate) mod jit;
pub(crate) mod job;
pub(crate) mod jobs;
pub(crate) mod limits;
pub(crate) mod manifest;
pub(crate) mod manifests;
pub(crate) mod permissions;
pub(crate) mod refusal;
pub(crate) mod registration;
pub(crate) mod runner;
pub(crate) mod runners;
pub(crate) mod session;
pub(crate) mod sessions;
pub(crate) mod shapes;
pub(crate) mod shared;
pub(crate) mod snapshot;
pub(crate) mod token;
pub(crate) mod traffic;
pub(crate) mod webhooks;
pub(crate) mod world;
