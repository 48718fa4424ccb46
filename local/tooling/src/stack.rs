//! What the local stack is told: by `cargo xtask local`, and by the program behind it.

use clap::Args;

/// How the local stack is started, and with what.
#[derive(Debug, Args)]
pub struct StackOptions {
    /// End after the jobs; succeed only if all of them did and nothing is left over
    #[arg(long)]
    pub once: bool,
    /// How many jobs are queued
    #[arg(long, default_value_t = 1)]
    pub jobs: u32,
    /// How many warm tasks are kept ready; the first job is queued when they are
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub warm: u8,
    /// Port of the AWS engine; 0 takes a free one
    #[arg(long, default_value_t = 4566)]
    pub port: u16,
    /// Port of the console, the page that shows the jobs; 0 takes a free one
    #[arg(long, default_value_t = 4580)]
    pub console_port: u16,
    /// Factor on the state machine's waits; at 1 the grace before another attempt takes 90 s
    #[arg(long, default_value_t = 0.2)]
    pub wait_scale: f64,
}
