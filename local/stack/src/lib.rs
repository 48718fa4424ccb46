#![doc = include_str!("../README.md")]

mod aws;
mod deployment;
mod engine;
mod execution;
mod observer;

pub use aws::{Aws, AwsError};
pub use deployment::{Deployment, Plan, synthesize};
pub use engine::{Engine, EngineOptions, credentials};
pub use execution::{Execution, Visit};
pub use observer::{Observer, Stocked, Task, runner_of};

/// The account of everything in the engine.
pub const ACCOUNT: &str = "000000000000";
/// The region of everything in the engine.
pub const REGION: &str = "us-east-1";
