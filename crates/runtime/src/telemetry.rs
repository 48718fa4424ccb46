//! Logs as JSON lines, and metrics inside such lines.
//!
//! Metrics use CloudWatch's embedded metric format ([specification]): a log line that CloudWatch
//! parses, so a metric costs no call. `metrics.json` in this crate has names, units and dimensions;
//! tests compare the dashboard and the alarms with it.
//!
//! [specification]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

mod metric;

use crate::settings::{Settings, Variable, shared};
use tracing_subscriber::filter::LevelFilter;

pub use metric::{Metric, Metrics, NAMESPACE, line};

/// Variables of [`init`].
pub const VARIABLES: &[Variable] = &[shared::LOG_LEVEL];

/// Starts logging as JSON lines on stdout, at the level in `LOG_LEVEL`.
///
/// Uses a level filter instead of an `EnvFilter`, which would add a regular-expression engine to
/// every handler. Idempotent.
pub fn init(settings: &Settings) -> Result<(), crate::settings::Error> {
    let level: LevelFilter = settings.parsed(&shared::LOG_LEVEL)?;
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        // CloudWatch adds the time to each line.
        .without_time()
        // Not finer: at TRACE the AWS SDK logs whole requests, and some contain secrets.
        .with_max_level(level.min(LevelFilter::DEBUG))
        .finish();
    // A second subscriber is rejected: tests in one process share the first.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}
