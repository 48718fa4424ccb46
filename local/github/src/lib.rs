#![doc = include_str!("../README.md")]

mod api;
mod clock;
mod config;
mod control;
mod faults;
mod random;
mod server;
mod service;
mod simulated;
mod state;
mod wire;

pub use api::checks::CheckRun;
pub use api::deliveries::{Delivery, Exchange, Hook};
pub use api::runners::Runner;
pub use config::{
    Assignment, Config, DeletionNotice, ListenerFault, RunnerRelease, Settings, WebhookTarget,
};
pub use control::Rejected;
pub use faults::{DeliveryFault, DeliveryFaultKind, Fault, FaultKind};
pub use server::Server;
pub use simulated::SimulatedRunner;
pub use state::directory::{Access, OwnerType, RunnerGroup};
pub use state::jobs::{Job, JobStatus, NewJob, Via};
pub use state::webhooks::sign;
pub use state::world::Snapshot;
pub use wire::meter::RequestRecord;

/// The private key of the stand-in's App, as GitHub hands it out (PKCS#1 in PEM). A throw-away that
/// opens nothing but this stand-in.
pub const APP_PRIVATE_KEY: &str = include_str!("test-app.private-key.pem");
