//! What every handler needs to run: its settings, its log and metrics, its start and its end.

#[cfg(feature = "lambda")]
pub mod lambda;
pub mod program;
pub mod settings;
pub mod telemetry;
