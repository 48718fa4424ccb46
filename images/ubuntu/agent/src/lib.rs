//! The agent: the first process of a runner's container.
//!
//! ```text
//! read the parameter ─▶ delete it ─▶ (config.sh) ─▶ Runner.Listener run ─▶ outcome as exit code
//!   ▲                                                 ▲          │
//!   └─ ring: a warm task's bell                       └─ update ─┘ once
//! ```
//!
//! A warm task first waits for its bell ([`warm`]), which tells it the parameter.
//!
//! It takes the registration out of SSM ([`parameter`]), passes it to the listener in the
//! listener's environment only ([`environment`]), parses the listener's output ([`event`]), ends a
//! listener that does not end by itself ([`watch`]), and samples memory and processes
//! ([`evidence`]). As the runner's job-completed hook it writes the job's summary ([`summary`]). The result is one [`AgentExit`](decisions::AgentExit) ([`verdict`]).

mod authorities;
mod bell;
mod config;
mod connection;
mod diagnostics;
pub mod environment;
pub mod event;
pub mod evidence;
mod failure;
mod listener;
mod log;
pub mod mask;
pub mod parameter;
mod process;
mod run;
pub mod summary;
mod update;
pub mod verdict;
mod warm;
pub mod watch;

pub use config::VARIABLES;
pub use run::run;
