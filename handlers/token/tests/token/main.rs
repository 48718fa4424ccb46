//! The handler over a model of GitHub and a mocked SSM: what is registered, written and answered, and
//! how many calls that takes.

#![allow(clippy::unwrap_used)] // Helpers count as tests here.

mod binary;
mod faults;
mod happy;
mod remedies;
mod secrecy;
mod stage;
mod stock;
mod warm;
