//! End-to-end tests: the deployed app with the real handlers, state machine and agent. Each test
//! has its own AWS engine, and each deployment its own GitHub stand-in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod assumptions;
mod bad_input;
mod boundaries;
mod caps;
mod changes;
mod command_line;
mod console;
mod ends;
mod faults;
mod gate;
mod happy;
mod harness;
mod operate;
mod overload;
mod package;
mod plain;
mod proxied;
mod recovery;
mod reruns;
mod secrets;
mod sizes;
mod stopped;
mod unanswered;
mod variants;
mod warm;
mod webhooks;
mod why;
mod wire;
