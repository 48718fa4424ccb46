//! The runtime of every handler: settings, logs, metrics, start and end.

#[cfg(feature = "lambda")]
pub mod lambda;
pub mod program;
pub mod proxy;
pub mod random;
pub mod settings;
pub mod telemetry;
