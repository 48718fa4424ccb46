//! What every handler needs to run: its settings, its log and metrics, its start.

pub mod settings;
pub mod telemetry;
