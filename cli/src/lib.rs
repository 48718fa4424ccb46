#![doc = include_str!("../README.md")]

pub mod cloud;
pub mod command;
mod connection;
pub mod console;
pub mod cost;
pub mod deployment;
pub mod doctor;
mod error;
mod exit;
pub mod find;
pub mod finding;
pub mod job;
pub mod jobs;
pub mod json_api;
mod nearest;
mod output;
pub mod pause;
pub mod setup;
pub mod shell;
pub mod steer;
pub mod why;

pub use connection::{Calls, Connection, Place};
pub use deployment::Deployment;
pub use error::Error;
pub use exit::Exit;
pub use job::JobRef;
