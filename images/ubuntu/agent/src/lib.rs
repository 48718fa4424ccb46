//! The agent: the first process of a runner's container, and the only one of ours in it.
//!
//! ```text
//! read the parameter ─▶ delete it ─▶ (config.sh) ─▶ Runner.Listener run ─▶ outcome as exit code
//!                                                     ▲          │
//!                                                     └─ update ─┘ once
//! ```
//!
//! It takes the registration out of SSM ([`parameter`]), starts the listener with it in the
//! listener's environment only ([`environment`]), follows what the listener prints ([`event`]), and
//! ends it where nobody else would ([`watch`]). It looks at memory and processes now and then
//! ([`evidence`]). What it saw becomes one [`AgentExit`](decisions::AgentExit) ([`verdict`]).

mod config;
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
mod update;
pub mod verdict;
pub mod watch;

pub use config::VARIABLES;
pub use run::run;
