#![doc = include_str!("../README.md")]

pub mod cloud;
pub mod command;
mod connection;
pub mod console;
pub mod deployment;
mod error;
mod exit;
pub mod find;
pub mod job;
pub mod jobs;
mod nearest;
mod output;
pub mod steer;
pub mod why;

pub use connection::{Calls, Connection, Place};
pub use deployment::Deployment;
pub use error::Error;
pub use exit::Exit;
pub use job::JobRef;
