//! The listener as a process, against the GitHub stand-in: what it prints, how it exits, what it
//! leaves behind.
#![allow(clippy::unwrap_used, clippy::panic)]

mod configuration;
mod ends;
mod jobs;
mod rig;
