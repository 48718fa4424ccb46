//! Everything together: the deployed app, the real handlers, state machine and agent, on an AWS engine
//! for each test, with a GitHub for each deployment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod assumptions;
mod bad_input;
mod changes;
mod ends;
mod faults;
mod happy;
mod harness;
mod overload;
mod recovery;
mod secrets;
mod stopped;
mod unanswered;
mod variants;
mod webhooks;
mod wire;
