//! What the handlers say about themselves: JSON log lines, and metrics inside such lines.
//!
//! Metrics use CloudWatch's embedded format ([specification]): a log line that CloudWatch reads as
//! data, so a metric costs no call. Their names, units and dimensions are `metrics.json` beside
//! this crate; the dashboard and alarms are held against the same file.
//!
//! [specification]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

mod metric;

use crate::settings::{Settings, Variable, shared};
use tracing_subscriber::filter::LevelFilter;

pub use metric::{Metric, Metrics, NAMESPACE, line};

/// What [`init`] reads.
pub const VARIABLES: &[Variable] = &[shared::LOG_LEVEL];

/// Starts logging as JSON lines on standard output, at the level in `LOG_LEVEL`.
///
/// A level filter, not an `EnvFilter`: that one brings a regular-expression engine into every
/// handler. Calling it again changes nothing.
pub fn init(settings: &Settings) -> Result<(), crate::settings::Error> {
    let level: LevelFilter = settings.parsed(&shared::LOG_LEVEL)?;
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        // CloudWatch stamps each line itself.
        .without_time()
        // No finer: at TRACE the AWS SDK logs whole requests, and some of ours carry secrets.
        .with_max_level(level.min(LevelFilter::DEBUG))
        .finish();
    // A second subscriber is refused: tests in one process share the first.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}
