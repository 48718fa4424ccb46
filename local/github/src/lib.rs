#![doc = include_str!("../README.md")]
//!
//! # Who imports whom
//!
//! `server` → `control`, `api`, `pages`, `service` → `wire` → `state` → `config`, `faults`, `clock`, `random`;
//! never the other way, and never a module of the same rank. `tests/contracts/circles.rs` holds it.

mod api;
mod clock;
mod config;
mod control;
mod faults;
mod pages;
mod random;
mod server;
mod service;
mod simulated;
mod state;
mod wire;

pub use config::{
    Assignment, Config, DeletionNotice, ListenerFault, RunnerRelease, Settings, WebhookTarget,
};
pub use faults::{DeliveryFault, DeliveryFaultKind, Fault, FaultKind, Met};
pub use server::Server;
pub use simulated::SimulatedRunner;
pub use state::accounts::{OwnerType, RunnerGroup};
pub use state::app::APP_PRIVATE_KEY;
pub use state::check_run::CheckRun;
pub use state::delivery::{Delivery, Exchange, Hook};
pub use state::installation::Access;
pub use state::job::{Fork, Job, JobStatus, NewJob, Via};
pub use state::refusal::Rejected;
pub use state::runner::Runner;
pub use state::snapshot::Snapshot;
pub use state::token::IssuedToken;
pub use state::traffic::RequestRecord;
pub use state::webhooks::sign;
