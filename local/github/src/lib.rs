#![doc = include_str!("../README.md")]

mod accounts;
mod actions;
mod answer;
mod apps;
mod auth;
mod checks;
mod clock;
mod config;
mod control;
mod deliveries;
mod dispatch;
mod faults;
mod jit;
mod jobs;
mod jwt;
mod payload;
mod random;
mod registration;
mod runners;
mod server;
mod session;
mod simulated;
mod state;
mod traffic;
mod webhooks;

pub use accounts::{Access, OwnerType, RunnerGroup};
pub use checks::CheckRun;
pub use config::{
    Assignment, Config, DeletionNotice, ListenerFault, RunnerRelease, Settings, WebhookTarget,
};
pub use control::Rejected;
pub use deliveries::{Delivery, Exchange, Hook};
pub use faults::{DeliveryFault, DeliveryFaultKind, Fault, FaultKind};
pub use jobs::{Job, JobStatus, NewJob, Via};
pub use runners::Runner;
pub use server::Server;
pub use simulated::SimulatedRunner;
pub use state::Snapshot;
pub use traffic::RequestRecord;
pub use webhooks::sign;

/// The private key of the stand-in's App, as GitHub hands it out (PKCS#1 in PEM). A throw-away that
/// opens nothing but this stand-in.
pub const APP_PRIVATE_KEY: &str = include_str!("test-app.private-key.pem");
