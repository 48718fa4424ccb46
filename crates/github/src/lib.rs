#![doc = include_str!("../README.md")]

mod app;
mod checks;
mod client;
mod deliveries;
mod error;
mod groups;
mod installations;
mod jobs;
mod jwt;
mod limit;
mod page;
mod patience;
mod permission;
mod releases;
mod runners;
mod scope;
mod second_look;
pub mod secrets;
mod source;
mod tokens;
mod transport;
mod url;

pub use app::{App, KeyError};
pub use checks::{CheckRun, JobCommit};
pub use client::{GitHub, Installation};
pub use deliveries::{Deliveries, Delivery};
pub use error::Error;
pub use installations::{InstallationInfo, RepositoryInfo};
pub use jobs::{ListedJob, Run};
pub use page::Page;
pub use patience::Patience;
pub use releases::{RunnerRelease, RunnerVersion, RunnerVersionError};
pub use runners::{Deleted, JitRequest, JitRunner, RegistrationToken, Runner};
pub use scope::{RunnerScope, Scope, ScopeError};
pub use source::{AppFuture, AppSource, SourceError};
pub use url::{ApiUrl, UrlError};
